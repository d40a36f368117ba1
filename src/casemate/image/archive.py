"""Random access to the members of an image archive (a tar file that holds an image's blobs)."""

from __future__ import annotations

import os
import tempfile
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from casemate.errors import ImageError, describe_os_error
from casemate.image.tarstream import TarReader

MAX_MEMBERS = 100_000
_READ = 1 << 20


class FileRange:
    """A part of an open file as a stream of its own (the descriptor is shared, the position is not)."""

    def __init__(self, fd: int, offset: int, size: int) -> None:
        self._fd = fd
        self._offset = offset
        self._left = size

    def read(self, size: int, /) -> bytes:
        data = os.pread(self._fd, min(size, self._left), self._offset)
        self._offset += len(data)
        self._left -= len(data)
        return data

    def close(self) -> None:
        pass


class _HeaderStream:
    """Reads headers and seeks past content."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, _size: int, /) -> bytes:
        return self._file.read(4096)

    def skip(self, size: int) -> None:
        self._file.seek(size, os.SEEK_CUR)

    def close(self) -> None:
        pass


class ImageArchive:
    """The members of a tar file by name; symbolic and hard links among them are followed."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        try:
            self._file = _open_plain(path)
            self._size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise describe_os_error(error, "cannot open the archive", str(path)) from None
        self._members: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        try:
            self._read_headers()
        except BaseException:
            self._file.close()
            raise

    def _read_headers(self) -> None:
        reader = TarReader(_HeaderStream(self._file), self.where)
        for count, entry in enumerate(reader):
            if count >= MAX_MEMBERS:
                raise ImageError(f"the archive has more than {MAX_MEMBERS} members", where=self.where)
            name = _member_name(entry.path)
            if entry.kind == "file":
                if entry.sparse is not None:
                    raise ImageError(
                        f"the member {name!r} is sparse", where=self.where, remedy="write the archive again"
                    )
                if reader.offset + entry.size > self._size:
                    raise ImageError(
                        f"the archive is truncated inside {name!r}",
                        where=self.where,
                        remedy="fetch or build it again",
                    )
                self._members[name] = (reader.offset, entry.size)
            elif entry.kind == "symlink":
                base = os.path.dirname(name)
                self._links[name] = os.path.normpath(os.path.join(base, os.fsdecode(entry.target)))
            elif entry.kind == "hardlink":
                self._links[name] = _member_name(entry.target)

    def __contains__(self, name: str) -> bool:
        return self._resolve(name) is not None

    def _resolve(self, name: str) -> tuple[int, int] | None:
        for _ in range(8):
            if name in self._members:
                return self._members[name]
            if name not in self._links:
                return None
            name = self._links[name]
        return None

    def size(self, name: str) -> int:
        return self._require(name)[1]

    def open(self, name: str) -> FileRange:
        offset, size = self._require(name)
        return FileRange(self._file.fileno(), offset, size)

    def read(self, name: str, limit: int) -> bytes:
        size = self.size(name)
        if size > limit:
            raise ImageError(f"{name!r} has {size} bytes, more than {limit}", where=self.where)
        stream = self.open(name)
        parts = []
        while data := stream.read(_READ):
            parts.append(data)
        return b"".join(parts)

    def _require(self, name: str) -> tuple[int, int]:
        found = self._resolve(name)
        if found is None:
            raise ImageError(
                f"the archive has no member {name!r}",
                where=self.where,
                remedy="check that it is an image archive of this kind",
            )
        return found

    def close(self) -> None:
        self._file.close()


def _member_name(path: bytes) -> str:
    return os.path.normpath(os.fsdecode(path)).lstrip("/")


def _open_plain(path: Path) -> BinaryIO:
    """The archive, or, of a gzip-compressed one, its content in an unnamed temporary file."""
    file = cast(BinaryIO, path.open("rb"))
    if file.read(2) != b"\x1f\x8b":
        file.seek(0)
        return file
    file.seek(0)
    plain = cast(BinaryIO, tempfile.TemporaryFile(prefix="casemate-"))  # noqa: SIM115 - it outlives this call
    inflate = zlib.decompressobj(wbits=31)
    try:
        while data := file.read(_READ):
            while data:
                plain.write(inflate.decompress(data, 4 * _READ))
                data = inflate.unconsumed_tail
    except zlib.error as error:
        raise ImageError(
            f"the archive's compression is broken ({error})", where=str(path), remedy="fetch it again"
        ) from None
    finally:
        file.close()
    if not inflate.eof:
        raise ImageError("the compressed archive is truncated", where=str(path), remedy="fetch it again")
    plain.seek(0)
    return plain
