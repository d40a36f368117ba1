"""Sizes as Gramine writes them: ``"256M"``, a number with K, M or G for powers of 1024."""

from __future__ import annotations

import re

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
# Gramine reads the number as C does: decimal, or hexadecimal after 0x.
SIZE_PATTERN = r"^(0[xX][0-9a-fA-F]+|[0-9]+)[KMGkmg]?$"
_SIZE = re.compile(r"(0[xX][0-9a-fA-F]+|[0-9]+)([KMGkmg]?)")


def parse_size(value: object) -> int:
    """Bytes of a size. Raises ``ValueError`` saying what was expected."""
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        number, unit = match.groups()
        base = 16 if number[:2].lower() == "0x" else 10
        # More digits than any size has: int() would refuse or take long.
        size = int(number, base) * _UNITS[unit.upper()] if len(number) <= 20 else 1 << 64
    else:
        raise ValueError('expected a size like "256M" (a number, then K, M, G or nothing)')
    if not 0 <= size < 1 << 63:
        raise ValueError("the size is out of range")
    return size


def format_size(size: int) -> str:
    """The shortest text that ``parse_size`` reads as this size."""
    for unit in ("G", "M", "K"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return str(size)
