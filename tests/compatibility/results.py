"""The results of past runs, one file a module and side, so that single modules can be run again and a run goes on where it was
cut short."""

from __future__ import annotations

import json
import os

from tests.compatibility.root import PLACE
from tests.compatibility.side import Run

SIDES = ("native", "with-fork", "inside")


def save(side: str, module: str, result: Run) -> None:
    """Keeps the result, and what was printed beside it."""
    path = PLACE / side / f"{module}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".txt").write_text(result.text)
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps({"outcome": result.outcome, "cases": result.cases}))
    os.replace(beside, path)


def load(side: str, module: str) -> Run | None:
    path = PLACE / side / f"{module}.json"
    if not path.exists():
        return None
    stored = json.loads(path.read_text())
    return Run(stored["outcome"], stored["cases"])


def forget(module: str) -> None:
    """The next run measures this module anew."""
    for side in SIDES:
        (PLACE / side / f"{module}.json").unlink(missing_ok=True)
