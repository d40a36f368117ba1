"""A root file system in a directory as an image of one layer (``dir:ROOTFS``).

The layer is a tar made on the fly, the same for the same tree: names in byte order, owner, mode and
modification time (whole seconds, as container engines record it) as they are on disk. It is made once to
know its digest and again whenever it is read, so nothing is copied to a temporary place.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Generator, Iterator

from casemate.errors import ImageError, describe_os_error
from casemate.image.config import ImageConfig
from casemate.image.descriptors import OCI_LAYER, Descriptor
from casemate.image.references import Reference
from casemate.image.sources import Layer, SourceImage
from casemate.image.tarstream import TarEntry
from casemate.image.tarwrite import END, header, padding

_PIECE = 1 << 20
_DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def open_rootfs(reference: Reference) -> SourceImage:
    root = os.fsencode(reference.path)
    if not os.path.isdir(root):
        raise ImageError(
            "this is not a directory", where=str(reference), remedy="name the directory of a root file system"
        )
    stream = RootfsTar(root)
    digest = hashlib.sha256()
    size = 0
    while data := stream.read(_PIECE):
        digest.update(data)
        size += len(data)
    diff_id = f"sha256:{digest.hexdigest()}"
    layer = Layer(1, diff_id, "none", Descriptor(OCI_LAYER, diff_id, size), lambda: RootfsTar(root))
    raw = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": [_DEFAULT_PATH]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created_by": "casemate build dir:"}],
    }
    config = ImageConfig(raw=raw, env=[_DEFAULT_PATH], diff_ids=[diff_id])
    return SourceImage(reference, diff_id, config, [layer])


class RootfsTar:
    """The tar of a directory as a stream."""

    def __init__(self, root: bytes) -> None:
        self._pieces = self._tar(root)
        self._inodes: dict[tuple[int, int], bytes] = {}

    def read(self, _size: int, /) -> bytes:
        """About a mebibyte at a time (small entries are gathered); nothing at the end."""
        gathered: list[bytes] = []
        length = 0
        try:
            for piece in self._pieces:
                gathered.append(piece)
                length += len(piece)
                if length >= _PIECE:
                    break
        except OSError as error:
            raise describe_os_error(error, "cannot read the root file system") from None
        return b"".join(gathered)

    def close(self) -> None:
        self._pieces.close()

    def _tar(self, root: bytes) -> Generator[bytes, None, None]:
        yield from self._entry(root, b".", os.lstat(root))
        yield from self._directory(root, b"")
        yield END

    def _directory(self, on_disk: bytes, inside: bytes) -> Iterator[bytes]:
        with os.scandir(on_disk) as entries:
            names = sorted(entry.name for entry in entries)
        for name in names:
            path = on_disk + b"/" + name
            info = os.lstat(path)
            yield from self._entry(path, inside + name, info)
            if stat.S_ISDIR(info.st_mode):
                yield from self._directory(path, inside + name + b"/")

    def _entry(self, on_disk: bytes, inside: bytes, info: os.stat_result) -> Iterator[bytes]:
        kind = _kind(info.st_mode)
        if kind is None:
            return  # a socket is no content: whoever listens on it makes it
        entry = TarEntry(
            path=inside,
            kind=kind,
            mode=stat.S_IMODE(info.st_mode),
            uid=info.st_uid,
            gid=info.st_gid,
            mtime_s=info.st_mtime_ns // 10**9,
            mtime_ns=0,
            size=0,
        )
        if info.st_nlink > 1 and kind != "dir":
            first = self._inodes.setdefault((info.st_dev, info.st_ino), inside)
            if first != inside:
                entry.kind, entry.target = "hardlink", first
                yield header(entry)
                return
        entry.xattrs = _xattrs(on_disk)
        if kind == "symlink":
            entry.target = os.readlink(on_disk)
        elif kind in ("char", "block"):
            entry.dev_major, entry.dev_minor = os.major(info.st_rdev), os.minor(info.st_rdev)
        elif kind == "file":
            entry.size = info.st_size
            yield header(entry)
            yield from _content(on_disk, info.st_size)
            yield padding(info.st_size)
            return
        yield header(entry)


def _kind(mode: int) -> str | None:
    kinds = {
        stat.S_IFREG: "file",
        stat.S_IFDIR: "dir",
        stat.S_IFLNK: "symlink",
        stat.S_IFCHR: "char",
        stat.S_IFBLK: "block",
        stat.S_IFIFO: "fifo",
    }
    return kinds.get(stat.S_IFMT(mode))


def _xattrs(path: bytes) -> dict[bytes, bytes]:
    """The attributes that belong to the content; labels of this machine (SELinux, IMA) do not."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return {}  # a file system without attributes
    kept = [name for name in names if name.startswith("user.") or name == "security.capability"]
    return {os.fsencode(name): os.getxattr(path, name, follow_symlinks=False) for name in kept}


def _content(path: bytes, size: int) -> Iterator[bytes]:
    with open(path, "rb", buffering=0, opener=_no_follow) as file:
        left = size
        while left:
            data = file.read(min(left, _PIECE))
            if not data:
                break
            left -= len(data)
            yield data
        if left or file.read(1):
            raise ImageError(
                "the file changed while it was read",
                where=os.fsdecode(path),
                remedy="leave the root file system alone during the build",
            )


def _no_follow(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
