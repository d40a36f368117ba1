"""Enclave images made byte by byte, for layouts of any shape."""

from __future__ import annotations

import struct

R, W, X = 4, 2, 1


def elf(entry: int, segments: list[tuple[int, int, int, bytes]]) -> bytes:
    """A static position-independent ELF file: (flags, address, size in memory, bytes), at equal file offsets."""
    file = bytearray(64 + 56 * len(segments))
    struct.pack_into(
        "<16sHHIQQQIHHHHHH", file, 0, b"\x7fELF\x02\x01\x01", 3, 62, 1, entry, 64, 0, 0, 64, 56, len(segments), 0, 0, 0
    )
    for number, (flags, address, size, data) in enumerate(segments):
        struct.pack_into("<IIQQQQQQ", file, 64 + 56 * number, 1, flags, address, address, 0, len(data), size, 4096)
        file.extend(bytes(max(0, address + len(data) - len(file))))
        file[address : address + len(data)] = data
    return bytes(file)


def enclave(text: bytes = b"\xc3" * 5000) -> bytes:
    """Text, and data with zeros behind it."""
    data = 0x1000 + -(-len(text) // 4096) * 4096
    return elf(0x1000, [(R | X, 0x1000, len(text), text), (R | W, data + 0x40, 9000, b"data" * 10)])


def measured(digest: bytes = bytes(32)) -> bytes:
    """The measured block for a manifest with this digest."""
    return struct.pack("<8sII32s16x", b"CSMTMEAS", 1, 0, digest)
