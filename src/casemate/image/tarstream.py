"""A strict, streaming reader of tar archives: POSIX ustar, PAX and GNU extensions.

Layers come from strangers, and a container engine reads the same bytes with a reader of its own (Go's
archive/tar nearly everywhere). So this one is exact where the standard library's is forgiving: a bad
header in the middle is an error instead of the end, every length is bounded before memory is spent on
it, and sparse maps are checked before they are followed. Where the formats leave a choice it takes
Go's: global PAX headers do not change later entries, header-only types carry no data.

Sources: POSIX.1-2017 pax, section "pax Interchange Format"; GNU tar manual, appendices "Tar
Internals" and "Storing Sparse Files"; SCHILY.xattr records as star and GNU tar write them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from casemate.errors import ImageError
from casemate.image.descriptors import ByteStream

BLOCK = 512
CHUNK = 1 << 20
MAX_PAX_BYTES = 1 << 20
MAX_PATH_BYTES = 4096
MAX_SPARSE_SEGMENTS = 1 << 20
MAX_SPARSE_MAP_BYTES = 32 << 20
MAX_FILE_BYTES = (1 << 63) - 1

_ZERO_BLOCK = bytes(BLOCK)
_ZEROS = bytes(CHUNK)
_KINDS = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    b"S": "file",
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "char",
    b"4": "block",
    b"5": "dir",
    b"6": "fifo",
}
_XATTR = b"SCHILY.xattr."


@dataclass(slots=True)
class TarEntry:
    """One member as it stands in the archive; ``path`` and ``target`` are not yet normalised."""

    path: bytes
    kind: str
    mode: int
    uid: int
    gid: int
    mtime_s: int
    mtime_ns: int
    size: int
    """Bytes of content, holes included; 0 unless ``kind`` is ``file``."""
    target: bytes = b""
    """Of a symlink its text, of a hard link the other name."""
    dev_major: int = 0
    dev_minor: int = 0
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    sparse: list[tuple[int, int]] | None = None
    """(offset, length) of the stored segments of a sparse file."""
    stored: int = 0
    """Bytes of content that the archive itself holds."""


class TarReader:
    """Yields the entries of one archive; read an entry's content before asking for the next."""

    def __init__(self, stream: ByteStream, where: str) -> None:
        self._stream = stream
        self._where = where
        self._chunk = b""
        self._position = 0
        self._offset = 0
        self._content_left = 0
        self._padding = 0
        self._entry: TarEntry | None = None

    @property
    def offset(self) -> int:
        """Bytes consumed so far: before an entry's content is read, where it starts."""
        return self._offset

    def __iter__(self) -> Iterator[TarEntry]:
        while True:
            self._skip(self._content_left + self._padding)
            self._content_left = self._padding = 0
            self._entry = self._next()
            if self._entry is None:
                return
            yield self._entry

    def content(self) -> Iterator[bytes | memoryview]:
        """The current entry's content in pieces of at most 1 MiB, holes filled with zeros."""
        entry = self._entry
        if entry is None or entry.kind != "file":
            return
        if entry.sparse is None:
            yield from self._stored(entry.size)
            return
        position = 0
        for offset, length in entry.sparse:
            yield from _zeros(offset - position)
            yield from self._stored(length)
            position = offset + length
        yield from _zeros(entry.size - position)

    def read_rest(self) -> None:
        """Reads to the end of the stream, past the end-of-archive marker and its padding."""
        self._chunk = b""
        while self._stream.read(CHUNK):
            pass

    # --- Headers -------------------------------------------------------------------------------------

    def _next(self) -> TarEntry | None:
        pax: dict[bytes, bytes] = {}
        sparse_00: list[int] = []
        long_name = long_target = None
        extended = False
        while True:
            header = self._header()
            if header is None:
                if extended:
                    raise self._broken("the archive ends after an extended header")
                return None
            flag = header[156:157]
            if flag == b"x":
                pax, sparse_00 = self._pax(self._small(_number(header, 124, 12, self), MAX_PAX_BYTES, "PAX header"))
            elif flag == b"g":
                self._small(_number(header, 124, 12, self), MAX_PAX_BYTES, "global PAX header")
                continue
            elif flag in (b"L", b"K"):
                name = self._small(_number(header, 124, 12, self), 16 * MAX_PATH_BYTES, "long name")
                name = name.split(b"\0", 1)[0]
                if flag == b"L":
                    long_name = name
                else:
                    long_target = name
            else:
                entry = self._plain(header)
                if long_name is not None:
                    entry.path = long_name
                if long_target is not None:
                    entry.target = long_target
                return self._finish(entry, flag, header, pax, sparse_00)
            extended = True

    def _header(self) -> bytes | None:
        header = self._take(BLOCK, at_end=True)
        if not header:
            return None
        if header == _ZERO_BLOCK:
            second = self._take(BLOCK, at_end=True)
            if second and second != _ZERO_BLOCK:
                raise self._broken("one zero block is followed by data")
            return None
        stated = _number(header, 148, 8, self)
        rest = header[:148] + b" " * 8 + header[156:]
        if sum(rest) != stated and sum(b - 256 if b > 127 else b for b in rest) != stated:
            raise self._broken("a header's checksum is wrong")
        return header

    def _plain(self, header: bytes) -> TarEntry:
        flag = header[156:157]
        kind = _KINDS.get(flag)
        name = _text(header, 0, 100)
        if kind is None:
            raise self._broken(f"entry {_shown(name)} has the unsupported type {flag!r}")
        if header[257:263] == b"ustar\0":
            prefix = _text(header, 345, 155)
            if prefix:
                name = prefix + b"/" + name
        if kind == "file" and flag == b"\0" and name.endswith(b"/"):
            kind = "dir"
        entry = TarEntry(
            path=name,
            kind=kind,
            mode=_number(header, 100, 8, self) & 0o7777,
            uid=_number(header, 108, 8, self),
            gid=_number(header, 116, 8, self),
            mtime_s=_number(header, 136, 12, self, signed=True),
            mtime_ns=0,
            size=_number(header, 124, 12, self),
            target=_text(header, 157, 100) if kind in ("hardlink", "symlink") else b"",
        )
        if kind in ("char", "block"):
            entry.dev_major = _number(header, 329, 8, self)
            entry.dev_minor = _number(header, 337, 8, self)
        return entry

    def _finish(
        self, entry: TarEntry, flag: bytes, header: bytes, pax: dict[bytes, bytes], sparse_00: list[int]
    ) -> TarEntry:
        if pax:
            self._apply_pax(entry, pax)
        if entry.kind != "file":
            entry.size = 0
        entry.stored = entry.size
        self._check(entry)
        self._content_left = entry.size
        self._padding = -entry.size % BLOCK
        if flag == b"S":
            self._gnu_sparse(entry, header)
        elif pax and any(key.startswith(b"GNU.sparse.") for key in pax):
            self._pax_sparse(entry, pax, sparse_00)
        return entry

    def _check(self, entry: TarEntry) -> None:
        for name in (entry.path, entry.target):
            if len(name) >= MAX_PATH_BYTES:
                raise self._broken(f"a name has {len(name)} bytes, more than Linux allows")
            if b"\0" in name:
                raise self._broken(f"the name {_shown(name)} holds a NUL byte")
        if not entry.path:
            raise self._broken("an entry has no name")
        if entry.kind in ("hardlink", "symlink") and not entry.target:
            raise self._broken(f"the link {_shown(entry.path)} has no target")
        if entry.size > MAX_FILE_BYTES:
            raise self._broken(f"entry {_shown(entry.path)} has {entry.size} bytes, more than Linux allows")
        if not (0 <= entry.uid < 1 << 32 and 0 <= entry.gid < 1 << 32):
            raise self._broken(f"entry {_shown(entry.path)} has the owner {entry.uid}:{entry.gid}")

    # --- PAX ---------------------------------------------------------------------------------------------

    def _pax(self, data: bytes) -> tuple[dict[bytes, bytes], list[int]]:
        """The records of an extended header, and the repeated offset/length pairs of sparse format 0.0."""
        records: dict[bytes, bytes] = {}
        sparse: list[int] = []
        position = 0
        while position < len(data):
            space = data.find(b" ", position, position + 21)
            digits = data[position : max(space, position)]
            length = int(digits) if digits.isdigit() else 0
            record = data[space + 1 : position + length]
            key, equals, value = record.partition(b"=")
            # A record without its length would leave the position where it is.
            whole = space > position and len(digits) + 1 < length <= len(data) - position
            if not whole or not equals or not key or value[-1:] != b"\n":
                raise self._broken("a PAX record is malformed")
            if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
                sparse.append(self._decimal(key, value[:-1]))
            records[key] = value[:-1]
            position += length
        return records, sparse

    def _apply_pax(self, entry: TarEntry, pax: dict[bytes, bytes]) -> None:
        for key, value in pax.items():
            if not value and not key.startswith(_XATTR):
                continue  # an empty value takes an earlier record back
            if key == b"path":
                entry.path = value
            elif key == b"linkpath":
                if entry.kind in ("hardlink", "symlink"):
                    entry.target = value
            elif key == b"size":
                entry.size = self._decimal(key, value)
            elif key == b"uid":
                entry.uid = self._decimal(key, value)
            elif key == b"gid":
                entry.gid = self._decimal(key, value)
            elif key == b"mtime":
                entry.mtime_s, entry.mtime_ns = self._time(value)
            elif key.startswith(_XATTR):
                entry.xattrs[key[len(_XATTR) :]] = value

    def _decimal(self, key: bytes, value: bytes) -> int:
        if not value.isdigit() or len(value) > 20:
            raise self._broken(f"the PAX record {_shown(key)} has the value {_shown(value)}")
        return int(value)

    def _time(self, value: bytes) -> tuple[int, int]:
        sign = -1 if value[:1] == b"-" else 1
        whole, _, fraction = value.lstrip(b"-").partition(b".")
        if not (whole.isdigit() and len(whole) < 19 and (not fraction or fraction.isdigit())):
            raise self._broken(f"the PAX record mtime has the value {_shown(value)}")
        total = sign * (int(whole) * 10**9 + int(fraction[:9].ljust(9, b"0")))
        return divmod(total, 10**9)

    # --- Sparse files ------------------------------------------------------------------------------------

    def _gnu_sparse(self, entry: TarEntry, header: bytes) -> None:
        """The old GNU format: four segments in the header, 21 in each extension block."""
        numbers = _sparse_numbers(header, 386, 4, self)
        more = header[482]
        real_size = _number(header, 483, 12, self)
        while more:
            block = self._take(BLOCK)
            numbers += _sparse_numbers(block, 0, 21, self)
            more = block[504]
            if len(numbers) > 2 * MAX_SPARSE_SEGMENTS:
                raise self._broken(f"entry {_shown(entry.path)} has too many sparse segments")
        self._set_sparse(entry, numbers, real_size)

    def _pax_sparse(self, entry: TarEntry, pax: dict[bytes, bytes], sparse_00: list[int]) -> None:
        """The PAX formats: 1.0 (map before the data), 0.1 (map in one record), 0.0 (repeated records)."""
        entry.path = pax.get(b"GNU.sparse.name", entry.path)
        self._check(entry)
        real = pax.get(b"GNU.sparse.realsize", pax.get(b"GNU.sparse.size", b""))
        if pax.get(b"GNU.sparse.major") == b"1":
            if pax.get(b"GNU.sparse.minor") != b"0":
                raise self._broken(f"entry {_shown(entry.path)} uses an unknown sparse format")
            numbers = self._sparse_map()
        elif b"GNU.sparse.map" in pax:
            numbers = [self._decimal(b"GNU.sparse.map", n) for n in pax[b"GNU.sparse.map"].split(b",") if n]
        else:
            numbers = sparse_00
        entry.stored = self._content_left
        self._set_sparse(entry, numbers, self._decimal(b"GNU.sparse.realsize", real))

    def _sparse_map(self) -> list[int]:
        lines: list[bytes] = []
        text = b""
        wanted: int | None = None
        read = 0
        while wanted is None or len(lines) < wanted:
            if read >= min(self._content_left, MAX_SPARSE_MAP_BYTES):
                raise self._broken("a sparse map is truncated or too long")
            text += self._take(BLOCK)
            read += BLOCK
            *complete, text = text.split(b"\n")
            lines += complete
            if wanted is None and lines:
                wanted = 2 * self._decimal(b"sparse map", lines.pop(0))
                if wanted > 2 * MAX_SPARSE_SEGMENTS:
                    raise self._broken("a sparse map has too many segments")
        self._content_left -= read
        return [self._decimal(b"sparse map", line) for line in lines[:wanted]]

    def _set_sparse(self, entry: TarEntry, numbers: list[int], real_size: int) -> None:
        segments = list(zip(numbers[::2], numbers[1::2], strict=False))
        end = 0
        for offset, length in segments:
            if offset < end:
                raise self._broken(f"the sparse map of {_shown(entry.path)} is not in order")
            end = offset + length
        stored = sum(length for _, length in segments)
        if len(numbers) % 2 or end > real_size or real_size > MAX_FILE_BYTES or stored != self._content_left:
            raise self._broken(f"the sparse map of {_shown(entry.path)} does not fit its sizes")
        entry.sparse = [segment for segment in segments if segment[1]]
        entry.size = real_size
        entry.stored = stored

    # --- The stream --------------------------------------------------------------------------------------

    def _stored(self, length: int) -> Iterator[bytes | memoryview]:
        while length:
            if self._position == len(self._chunk):
                self._refill()
            piece = memoryview(self._chunk)[self._position : self._position + length]
            self._position += len(piece)
            self._offset += len(piece)
            self._content_left -= len(piece)
            length -= len(piece)
            yield piece

    def _refill(self) -> None:
        self._chunk = self._stream.read(CHUNK)
        self._position = 0
        if not self._chunk:
            raise self._broken("the archive is truncated")

    def _take(self, size: int, *, at_end: bool = False) -> bytes:
        """Exactly ``size`` bytes; with ``at_end`` nothing at all when the stream is over."""
        start = self._position
        data = self._chunk[start : start + size]
        self._position = start + len(data)
        while len(data) < size:
            self._chunk = self._stream.read(CHUNK)
            self._position = 0
            if not self._chunk:
                if at_end and not data:
                    return b""
                raise self._broken("the archive is truncated")
            piece = self._chunk[: size - len(data)]
            self._position = len(piece)
            data += piece
        self._offset += size
        return data

    def _small(self, size: int, limit: int, what: str) -> bytes:
        if size > limit:
            raise self._broken(f"a {what} has {size} bytes, more than the {limit} allowed")
        data = self._take(size)
        self._take(-size % BLOCK)
        return data

    def _skip(self, size: int) -> None:
        self._offset += size
        buffered = min(size, len(self._chunk) - self._position)
        self._position += buffered
        size -= buffered
        seek_past = getattr(self._stream, "skip", None)
        if size and seek_past is not None:
            seek_past(size)
            return
        while size:
            self._refill()
            self._position = min(size, len(self._chunk))
            size -= self._position

    def _broken(self, what: str) -> ImageError:
        return ImageError(
            f"{what} (at byte {self._offset} of the archive)",
            where=self._where,
            remedy="the archive is corrupt: fetch or build it again",
        )


