"""Writing tar headers: ustar, with PAX records only for what ustar cannot say. Same entry, same bytes."""

from __future__ import annotations

from casemate.image.tarstream import BLOCK, TarEntry

END = bytes(2 * BLOCK)
_FLAGS = {
    "file": b"0",
    "hardlink": b"1",
    "symlink": b"2",
    "char": b"3",
    "block": b"4",
    "dir": b"5",
    "fifo": b"6",
}


def padding(size: int) -> bytes:
    """The zeros between ``size`` bytes of content and the next header."""
    return bytes(-size % BLOCK)


def header(entry: TarEntry) -> bytes:
    """The header blocks of one entry, to be followed by its content and ``padding``."""
    path = entry.path + b"/" if entry.kind == "dir" else entry.path
    records: dict[bytes, bytes] = {}
    if len(path) > 100 or not path.isascii():
        records[b"path"] = path
    if len(entry.target) > 100 or not entry.target.isascii():
        records[b"linkpath"] = entry.target
    for key, number, digits in (
        (b"uid", entry.uid, 7),
        (b"gid", entry.gid, 7),
        (b"size", entry.size, 11),
        (b"mtime", entry.mtime_s, 11),
    ):
        if not 0 <= number < 8**digits:
            records[key] = b"%d" % number
    for name, value in entry.xattrs.items():
        records[b"SCHILY.xattr." + name] = value
    prefix = _pax(records) if records else b""
    return prefix + _block(
        path,
        _FLAGS[entry.kind],
        mode=entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        size=entry.size,
        mtime=entry.mtime_s,
        target=entry.target,
        major=entry.dev_major,
        minor=entry.dev_minor,
    )


def _pax(records: dict[bytes, bytes]) -> bytes:
    data = b"".join(_record(key, records[key]) for key in sorted(records))
    return _block(b"././@PaxHeader", b"x", mode=0o644, size=len(data)) + data + padding(len(data))


def _record(key: bytes, value: bytes) -> bytes:
    """``LENGTH KEY=VALUE\\n``, where LENGTH counts its own digits."""
    body = b" " + key + b"=" + value + b"\n"
    length = len(body)
    while len(b"%d" % length) + len(body) != length:
        length = len(b"%d" % length) + len(body)
    return b"%d" % length + body


def _block(
    path: bytes,
    flag: bytes,
    *,
    mode: int = 0,
    uid: int = 0,
    gid: int = 0,
    size: int = 0,
    mtime: int = 0,
    target: bytes = b"",
    major: int = 0,
    minor: int = 0,
) -> bytes:
    fields = [
        path[:100].ljust(100, b"\0"),
        _octal(mode, 7),
        _octal(uid, 7),
        _octal(gid, 7),
        _octal(size, 11),
        _octal(mtime, 11),
        b" " * 8,
        flag,
        target[:100].ljust(100, b"\0"),
        b"ustar\00000",
        bytes(64),
        _octal(major, 7),
        _octal(minor, 7),
    ]
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _octal(value: int, digits: int) -> bytes:
    """A numeric field; what does not fit is 0 here and stands in a PAX record."""
    return b"%0*o\0" % (digits, value if 0 <= value < 8**digits else 0)
