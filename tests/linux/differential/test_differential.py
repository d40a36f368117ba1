"""Random calls give the same results and leave the same state inside as on Linux.

By default the scripts are always the same ones; the long tests search with new ones: CASEMATE_DIFFERENTIAL_SECONDS is
their time for each kind, CASEMATE_DIFFERENTIAL_SEED repeats a run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.linux.differential.compare import CALLS, KINDS, Comparison, check_all, search
from tests.linux.differential.shrink import shrink
from tests.linux.inside import InsideUnavailableError
from tests.linux.variants import available_variants

# Kind, seeds, calls of a script.
FIXED = [
    pytest.param("files", range(1, 201), CALLS, id="files"),
    pytest.param("memory", range(1, 101), CALLS, id="memory"),
]
# Scripts that once differed: KIND-WHAT.txt.
REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*-*.txt"))


def _comparison(kind: str) -> Comparison:
    if not available_variants():
        pytest.skip("neither gcc nor musl-gcc is installed")
    try:
        return Comparison(kind)
    except InsideUnavailableError as error:
        pytest.fail(str(error))


def _search(kind: str, seconds: float, first_seed: float) -> None:
    comparison = _comparison(kind)
    seed = int(os.environ.get("CASEMATE_DIFFERENTIAL_SEED", first_seed))
    tried, difference = search(comparison, seed, float(os.environ.get("CASEMATE_DIFFERENTIAL_SECONDS", seconds)))
    assert difference is None, str(comparison.shrunk(difference))
    assert tried > 0


@pytest.mark.parametrize(("kind", "seeds", "calls"), FIXED)
def test_chosen_scripts_give_the_same_results(kind: str, seeds: Iterable[int], calls: int) -> None:
    comparison = _comparison(kind)
    difference = check_all(comparison, seeds, calls)
    assert difference is None, str(comparison.shrunk(difference))


@pytest.mark.parametrize("script", REGRESSIONS, ids=lambda path: path.stem)
def test_scripts_that_once_differed_give_the_same_results(script: Path) -> None:
    kind = script.stem.split("-")[0]
    comparison = _comparison(kind)
    difference = comparison.compare(0, script.read_text().splitlines())
    assert difference is None, str(difference)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", list(KINDS))
def test_random_calls_give_the_same_results_for_minutes(kind: str) -> None:
    _search(kind, 300, time.time())


@pytest.mark.parametrize("kind", list(KINDS))
def test_scripts_depend_on_the_seed_only(kind: str) -> None:
    assert KINDS[kind](7, CALLS) == KINDS[kind](7, CALLS)
    assert KINDS[kind](7, CALLS) != KINDS[kind](8, CALLS)


def test_shrinking_keeps_what_matters() -> None:
    script = [str(number) for number in range(100)]
    assert shrink(script, lambda part: "13" in part and "77" in part) == ["13", "77"]
