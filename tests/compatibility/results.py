"""The results of past runs, one file a module and side, so that single modules can be run again and a run goes on where it was
cut short. A result counts only for what it was measured with: the root file system, and inside the runtime, too."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.compatibility.root import PLACE, Suite
from tests.compatibility.side import Run

SIDES = ("native", "with-fork", "inside")


def save(suite: Suite, side: str, module: str, result: Run) -> None:
    """Keeps the result, and what was printed beside it."""
    path = _path(side, module)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".txt").write_text(result.text)
    beside = path.with_suffix(".new")
    found = {"of": _of(suite, side), "outcome": result.outcome, "cases": result.cases, "alone": result.alone}
    beside.write_text(json.dumps(found))
    os.replace(beside, path)


def load(suite: Suite, side: str, module: str) -> Run | None:
    """The result; ``None`` if there is none, or one of another root file system or runtime."""
    path = _path(side, module)
    if not path.exists():
        return None
    stored = json.loads(path.read_text())
    if stored.get("of") != _of(suite, side):
        return None
    return Run(stored["outcome"], stored["cases"], alone=stored["alone"])


def text(side: str, module: str) -> str:
    """What was printed when this result was taken."""
    return _path(side, module).with_suffix(".txt").read_text()


def forget(module: str) -> None:
    """The next run measures this module anew."""
    for side in SIDES:
        _path(side, module).unlink(missing_ok=True)


def _path(side: str, module: str) -> Path:
    return PLACE / side / f"{module}.json"


def _of(suite: Suite, side: str) -> str:
    # Both names end in a digest of what they are made from; the runtime's binaries are part of the bundle's.
    return (suite.bundle if side == "inside" else suite.rootfs).name
