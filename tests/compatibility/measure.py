"""Measures modules: natively, natively with fork where that matters, inside; and again what failed only inside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from tests.compatibility import results
from tests.compatibility.root import Suite
from tests.compatibility.side import Run, run_inside, run_natively

NATIVE_LIMIT_S = 600.0
INSIDE_LIMIT_S = 900.0


def measure(suite: Suite, modules: Iterable[str], jobs: int, report: Callable[[str], None]) -> None:
    """Measures what has no result yet; ``report`` gets one line a module."""
    with ThreadPoolExecutor(jobs) as pool:
        for line in pool.map(lambda module: _measure_one(suite, module), modules):
            report(line)


def _measure_one(suite: Suite, module: str) -> str:
    native = _once(suite, "native", module, lambda: run_natively(suite, module, NATIVE_LIMIT_S))
    if native.outcome not in ("passed", "skipped"):
        _once(suite, "with-fork", module, lambda: run_natively(suite, module, NATIVE_LIMIT_S, with_fork=True))
    if not native.counts:
        return f"{module}: natively {native.outcome}"
    inside = _once(suite, "inside", module, lambda: _inside_twice(suite, module, native))
    failing = sorted(native.passed - inside.passed)
    return f"{module}: {len(native.passed) - len(failing)} of {len(native.passed)} {' '.join(failing[:5])}".rstrip()


def _once(suite: Suite, side: str, module: str, run: Callable[[], Run]) -> Run:
    known = results.load(suite, side, module)
    if known is None:
        known = run()
        results.save(suite, side, module, known)
    return known


def _inside_twice(suite: Suite, module: str, native: Run) -> Run:
    """As ``python3 -m test -w``: what fails is run again, because some cases depend on how busy the machine is."""
    first = run_inside(suite, module, INSIDE_LIMIT_S)
    if native.passed <= first.passed or first.outcome == "no end":
        return first
    second = run_inside(suite, module, INSIDE_LIMIT_S)
    best = dict.fromkeys(first.passed | second.passed, "passed")
    return Run(second.outcome, {**first.cases, **second.cases, **best}, first.text + second.text)
