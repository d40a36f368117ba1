"""A loader that lies: the run goes on with errors or ends cleanly, and nothing that is secret gets out."""

from __future__ import annotations

import shutil
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from tests.hostile import lying
from tests.hostile.lying import Image, Outcome

# Calls whose lies have runs of their own, or that programs seldom cause.
SELDOM = {"Exit", "ClockRead", "ImageClose", "SignalsTake", "FdSetNonblocking", "Yield", "Log", "QuoteMake"}
# Only where servers do exitless calls.
SERVED = {"AnswerAwait"}
# Calls that are not made on a platform: enclaves have dynamic memory here, and something to quote.
NOT_MADE = {
    "direct": {"PageConvert", "PageRemove", "QuoteTarget"},
    "softsgx": {"PageUnmap", "PageDiscard", "PageMove"},
}
PLATFORMS = tuple(NOT_MADE)


SHELL = lying.HERE / "programs/everything.sh"
PYTHON = lying.HERE / "programs/everything.py"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not there to build the lying loader")
    directory = tmp_path_factory.mktemp("hostile")
    lying.make_rootfs(directory / "rootfs")
    return lying.shield(directory, directory / "rootfs", "/bin/everything")


@pytest.fixture(scope="module")
def served(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Image:
    return lying.shield(tmp_path_factory.mktemp("served"), image.rootfs, "/bin/everything", servers=2)


def check(outcome: Outcome, what: str) -> None:
    defect = outcome.defect()
    assert defect is None, f"{what}: {defect}\nend {outcome.end}, status {outcome.status}\n{outcome.stderr[-2000:]}"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_without_lies_every_call_is_made_and_all_is_well(image: Image, platform: str) -> None:
    outcome = lying.run(image, ["10", "3"], seed=1, kinds=0, platform=platform)
    check(outcome, "no lies")
    assert (outcome.end, outcome.status) == ((0, 0), 0), outcome.stderr
    never = {name for name, count in outcome.made.items() if count == 0}
    assert never <= SELDOM | SERVED | NOT_MADE[platform], never


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_canary_that_a_program_writes_to_the_host_is_found(image: Image, platform: str) -> None:
    outcome = lying.run(image, ["leak"], seed=1, kinds=0, platform=platform)
    assert (outcome.status, outcome.end) == (99, None), outcome.stderr
    assert outcome.canary is not None
    assert outcome.canary.startswith("buffer ")
    assert outcome.defect() == f"a canary was outside: {outcome.canary}"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_program_lives_with_lies_that_only_cost_it_errors(image: Image, platform: str) -> None:
    lies: Counter[str] = Counter()
    scarce = {"all"}
    # Some calls are made only where a whole chain of others succeeded, which no one run promises.
    for seed in range(12):
        outcome = lying.run(image, ["40", "3"], seed=seed, kinds=lying.BEARABLE, after=60, platform=platform)
        check(outcome, f"seed {seed}")
        lies += outcome.lies
        # The platform layer's exception stage is entered with other words than were agreed.
        assert (outcome.harassed[4] > 0) == (platform == "softsgx")
        # Lies about pages have runs of their own.
        scarce = {name for name in outcome.made if lies[name] == 0 and not name.startswith("Page")}
        if scarce <= SELDOM | SERVED | NOT_MADE[platform] and lies.total() > 1000:
            return
    raise AssertionError(f"no lies over {scarce}: {lies}")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_program_lives_with_servers_that_lie(served: Image, platform: str) -> None:
    honest = lying.run(served, ["10", "3"], seed=1, kinds=0, platform=platform)
    check(honest, "no lies")
    assert (honest.end, honest.status) == ((0, 0), 0), honest.stderr
    requests = entries = awaited = 0
    # How many calls a server gets hold of is a matter of who runs when; runtime/platform/tests/hostile_replies lies to each.
    for seed in range(20):
        if seed >= 3 and min(requests, entries, awaited) > 2:
            break
        kinds = lying.BEARABLE | lying.RING
        outcome = lying.run(served, ["30", "3"], seed=seed, kinds=kinds, after=60, platform=platform)
        check(outcome, f"seed {seed}, with servers")
        requests, entries = requests + outcome.ring[0], entries + outcome.ring[1]
        awaited += outcome.made["AnswerAwait"]
    lies = (requests, entries, awaited)
    assert min(lies) > 2, lies


@pytest.mark.parametrize("lie", [22, 23, 24])
def test_a_ring_that_is_none_ends_a_run_that_needs_it(served: Image, lie: int) -> None:
    outcome = lying.run(served, ["1", "1"], seed=lie, kinds=0, start=lie)
    assert outcome.status in (70, 125), outcome.stderr
    assert "exitless host calls" in outcome.stderr


# A CPUID table with which no enclave can run, and what is then said.
CPUID = {27: "contradicts the architecture", 28: "no XSAVE"}
# A start that is refused, before the enclave knows what stands for ENCLU: no place for it, no such platform, another version.
REFUSED = (12, 14, 15)


@pytest.mark.parametrize(
    ("platform", "lie"),
    [(platform, lie) for platform in PLATFORMS for lie in range(30)] + [(lying.FAITHFUL, lie) for lie in REFUSED],
)
def test_a_lie_in_the_start_up_block_is_refused_or_harmless(image: Image, platform: str, lie: int) -> None:
    outcome = lying.run(image, ["1", "1"], seed=lie, kinds=0, start=lie, platform=platform)
    refused = outcome.status == 125 and "the enclave refused to start" in outcome.stderr
    said = outcome.status in (70, 125) and "casemate: " in outcome.stderr and "internal error" not in outcome.stderr
    assert outcome.canary is None
    if lie in REFUSED and platform != "direct":
        assert refused, outcome.stderr
    if lie in CPUID and platform != "direct":
        assert CPUID[lie] in outcome.stderr
    assert refused or said or outcome.end == (0, 0), (outcome.status, outcome.stderr)


UNBEARABLE = (lying.PAGES, lying.EXCEPTIONS, lying.CLOCK_ERRORS, lying.EXCEPTIONS | lying.BEARABLE)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("kinds", UNBEARABLE)
def test_lies_that_nothing_can_bear_end_the_run_cleanly(image: Image, kinds: int, platform: str) -> None:
    for seed in range(4):
        outcome = lying.run(image, ["5", "2"], seed=seed, kinds=kinds, rate=100, after=100, platform=platform)
        check(outcome, f"seed {seed}, kinds {kinds}")


@pytest.mark.parametrize("kinds", UNBEARABLE)
def test_lies_that_nothing_can_bear_end_the_run_cleanly_with_servers(served: Image, kinds: int) -> None:
    for seed, platform in ((4, "softsgx"), (5, "softsgx"), (6, lying.FAITHFUL)):
        outcome = lying.run(
            served, ["5", "2"], seed=seed, kinds=kinds | lying.RING, rate=100, after=100, platform=platform
        )
        check(outcome, f"seed {seed}, kinds {kinds}, {platform}")


@pytest.mark.parametrize("platform", [*PLATFORMS, lying.FAITHFUL])
def test_every_call_about_pages_is_lied_about(image: Image, platform: str) -> None:
    lies: Counter[str] = Counter()
    said = "the host says that the page at"
    for seed in range(100):
        outcome = lying.run(
            image, ["3", "2"], seed=seed, kinds=lying.PAGES, rate=100, after=100 * (seed % 9), platform=platform
        )
        check(outcome, f"seed {seed}, {platform}")
        lies += outcome.lies + Counter({said: outcome.stderr.count(f"casemate: fatal: {said}")})
        untold = [name for name in outcome.made if name.startswith("Page") and not lies[name]]
        untold += [said] if platform != "direct" and not lies[said] else []
        if set(untold) <= NOT_MADE[platform.split("-")[0]]:
            return
    raise AssertionError(f"nothing of {untold} in {lies}")


def test_a_thread_whose_page_was_converted_and_denied_comes_with_the_next(image: Image) -> None:
    outcome = lying.run(image, ["5", "1"], seed=1, kinds=lying.DENIED_TCS, platform="softsgx")
    check(outcome, "pages converted and denied")
    assert (outcome.end, outcome.status) == ((0, 0), 0), outcome.stderr
    assert outcome.made["ThreadCreate"] > 0


@pytest.mark.parametrize("platform", ["softsgx", lying.FAITHFUL])
def test_replies_to_other_calls_than_were_made_show_nothing(image: Image, served: Image, platform: str) -> None:
    replied = 0
    for seed in range(40):
        own = served if seed % 2 else image
        kinds = lying.BEARABLE | lying.REPLIES | (lying.RING if own is served else 0)
        outcome = lying.run(own, ["20", "3"], seed=seed, kinds=kinds, after=60, platform=platform)
        check(outcome, f"seed {seed}")
        replied += outcome.replied
        if seed >= 3 and replied > 0:
            return
    raise AssertionError("no new thread replied to the call of another")


@pytest.mark.parametrize("servers", [0, 2])
def test_a_program_lives_with_lies_where_enclu_is_the_instruction(image: Image, served: Image, servers: int) -> None:
    own, kinds = (served, lying.BEARABLE | lying.RING) if servers else (image, lying.BEARABLE)
    honest = lying.run(own, ["5", "3"], seed=1, kinds=0, platform=lying.FAITHFUL)
    check(honest, "no lies")
    assert (honest.end, honest.status) == ((0, 0), 0), honest.stderr
    lies = entries = ring = 0
    for seed in range(20):
        outcome = lying.run(own, ["10", "3"], seed=seed, kinds=kinds, after=60, platform=lying.FAITHFUL)
        check(outcome, f"seed {seed}, {servers} servers")
        lies, entries, ring = lies + outcome.lies.total(), entries + outcome.harassed[4], ring + outcome.ring[0]
        if lies > 200 and entries > 20 and (ring > 2 or not servers):
            return
    raise AssertionError(f"{lies} lies, {entries} entries, {ring} about requests")


@pytest.fixture(scope="module")
def shell(busybox_rootfs: Path, tmp_path_factory: pytest.TempPathFactory) -> Image:
    return lying.shield(tmp_path_factory.mktemp("hostile-shell"), busybox_rootfs, "/bin/busybox", "16G")


@pytest.fixture(scope="module")
def python(debian_rootfs: Path, tmp_path_factory: pytest.TempPathFactory) -> Image:
    return lying.shield(tmp_path_factory.mktemp("hostile-python"), debian_rootfs, "/usr/bin/python3", "16G")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_shell_over_a_lying_host_ends_cleanly(shell: Image, platform: str) -> None:
    arguments = ["sh", "-c", SHELL.read_text()]
    honest = lying.run(shell, arguments, seed=0, kinds=0, platform=platform)
    assert (honest.end, honest.status, honest.defect()) == ((0, 0), 0, None), honest.stderr
    _lie_to(shell, arguments, platform)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_python_over_a_lying_host_ends_cleanly(python: Image, platform: str) -> None:
    arguments = ["-c", PYTHON.read_text()]
    honest = lying.run(python, arguments, seed=0, kinds=0, platform=platform)
    assert (honest.end, honest.status, honest.defect()) == ((0, 0), 0, None), honest.stderr
    _lie_to(python, arguments, platform)


def _lie_to(image: Image, arguments: list[str], platform: str) -> None:
    lies = 0
    # A lie about what a program needs to start at all ends it early, so it takes a few runs.
    for seed in range(60):
        kinds = lying.BEARABLE | (lying.EXCEPTIONS if seed % 3 == 2 else 0)
        outcome = lying.run(image, arguments, seed=seed, kinds=kinds, rate=30, after=150, platform=platform)
        check(outcome, f"seed {seed}, kinds {kinds}")
        lies += outcome.lies.total()
        if seed >= 5 and lies > 60:
            return
    raise AssertionError(f"only {lies} lies")


@pytest.mark.long
@pytest.mark.timeout(14400)
@pytest.mark.parametrize("platform", [*PLATFORMS, lying.FAITHFUL])
def test_many_lies(image: Image, served: Image, platform: str) -> None:
    rounds = 100 if platform == lying.FAITHFUL else 400
    for seed, more in product(range(100, 130), (0, lying.PAGES, lying.EXCEPTIONS, lying.REPLIES)):
        if more == lying.REPLIES and platform == "direct":
            continue
        for own, kinds in ((image, lying.BEARABLE | more), (served, lying.BEARABLE | lying.RING | more)):
            # Where pages are lied about, not so often and not at once, or the run is over before it began.
            rate, after = (20, 60 + 40 * (seed - 100)) if more == lying.PAGES else (300, 60)
            outcome = lying.run(
                own, [str(rounds), "4"], seed=seed, kinds=kinds, rate=rate, after=after, platform=platform
            )
            check(outcome, f"seed {seed}, kinds {kinds}, {platform}")


def test_the_loader_that_ships_cannot_lie() -> None:
    assert b"CASEMATE_HOSTILE" not in lying.ships("casemate-host")


def test_the_lying_loader_is_another_one(image: Image) -> None:
    assert b"CASEMATE_HOSTILE" in Path(lying.hostile_loader_path()).read_bytes()
