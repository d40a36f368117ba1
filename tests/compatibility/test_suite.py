"""A short part of CPython's test suite, natively and in the library OS. `make compatibility` runs all of it."""

from __future__ import annotations

import os

import pytest

from tests.compatibility.document import REASONS, read_reasons
from tests.compatibility.root import Suite, make_suite
from tests.compatibility.side import run_inside, run_natively
from tests.images import ToolMissingError

SHORT = ("test_json", "test_bufio", "test_mmap", "test_selectors", "test_fileio")
LONGER = ("test_asyncio", "test_io", "test_os", "test_re", "test_signal", "test_socket", "test_subprocess",
          "test_threading")  # fmt: skip
LIMIT_S = 280.0


@pytest.fixture(scope="module")
def suite() -> Suite:
    if os.geteuid() != 0:
        pytest.skip("the native side uses chroot and namespaces: run as root")
    try:
        return make_suite()
    except ToolMissingError as error:
        pytest.skip(str(error))


def compare(suite: Suite, module: str) -> None:
    native = run_natively(suite, module, LIMIT_S)
    assert native.counts, native.text[-2000:]
    inside = run_inside(suite, module, LIMIT_S)
    reasons = read_reasons(REASONS.read_text())
    known = {case for case in native.passed if any(reason.covers(module, case) for reason in reasons)}
    assert not native.passed - inside.passed - known, inside.text[-5000:]


@pytest.mark.parametrize("module", SHORT)
def test_what_passes_natively_passes_inside(module: str, suite: Suite) -> None:
    compare(suite, module)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("module", LONGER)
def test_longer_modules_pass_inside(module: str, suite: Suite) -> None:
    compare(suite, module)
