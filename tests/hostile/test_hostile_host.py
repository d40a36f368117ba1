"""A loader that lies: the run goes on with errors or ends cleanly, and nothing that is secret gets out."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.hostile import lying
from tests.hostile.lying import Image, Outcome

# Calls whose lies have runs of their own, or that programs seldom cause.
SELDOM = {"Exit", "ClockRead", "ImageClose", "SignalsTake", "FdSetNonblocking", "Yield", "Log"}
# Calls that only an enclave with dynamic memory makes.
DYNAMIC = {"PageConvert", "PageRemove"}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not there to build the lying loader")
    directory = tmp_path_factory.mktemp("hostile")
    lying.make_rootfs(directory / "rootfs")
    return lying.shield(directory, directory / "rootfs", "/bin/everything")


def check(outcome: Outcome, what: str) -> None:
    defect = outcome.defect()
    assert defect is None, f"{what}: {defect}\nend {outcome.end}, status {outcome.status}\n{outcome.stderr[-2000:]}"


def test_without_lies_every_call_is_made_and_all_is_well(image: Image) -> None:
    outcome = lying.run(image, ["10", "3"], seed=1, kinds=0)
    check(outcome, "no lies")
    assert (outcome.end, outcome.status) == ((0, 0), 0), outcome.stderr
    never = {name for name, count in outcome.made.items() if count == 0}
    assert never <= SELDOM | DYNAMIC, never


def test_a_canary_that_a_program_writes_to_the_host_is_found(image: Image) -> None:
    outcome = lying.run(image, ["leak"], seed=1, kinds=0)
    assert (outcome.status, outcome.end) == (99, None), outcome.stderr
    assert outcome.canary is not None
    assert outcome.canary.startswith("buffer ")
    assert outcome.defect() == f"a canary was outside: {outcome.canary}"


def test_a_program_lives_with_lies_that_only_cost_it_errors(image: Image) -> None:
    lies: Counter[str] = Counter()
    for seed in range(2):
        outcome = lying.run(image, ["40", "3"], seed=seed, kinds=lying.BEARABLE, after=60)
        check(outcome, f"seed {seed}")
        lies += outcome.lies
    assert lies.total() > 1000, lies
    # Lies about pages have runs of their own.
    scarce = {name for name in outcome.made if lies[name] == 0 and not name.startswith("Page")}
    assert scarce <= SELDOM, scarce


@pytest.mark.parametrize("lie", range(22))
def test_a_lie_in_the_start_up_block_is_refused_or_harmless(image: Image, lie: int) -> None:
    outcome = lying.run(image, ["1", "1"], seed=lie, kinds=0, start=lie)
    refused = outcome.status == 125 and "the enclave refused to start" in outcome.stderr
    said = outcome.status in (70, 125) and "casemate: " in outcome.stderr and "internal error" not in outcome.stderr
    assert outcome.canary is None
    assert refused or said or outcome.end == (0, 0), (outcome.status, outcome.stderr)


@pytest.mark.parametrize(
    "kinds", [lying.PAGES, lying.EXCEPTIONS, lying.CLOCK_ERRORS, lying.EXCEPTIONS | lying.BEARABLE]
)
def test_lies_that_nothing_can_bear_end_the_run_cleanly(image: Image, kinds: int) -> None:
    for seed in range(4):
        check(lying.run(image, ["5", "2"], seed=seed, kinds=kinds, rate=100, after=100), f"seed {seed}, kinds {kinds}")


@pytest.mark.long
def test_many_lies(image: Image) -> None:
    every = lying.BEARABLE
    for seed in range(100, 130):
        for kinds in (every, every | lying.PAGES, every | lying.EXCEPTIONS):
            check(lying.run(image, ["400", "4"], seed=seed, kinds=kinds, after=60), f"seed {seed}, kinds {kinds}")


def test_the_loader_that_ships_cannot_lie() -> None:
    assert b"CASEMATE_HOSTILE" not in lying.ships("casemate-host")


def test_the_lying_loader_is_another_one(image: Image) -> None:
    assert b"CASEMATE_HOSTILE" in Path(lying.hostile_loader_path()).read_bytes()
