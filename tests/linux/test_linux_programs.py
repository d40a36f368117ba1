"""Every program under programs/ prints the same natively and inside the library OS, in every variant."""

from __future__ import annotations

from functools import cache

import pytest

from tests.linux.inside import InsideUnavailableError
from tests.linux.runner import Result, known_differences, run_all, variant_image
from tests.linux.variants import VARIANTS, Variant, available_variants, build, discover

PROGRAMS = discover()
KNOWN = known_differences()


# What the enclave platforms do in their own way: exceptions, pages, threads, new programs.
SAMPLE = ("signal/", "memory/", "thread/", "exec/", "futex/")
# Programs that make host calls, or whose threads wake one another, run once more with servers for those calls.
EXITLESS = ("socket/", "epoll/", "thread/", "poll/", "futex/")

# Where ENCLU is the instruction each page is accepted on its own: too slow for the stacks of hundreds of threads, and the software
# device moves each page that comes from a file into a mapping of its own, of which the host has no 80,000.
NOT_FAITHFUL = ("thread/many_threads", "memory/shared_mapping_written_here_and_there")
FAITHFUL = ("signal/", "thread/", "futex/")


@cache
def results(
    variant: Variant, platform: str = "direct", families: tuple[str, ...] = (), servers: int = 0
) -> dict[str, Result] | str:
    """All results of a variant, run in parallel by the first test that asks; or why there are none."""
    if variant not in available_variants():
        return f"{variant.compiler} is not installed"
    build(PROGRAMS, variant)
    try:
        kind = f"-exitless{servers}" if servers else ""
        image = variant_image(variant, kind, (f"sgx.exitless_threads = {servers}",) if servers else ())
    except InsideUnavailableError as error:
        return str(error)
    left_out = NOT_FAITHFUL if platform == "softsgx-faithful" else ()
    programs = [
        program
        for program in PROGRAMS
        if (not families or program.name.startswith(families)) and program.name not in left_out
    ]
    return {result.program.name: result for result in run_all(programs, variant, image, platform=platform)}


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
    judge(results(variant), name)


def judge(found: dict[str, Result] | str, name: str) -> None:
    if isinstance(found, str):
        pytest.skip(found)
    difference = found[name].difference()
    if name in KNOWN:
        if difference is not None:
            pytest.xfail(KNOWN[name])
        return
    assert difference is None, difference


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "name",
    [program.name for program in PROGRAMS if program.name.startswith(SAMPLE) and program.builds_in(VARIANTS[0])],
)
def test_prints_the_same_on_the_software_device(name: str) -> None:
    judge(results(VARIANTS[0], "softsgx", SAMPLE), name)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("platform", ["direct", "softsgx"])
@pytest.mark.parametrize(
    "name",
    [program.name for program in PROGRAMS if program.name.startswith(EXITLESS) and program.builds_in(VARIANTS[0])],
)
def test_prints_the_same_with_exitless_host_calls(name: str, platform: str) -> None:
    judge(results(VARIANTS[0], platform, EXITLESS, servers=2), name)


# Pages and faults: what is another there.
STATIC_SAMPLE = [
    program.name for program in PROGRAMS if program.name.startswith(SAMPLE[:2]) and program.builds_in(VARIANTS[0])
]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", STATIC_SAMPLE)
def test_prints_the_same_in_an_enclave_without_dynamic_memory(name: str) -> None:
    judge(results(VARIANTS[0], "softsgx-static", SAMPLE[:2]), name)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("platform", ["direct", "softsgx", "softsgx-static"])
@pytest.mark.parametrize("size", ["512M", "2G"])
def test_a_program_at_fixed_addresses_becomes_another_in_a_small_enclave(size: str, platform: str) -> None:
    # Both have their addresses from the linker, `launch` too. Below 4 GiB they share them with all that is kept there.
    variant = next(variant for variant in VARIANTS if variant.name == "glibc-static")
    if variant not in available_variants():
        pytest.skip(f"{variant.compiler} is not installed")
    build(PROGRAMS, variant)
    image = variant_image(variant, f"-{size}", (f'sgx.enclave_size = "{size}"',))
    (result,) = run_all(discover("memory/partial_munmap"), variant, image, platform=platform)
    assert result.difference() is None, result.difference()


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "name",
    [
        program.name
        for program in PROGRAMS
        if program.name.startswith(FAITHFUL) and program.builds_in(VARIANTS[0]) and program.name not in NOT_FAITHFUL
    ],
)
def test_prints_the_same_where_the_enclave_executes_enclu(name: str) -> None:
    judge(results(VARIANTS[0], "softsgx-faithful", FAITHFUL), name)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "name",
    [program.name for program in PROGRAMS if program.builds_in(VARIANTS[0]) and program.name not in NOT_FAITHFUL],
)
def test_every_program_prints_the_same_where_the_enclave_executes_enclu(name: str) -> None:
    judge(results(VARIANTS[0], "softsgx-faithful"), name)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("variant", "name"),
    [
        pytest.param(variant, program.name, id=f"{variant.name}-{program.name}")
        for variant in VARIANTS
        for program in PROGRAMS
        if program.builds_in(variant)
    ],
)
def test_every_program_prints_the_same_on_the_software_device(variant: Variant, name: str) -> None:
    judge(results(variant, "softsgx"), name)


def test_there_are_enough_programs() -> None:
    assert len(PROGRAMS) >= 250
