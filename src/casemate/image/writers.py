"""Writing an image through a transport: all of it or nothing.

Everything is written beside its final place, flushed to the disk, and renamed. In an OCI directory that
exists, blobs are added first and ``index.json`` is replaced last; what was added is taken away again
when that fails.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from casemate.errors import ImageError, OutputError, describe_os_error
from casemate.image.descriptors import (
    MAX_MANIFEST_BYTES,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    ByteStream,
    Descriptor,
    VerifyingReader,
    canonical_json,
    parse_json_object,
    sha256_digest,
)
from casemate.image.layers import PlainLayer
from casemate.image.oci import REF_NAME, blob_path
from casemate.image.references import Reference, docker_repo_tag
from casemate.image.sources import Layer

_PIECE = 1 << 20
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'

Progress = Callable[[int], None]
"""Told how many more bytes were written."""


@dataclass(slots=True)
class OutputImage:
    """What is written: layers, lowest first, and the configuration."""

    config: bytes
    layers: list[Layer]
    plain_sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of the plain tars by diff ID, where they are known already."""
    annotations: dict[str, str] = field(default_factory=dict)

    def manifest(self) -> bytes:
        """The OCI manifest; layers keep their digests and sizes, in OCI's names for their types."""
        value: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": Descriptor(OCI_CONFIG, sha256_digest(self.config), len(self.config)).to_json(),
            "layers": [layer.descriptor.to_json() for layer in self.layers],
        }
        if self.annotations:
            value["annotations"] = self.annotations
        return canonical_json(value)


def write_image(reference: Reference, image: OutputImage, progress: Progress = lambda _size: None) -> str:
    """Writes the image; returns the digest it is known by there (the manifest's; Docker's archive: the config's)."""
    try:
        if reference.transport == "oci":
            return _write_oci_directory(reference, image, progress)
        if reference.transport == "oci-archive":
            return _write_archive(reference, image, _oci_members, progress)
        return _write_archive(reference, image, _docker_members, progress)
    except OSError as error:
        raise describe_os_error(error, "cannot write the image", str(reference.path)) from None


# --- An OCI layout in a directory ---------------------------------------------------------------------


def _write_oci_directory(reference: Reference, image: OutputImage, progress: Progress) -> str:
    root = reference.path
    if root.exists() and not (root / "oci-layout").exists() and (not root.is_dir() or any(root.iterdir())):
        raise OutputError(
            "this exists and is no OCI image layout", where=str(root), remedy="choose another place or remove it"
        )
    if (root / "oci-layout").exists():
        with _locked(root):
            return _add_to_layout(root, reference.name, image, progress)
    parent = root.absolute().parent
    if not parent.is_dir():
        raise OutputError("the directory does not exist", where=str(parent), remedy="make it first")
    staging = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=parent))
    try:
        (staging / "oci-layout").write_bytes(_LAYOUT)
        digest = _add_to_layout(staging, reference.name, image, progress)
        staging.chmod(0o777 & ~_umask())
        os.rename(staging, root)
        _sync_directory(parent)
        return digest
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _add_to_layout(root: Path, name: str | None, image: OutputImage, progress: Progress) -> str:
    manifest = image.manifest()
    descriptor = Descriptor(OCI_MANIFEST, sha256_digest(manifest), len(manifest))
    index = _index_with(root, name, descriptor)
    added: list[Path] = []
    try:
        for layer in image.layers:
            _add_layer(root, layer, added, progress)
        _add_bytes(root, image.config, added)
        _add_bytes(root, manifest, added)
        for directory in {path.parent for path in added}:
            _sync_directory(directory)
        with _new_file(root / "index.json") as file:
            file.write(index)
        _sync_directory(root)
    except BaseException:
        for path in added:
            path.unlink(missing_ok=True)
        raise
    return descriptor.digest


def _index_with(root: Path, name: str | None, descriptor: Descriptor) -> bytes:
    """The layout's index with this image in place of the one that had its name (or had none, like this one)."""
    try:
        with (root / "index.json").open("rb") as file:
            index = parse_json_object(file.read(MAX_MANIFEST_BYTES), str(root / "index.json"))
    except FileNotFoundError:
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX}
    kept = index.get("manifests") or []
    if not isinstance(kept, list) or not all(isinstance(item, dict) for item in kept):
        raise ImageError(
            "its index lists no manifests", where=str(root), remedy="choose another place or repair the layout"
        )
    index["manifests"] = [item for item in kept if _name_of(item) != name]
    index["manifests"].append(_named(descriptor, name).to_json())
    return canonical_json(index)


def _name_of(item: dict[str, Any]) -> object:
    annotations = item.get("annotations")
    return annotations.get(REF_NAME) if isinstance(annotations, dict) else None


def _named(descriptor: Descriptor, name: str | None) -> Descriptor:
    platform = {"architecture": "amd64", "os": "linux"}
    annotations = {REF_NAME: name} if name else {}
    return Descriptor(descriptor.media_type, descriptor.digest, descriptor.size, annotations, platform)


def _add_bytes(root: Path, data: bytes, added: list[Path]) -> None:
    path = root / blob_path(sha256_digest(data))
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with _new_file(path) as file:
            file.write(data)
        added.append(path)


