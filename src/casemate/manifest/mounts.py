"""From ``fs.mounts`` and ``sgx.allowed_files`` to the canonical mounts.

In Gramine a ``chroot`` mount gives a host path a name inside, and a file behind it opens only when it is
trusted or allowed. The same here: files of the image are all trusted, at their own path, and come with the
root; what ``sgx.allowed_files`` names is a host directory, insecure, wherever a mount shows it. A ``chroot``
mount alone shows nothing of the host.
"""

from __future__ import annotations

from casemate.manifest.canonical import CanonicalMount, EncryptedMount, HostMount, TmpfsMount
from casemate.manifest.errors import ManifestError, ManifestWarning
from casemate.manifest.load import UserManifest
from casemate.manifest.paths import is_within, joined, plain_path
from casemate.manifest.program import Lookup
from casemate.manifest.schema import Mount, mount_point


class _Plan:
    """The mounts of one user manifest as they come together."""

    def __init__(self, user: UserManifest, cwd: str, lookup: Lookup, warnings: list[ManifestWarning]) -> None:
        self._user = user
        self._cwd = cwd
        self._lookup = lookup
        self._warnings = warnings
        self._allowed = [
            self._host_path(uri, "sgx", "allowed_files", i) for i, uri in enumerate(user.sgx.allowed_files)
        ]
        self._shown: set[int] = set()
        """Numbers of the allowed files that some ``chroot`` mount shows."""
        self.mounts: list[CanonicalMount] = []

    def make(self) -> list[CanonicalMount]:
        for number, mount in enumerate(self._user.fs.mounts):
            if mount.type == "tmpfs":
                self._add(TmpfsMount(path=mount.path), "fs", "mounts", number)
            elif mount.type == "encrypted":
                uri, key_name = mount.uri or "", mount.key_name or "default"
                self._add(EncryptedMount(path=mount.path, uri=uri, key_name=key_name), "fs", "mounts", number)
            else:
                self._chroot(mount, number)
        for number, source in enumerate(self._allowed):
            if number not in self._shown:
                self._add_host(source, source, False, "sgx", "allowed_files", number)
        return self.mounts

    def _chroot(self, mount: Mount, number: int) -> None:
        key = ("fs", "mounts", number)
        source = self._host_path(mount.uri or "", *key, "uri")
        shown = False
        for item, allowed in enumerate(self._allowed):
            if is_within(source, allowed):  # all of the mount is allowed
                self._add_host(mount.path, source, mount.read_only or False, *key)
                # The allowed path itself may be wider than the mount: then it is shown at its own place too.
                if source == allowed:
                    self._shown.add(item)
                return
            if is_within(allowed, source):  # a part of it is
                rest = allowed[len(source) :].strip("/")
                self._add_host(f"{mount.path}/{rest}", allowed, mount.read_only or False, *key)
                self._shown.add(item)
                shown = True
        if not shown:
            self._image_mount(mount, source, number)

    def _image_mount(self, mount: Mount, source: str, number: int) -> None:
        """A mount that shows no allowed file: harmless when its place in the image is there already."""
        place = self._user.place("fs", "mounts", number)
        in_image = self._lookup(mount.path) is not None
        if in_image or source == mount.path:
            what = f"'{mount.path}' is the image's" if in_image else f"'{mount.path}' is not in the image"
            reason = f"no effect: {what}, and 'sgx.allowed_files' names nothing of '{source}'"
            self._warnings.append(ManifestWarning(place, f"fs.mounts[{number}]", reason))
            return
        raise ManifestError(
            f"'{mount.path}' is not in the image, and host files only come in when they are allowed",
            where=place,
            remedy=f"put the files into the image at '{mount.path}', or, insecurely, add '{mount.uri}' to sgx.allowed_files",
        )

    def _host_path(self, uri: str, *key: str | int) -> str:
        """The plain absolute path of a ``file:`` URI; relative ones start from the working directory."""
        given = uri.removeprefix("file:")
        path = plain_path(joined(self._cwd, given))
        if path is None:
            raise ManifestError(
                f"'{uri}' has a '..' component", where=self._user.place(*key), remedy="write the path without it"
            )
        if not given.startswith("/") and key[0] == "sgx":
            reason = f"'{uri}' is taken from the working directory: '{path}'"
            self._warnings.append(ManifestWarning(self._user.place(*key), "sgx.allowed_files", reason))
        return path

    def _add_host(self, path: str, source: str, read_only: bool, *key: str | int) -> None:
        try:
            mount_point(path)
        except ValueError as error:
            raise ManifestError(
                f"'file:{source}' cannot be allowed: {error}", where=self._user.place(*key), remedy="take it out"
            ) from None
        self._add(HostMount(path=path, source=source, read_only=read_only), *key)

    def _add(self, mount: CanonicalMount, *key: str | int) -> None:
        if any(other.path == mount.path for other in self.mounts):
            raise ManifestError(
                f"two mounts have the same path '{mount.path}'", where=self._user.place(*key), remedy="take one out"
            )
        self.mounts.append(mount)


def canonical_mounts(
    user: UserManifest, cwd: str, lookup: Lookup, warnings: list[ManifestWarning]
) -> list[CanonicalMount]:
    """The mounts in order: ``fs.mounts``, then allowed files that none of them shows."""
    return _Plan(user, cwd, lookup, warnings).make()
