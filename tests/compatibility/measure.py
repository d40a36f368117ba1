"""Measures modules: natively, natively with fork where that matters, inside; and at the end, one at a time, again what failed only
inside."""

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
    names = list(modules)
    with ThreadPoolExecutor(jobs) as pool:
        for line in pool.map(lambda module: _measure_one(suite, module), names):
            report(line)
    for name in names:
        if _again_alone(suite, name):
            report(f"alone: {_compared(suite, name)}")


def _measure_one(suite: Suite, module: str) -> str:
    native = _once(suite, "native", module, lambda: run_natively(suite, module, NATIVE_LIMIT_S))
    if native.outcome not in ("passed", "skipped"):
        _once(suite, "with-fork", module, lambda: run_natively(suite, module, NATIVE_LIMIT_S, with_fork=True))
    if not native.counts:
        return f"{module}: natively {native.outcome}"
    _once(suite, "inside", module, lambda: run_inside(suite, module, INSIDE_LIMIT_S))
    return _compared(suite, module)


def _compared(suite: Suite, module: str) -> str:
    native, inside = (results.load(suite, side, module) for side in ("native", "inside"))
    assert native is not None
    assert inside is not None
    failing = sorted(native.passed - inside.passed)
    line = f"{module}: {len(native.passed) - len(failing)} of {len(native.passed)} ({inside.outcome})"
    return " ".join([line, *failing[:5]])


def _once(suite: Suite, side: str, module: str, run: Callable[[], Run]) -> Run:
    known = results.load(suite, side, module)
    if known is None:
        known = run()
        results.save(suite, side, module, known)
    return known


def _again_alone(suite: Suite, module: str) -> bool:
    """As ``python3 -m test -w``: what failed is run again on a quiet machine, because some cases depend on how busy it is; so
    is what ran out of time. A case counts when it passes once."""
    native, first = (results.load(suite, side, module) for side in ("native", "inside"))
    if native is None or first is None or first.alone or (first.ended and native.passed <= first.passed):
        return False
    second = run_inside(suite, module, INSIDE_LIMIT_S)
    best = dict.fromkeys(first.passed | second.passed, "passed")
    text = results.text("inside", module) + second.text
    results.save(suite, "inside", module, Run(second.outcome, {**first.cases, **second.cases, **best}, text, True))
    return True
