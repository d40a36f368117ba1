"""docs/syscalls.md says what the library OS does today."""

from __future__ import annotations

import pytest

from tests.linux.syscalls_document import DOCUMENT, NAMES, TABLE, current, read_calls


def test_the_document_is_current() -> None:
    assert DOCUMENT.read_text() == current(), "run `python -m tests.linux.syscalls_document`"


def test_at_least_170_calls_are_served() -> None:
    calls = read_calls(TABLE.read_text(), NAMES.read_text())
    assert sum(call.is_served for call in calls) >= 170


def test_a_line_in_another_form_is_refused() -> None:
    table = TABLE.read_text().replace("read_write::sys_read [full]", "read_write::sys_read [fully]", 1)
    with pytest.raises(ValueError, match="call 0"):
        read_calls(table, NAMES.read_text())


def test_a_wrong_name_is_refused() -> None:
    table = TABLE.read_text().replace("    0 read(", "    0 raed(", 1)
    with pytest.raises(ValueError, match="call 0 is read on Linux, not raed"):
        read_calls(table, NAMES.read_text())
