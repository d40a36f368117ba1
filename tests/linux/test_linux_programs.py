"""Every program under programs/ prints the same natively and inside the library OS, in every variant."""

from __future__ import annotations

from functools import cache

import pytest

from tests.linux.inside import InsideUnavailableError
from tests.linux.runner import Result, known_differences, run_all, variant_image
from tests.linux.variants import VARIANTS, Variant, available_variants, build, discover

PROGRAMS = discover()
KNOWN = known_differences()


@cache
def results(variant: Variant) -> dict[str, Result] | str:
    """All results of a variant, run in parallel by the first test that asks; or why there are none."""
    if variant not in available_variants():
        return f"{variant.compiler} is not installed"
    build(PROGRAMS, variant)
    try:
        image = variant_image(variant)
    except InsideUnavailableError as error:
        return str(error)
    return {result.program.name: result for result in run_all(PROGRAMS, variant, image)}


@pytest.mark.timeout(900)  # the first test of a variant runs all of them
@pytest.mark.parametrize(
    ("variant", "name"),
    [
        pytest.param(variant, program.name, id=f"{variant.name}-{program.name}")
        for variant in VARIANTS
        for program in PROGRAMS
        if program.builds_in(variant)
    ],
)
def test_prints_the_same_inside(variant: Variant, name: str) -> None:
    found = results(variant)
    if isinstance(found, str):
        pytest.skip(found)
    difference = found[name].difference()
    if name in KNOWN:
        if difference is not None:
            pytest.xfail(KNOWN[name])
        return
    assert difference is None, difference


def test_there_are_enough_programs() -> None:
    assert len(PROGRAMS) >= 250