def _zeros(length: int) -> Iterator[bytes | memoryview]:
    while length > 0:
        yield memoryview(_ZEROS)[:length]
        length -= len(_ZEROS)


def _text(header: bytes, start: int, size: int) -> bytes:
    return header[start : start + size].split(b"\0", 1)[0]


def _number(header: bytes, start: int, size: int, reader: TarReader, *, signed: bool = False) -> int:
    """A numeric field: octal text, or GNU's base-256 when the top bit of its first byte is set."""
    text = header[start : start + size]
    if text[0] & 0x80:
        value = int.from_bytes(text, "big") & ((1 << (8 * size - 1)) - 1)
        if text[0] & 0x40:
            value -= 1 << (8 * size - 1)
        if value < 0 and not signed:
            raise reader._broken("a header has a negative number")
        if not -(1 << 63) <= value < 1 << 63:
            raise reader._broken("a header's number is out of range")
        return value
    digits = text.split(b"\0", 1)[0].strip(b" ")
    if digits.strip(b"01234567"):
        raise reader._broken(f"a header's number is {_shown(text)}")
    return int(digits, 8) if digits else 0


def _sparse_numbers(block: bytes, start: int, count: int, reader: TarReader) -> list[int]:
    numbers: list[int] = []
    for at in range(start, start + 24 * count, 24):
        if not block[at]:
            break
        numbers += (_number(block, at, 12, reader), _number(block, at + 12, 12, reader))
    return numbers


def _shown(name: bytes) -> str:
    return repr(name.decode("utf-8", "backslashreplace"))