def _add_layer(root: Path, layer: Layer, added: list[Path], progress: Progress) -> None:
    """Copies a blob, or links it where that is safe; either way every byte passes its digest."""
    path = root / blob_path(layer.descriptor.digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    reader = VerifyingReader(layer.open_stored(), layer.descriptor, layer.where)
    try:
        if path.exists():
            _drain(reader, progress)
            return
        if layer.file is not None and _may_link(layer.file, path):
            added.append(path)
            _drain(reader, progress)
            return
        with _new_file(path) as file:
            while data := reader.read(_PIECE):
                file.write(data)
                progress(len(data))
        added.append(path)
    finally:
        reader.close()


def _drain(reader: VerifyingReader, progress: Progress) -> None:
    while data := reader.read(_PIECE):
        progress(len(data))


def _may_link(source: Path, path: Path) -> bool:
    """Makes a hard link, unless others could change the blob through it."""
    info = source.lstat()
    if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o022:
        return False
    try:
        os.link(source, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False  # another file system, or one without links
    return True


# --- Archives --------------------------------------------------------------------------------------------

Member = tuple[str, int, ByteStream]
_Members = Callable[[Reference, OutputImage], tuple[str, Iterator[Member]]]


def _write_archive(reference: Reference, image: OutputImage, members: _Members, progress: Progress) -> str:
    digest, items = members(reference, image)
    if not reference.path.absolute().parent.is_dir():
        raise OutputError(
            "the directory does not exist", where=str(reference.path.absolute().parent), remedy="make it first"
        )
    # The format is USTAR with GNU's big numbers: what every reader of image archives understands.
    with (
        _new_file(reference.path) as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for name, size, stream in items:
            info = tarfile.TarInfo(name)
            info.size, info.mode = size, 0o644
            try:
                archive.addfile(info, cast(BinaryIO, _Exactly(stream, progress)))
                if isinstance(stream, _ToTheEnd):
                    stream.require_end()
            finally:
                stream.close()
    _sync_directory(reference.path.absolute().parent)
    return digest


class _Exactly:
    """Gives ``tarfile`` the sizes it asks for, and reads a member to its verified end."""

    def __init__(self, stream: ByteStream, progress: Progress) -> None:
        self._stream = stream
        self._progress = progress
        self._rest = b""

    def read(self, size: int) -> bytes:
        parts, wanted = [], size
        while wanted:
            data = self._rest or self._stream.read(min(_PIECE, wanted))
            if not data:
                break
            parts.append(data[:wanted])
            self._rest = data[wanted:]
            wanted -= len(parts[-1])
        self._progress(size - wanted)
        return b"".join(parts)


def _oci_members(reference: Reference, image: OutputImage) -> tuple[str, Iterator[Member]]:
    manifest = image.manifest()
    descriptor = Descriptor(OCI_MANIFEST, sha256_digest(manifest), len(manifest))
    index = canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [_named(descriptor, reference.name).to_json()],
        }
    )

    def items() -> Iterator[Member]:
        yield _bytes_member("oci-layout", _LAYOUT)
        for layer in _once(image.layers):
            reader = _ToTheEnd(VerifyingReader(layer.open_stored(), layer.descriptor, layer.where), layer)
            yield blob_path(layer.descriptor.digest), layer.descriptor.size, reader
        for data in (image.config, manifest):
            yield _bytes_member(blob_path(sha256_digest(data)), data)
        yield _bytes_member("index.json", index)

    return descriptor.digest, items()


def _docker_members(reference: Reference, image: OutputImage) -> tuple[str, Iterator[Member]]:
    digest = sha256_digest(image.config)
    config_name = digest.removeprefix("sha256:") + ".json"
    names = [layer.diff_id.partition(":")[2] + ".tar" for layer in image.layers]
    tags = [docker_repo_tag(reference.name)] if reference.name else []
    manifest = canonical_json([{"Config": config_name, "Layers": names, "RepoTags": tags}])

    def items() -> Iterator[Member]:
        for layer in {layer.diff_id: layer for layer in image.layers}.values():
            name = layer.diff_id.partition(":")[2] + ".tar"
            size = image.plain_sizes.get(layer.diff_id)
            yield name, _plain_size(layer) if size is None else size, _ToTheEnd(PlainLayer(layer), layer)
        yield _bytes_member(config_name, image.config)
        yield _bytes_member("manifest.json", manifest)

    return digest, items()


def _plain_size(layer: Layer) -> int:
    if layer.compression == "none":
        return layer.descriptor.size
    with PlainLayer(layer) as plain:
        return sum(iter(lambda: len(plain.read(_PIECE)), 0))


def _once(layers: list[Layer]) -> list[Layer]:
    return list({layer.descriptor.digest: layer for layer in layers}.values())


def _bytes_member(name: str, data: bytes) -> Member:
    return name, len(data), io.BytesIO(data)


class _ToTheEnd:
    """A verified stream that must be read to its end, even by one who knows its size."""

    def __init__(self, stream: ByteStream, layer: Layer) -> None:
        self._stream = stream
        self._layer = layer

    def read(self, size: int, /) -> bytes:
        return self._stream.read(size)

    def require_end(self) -> None:
        """What follows the member's last byte must be the stream's verified end."""
        if self._stream.read(1):
            raise ImageError("the layer changed while it was read", where=self._layer.where, remedy="run it again")

    def close(self) -> None:
        self._stream.close()


# --- Files -----------------------------------------------------------------------------------------------


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only when all of it is on the disk."""
    fd, temporary = tempfile.mkstemp(prefix=f".{path.name[:64]}.", dir=path.absolute().parent)
    try:
        with open(fd, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """One writer at a time in a layout; the lock is the directory itself and leaves nothing behind."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
