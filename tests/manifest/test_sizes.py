from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.manifest.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("256K", 256 << 10),
        ("256M", 256 << 20),
        ("1G", 1 << 30),
        ("1024g", 1 << 40),
        ("0x10K", 16384),
    ],
)
def test_sizes_are_read_as_gramine_reads_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "value",
    ["", "M", "1T", "1 G", "-1", "1.5G", "1GB", "0xG", True, 1.0, None, -1, 1 << 63, "9" * 30, "\u0663M", "8G\n"],
)
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(value)


@given(st.integers(0, (1 << 63) - 1))
def test_what_is_written_is_read_back(size: int) -> None:
    assert parse_size(format_size(size)) == size == parse_size(size)
