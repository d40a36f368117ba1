"""What the library OS does alone makes no host calls: twice as much of it makes as many as once (`--stats`)."""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter

import pytest

from tests.linux.inside import Image, InsideUnavailableError, make_image
from tests.linux.variants import BUILD, HERE, WARNINGS

# Of host_calls.c: each is done so often, then twice as often.
OPERATIONS = (
    "read",
    "read-again",
    "stat",
    "fstat",
    "stat-missing",
    "readlink",
    "list",
    "getpid",
    "clock_gettime",
    "clock_gettime-call",
    "futex",
    "mutex",
    "tmpfs",
    "written-over-the-image",
)
COUNT = 1000
# How many pages a program's start needs, and in how many calls, depends on where it comes to lie, which is random.
START_PAGES = 50
FILES = 2 * COUNT
BLOCKS = 2 * COUNT
# The clock is compared with the host's once a second, more often at first, with a few looks each time.
CLOCK_READS = 150
CLOCK_READS_PER_SECOND = 5


@pytest.fixture(scope="module")
def image() -> Image:
    place = BUILD / "host-calls"
    place.mkdir(parents=True, exist_ok=True)
    program, large = place / "host_calls", place / "large"
    subprocess.run(
        ["gcc", *WARNINGS, "-O1", "-pthread", "-s", "-Wl,--build-id=none", str(HERE / "host_calls.c"), "-o", program],
        check=True,
    )
    large.write_bytes(b"".join(number.to_bytes(4, "little") * 1024 for number in range(BLOCKS)))
    files = {"/host_calls": program, "/large": large}
    for digit in range(10):
        small = place / str(digit)
        small.write_bytes(b"x" * digit)
        files |= {f"/many/{number}": small for number in range(digit, FILES, 10)}
    try:
        return make_image("host-calls", files, {"/link": "large"})
    except InsideUnavailableError as error:
        pytest.skip(str(error))


def host_calls(image: Image, platform: str, operation: str, count: int) -> tuple[Counter[str], float]:
    """Host calls of a run by name, and how many seconds it took at most."""
    start = time.monotonic()
    outcome = image.run(["/host_calls", operation, str(count)], platform=platform, stats=True)
    seconds = time.monotonic() - start
    assert outcome.status == 0, outcome.stderr
    _, header, table = outcome.stderr.rpartition("host call ")
    assert header, outcome.stderr
    rows = re.findall(r"^(?:casemate-host: )?([A-Z]\w+) +(\d+)$", table, re.MULTILINE)
    counts = Counter({name: int(number) for name, number in rows})
    assert counts.total() == int(re.findall(r"\ball +(\d+)$", table, re.MULTILINE)[0]), table
    return counts, seconds


@pytest.mark.parametrize("platform", ["direct", "softsgx"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_twice_as_much_makes_no_more_host_calls(image: Image, operation: str, platform: str) -> None:
    (once, seconds_once), (twice, seconds_twice) = (
        host_calls(image, platform, operation, count) for count in (COUNT, 2 * COUNT)
    )
    for counts, seconds in ((once, seconds_once), (twice, seconds_twice)):
        assert counts.pop("ClockRead", 0) <= CLOCK_READS + CLOCK_READS_PER_SECOND * seconds, counts
    for name in once | twice:
        tolerated = START_PAGES if name.startswith("Page") else 0
        assert abs(twice[name] - once[name]) <= tolerated, (name, once, twice)


@pytest.mark.parametrize("platform", ["direct", "softsgx"])
def test_host_calls_are_counted(image: Image, platform: str) -> None:
    once, _ = host_calls(image, platform, "write-out", COUNT)
    twice, _ = host_calls(image, platform, "write-out", 2 * COUNT)
    assert twice["FdWrite"] - once["FdWrite"] == COUNT
