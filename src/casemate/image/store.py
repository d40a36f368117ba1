"""Making a shielded image runnable without an engine: its files in a content-addressed store.

    $XDG_CACHE_HOME/casemate/store/ab/abcdef…   a regular file's content, named by its fs-verity digest
    $XDG_CACHE_HOME/casemate/store/images/HEX   one file an image that is wholly there: where its bundle is
    $XDG_CACHE_HOME/casemate/bundles/HEX/       the files of /casemate/, by the diff ID of their layer

Nothing here is trusted at run time: the enclave checks the bundle against its measurement and every
block it reads against the index. So a file that is already there is not read again.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from casemate.errors import ImageError, describe_os_error
from casemate.image.cachedir import cache_directory, replace_file
from casemate.image.sources import SourceImage

if TYPE_CHECKING:
    from casemate._core import Index
    from casemate.image.descriptors import ByteStream
    from casemate.image.sources import Layer
    from casemate.image.tarstream import TarEntry, TarReader

Progress = Callable[[int], None]
"""Told how many more bytes of the image were read."""

# Smaller files are hashed and written in one piece.
_WHOLE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Placed:
    """An image that the loader can run."""

    bundle: Path
    store: Path


def placed_before(image: SourceImage) -> Placed | None:
    """The image when all of it is in the cache already, which the second and every later run finds."""
    try:
        store = cache_directory("store")
        bundle = store.parent / "bundles" / json.loads(_marker(image).read_bytes())["bundle"]
    except (OSError, ValueError, KeyError):
        return None
    return Placed(bundle, store) if bundle.is_dir() else None


def place(image: SourceImage, progress: Progress = lambda _size: None) -> Placed:
    """Puts what is missing of a shielded image into the cache."""
    try:
        placed = Placed(_place_bundle(image), cache_directory("store"))
        _place_files(image, placed, progress)
        replace_file(_marker(image), json.dumps({"bundle": placed.bundle.name}).encode())
    except OSError as error:
        raise describe_os_error(error, "cannot put the image's files into the cache") from None
    return placed


def _marker(image: SourceImage) -> Path:
    return cache_directory("store", "images") / image.digest.replace(":", "-")


def _place_bundle(image: SourceImage) -> Path:
    from casemate.image.shielded import LOADER, read_bundle

    files = read_bundle(image)
    bundles = cache_directory("bundles")
    final = bundles / image.layers[-1].diff_id.replace(":", "-")
    staging = Path(tempfile.mkdtemp(prefix=".tmp-", dir=bundles))
    try:
        for name, data in files.items():
            path = staging / name
            path.write_bytes(data)
            path.chmod(0o500 if name == LOADER else 0o400)
        shutil.rmtree(final, ignore_errors=True)
        staging.rename(final)
    except OSError:
        shutil.rmtree(staging, ignore_errors=True)
        if not final.is_dir():  # another run may have been faster
            raise
    return final


# --- The files ------------------------------------------------------------------------------------------


def _place_files(image: SourceImage, placed: Placed, progress: Progress) -> None:
    from casemate._core import IndexFormatError

    try:
        index = _open_index(placed.bundle)
        missing = _missing(index, placed.store)
        if missing:
            _extract(image, index, missing, placed.store, progress)
    except (IndexFormatError, ValueError, KeyError, TypeError) as error:
        raise ImageError(
            f"its index and manifest do not belong together ({error})",
            where=str(image.reference),
            remedy="the image was changed: build it again",
        ) from None


def _open_index(bundle: Path) -> Index:
    from casemate._core import Index
    from casemate.image import shielded

    manifest = json.loads((bundle / shielded.MANIFEST).read_bytes())
    return Index.from_bytes((bundle / shielded.INDEX).read_bytes(), bytes.fromhex(manifest["index"]["root"]))


def _extract(image: SourceImage, index: Index, missing: set[bytes], store: Path, progress: Progress) -> None:
    """Reads the layers until nothing is missing; the shielded one last, because it may hold the init program."""
    from casemate.image.layers import PlainLayer
    from casemate.image.tarstream import TarReader

    with _Staging(store) as staging:
        for layer in image.layers:
            if not missing:
                break
            # A layer's files get their names only after its digest was found right.
            with PlainLayer(layer) as plain:
                reader = TarReader(_Told(plain, progress), layer.where)
                for entry in reader:
                    _place_entry(index, entry, reader, missing, staging, layer)
                reader.read_rest()
            missing -= staging.publish()
    if missing:
        raise ImageError(
            f"{len(missing)} files of the index are in none of the layers",
            where=str(image.reference),
            remedy="the image was changed: build it again",
        )


def _missing(index: Index, store: Path) -> set[bytes]:
    wanted = {info.digest for _, info in index.walk() if info.digest is not None}
    present: set[str] = set()
    for directory in {digest.hex()[:2] for digest in wanted}:
        with suppress(FileNotFoundError):
            present.update(os.listdir(store / directory))
    return {digest for digest in wanted if digest.hex() not in present}


def _place_entry(
    index: Index, entry: TarEntry, reader: TarReader, missing: set[bytes], staging: _Staging, layer: Layer
) -> None:
    from casemate._core import FileHasher, verity_digest
    from casemate.image.scan import clean_path

    if entry.kind != "file":
        return
    # By path first: a file that an upper layer replaced has another size or a digest that is there already.
    info = index.lookup(clean_path(entry.path, layer.where), follow=False)
    if info is None or info.size != entry.size or info.digest not in missing or staging.has(info.digest):
        return
    if entry.size <= _WHOLE_BYTES:
        data = b"".join(reader.content())
        if verity_digest(data) == info.digest:
            staging.write(info.digest, [data])
        return
    hasher = FileHasher(entry.size)
    path = staging.new()
    with path.open("wb") as file:
        for piece in reader.content():
            hasher.update(piece)
            file.write(piece)
    if hasher.finish().digest == info.digest:
        staging.adopt(info.digest, path)
    else:
        path.unlink()


class _Told:
    """Tells how far reading is."""

    def __init__(self, stream: ByteStream, progress: Progress) -> None:
        self._stream = stream
        self._progress = progress

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._progress(len(data))
        return data

    def close(self) -> None:
        self._stream.close()


class _Staging:
    """Files written but not yet named; in the store's own file system, gone when something fails."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._directory = Path(tempfile.mkdtemp(prefix=".tmp-", dir=store))
        self._ready: dict[bytes, Path] = {}

    def __enter__(self) -> _Staging:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def has(self, digest: bytes) -> bool:
        return digest in self._ready

    def new(self) -> Path:
        return self._directory / f"part-{len(self._ready)}"

    def write(self, digest: bytes, pieces: list[bytes]) -> None:
        path = self._directory / digest.hex()
        with open(path, "wb", buffering=0) as file:
            for piece in pieces:
                _write_all(file.fileno(), piece)
        self._ready[digest] = path

    def adopt(self, digest: bytes, path: Path) -> None:
        self._ready[digest] = path

    def publish(self) -> set[bytes]:
        """Flushes and names all files; returns their digests."""
        _sync_file_system(self._directory)
        for digest, path in self._ready.items():
            name = digest.hex()
            os.chmod(path, 0o400)
            directory = self._store / name[:2]
            directory.mkdir(mode=0o700, exist_ok=True)
            os.rename(path, directory / name)
        done = set(self._ready)
        self._ready.clear()
        return done


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_file_system(path: Path) -> None:
    """One syncfs(2) instead of an fsync(2) for each of thousands of files."""
    import ctypes

    fd = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd) != 0:
            raise OSError(ctypes.get_errno(), "cannot flush the cache to the disk")
    finally:
        os.close(fd)
