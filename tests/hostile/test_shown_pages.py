"""Without EDMM all program memory is there from the start, with contents that nobody vouches for, and only the host's page tables hide
it. A host that hides nothing and puts bytes of its own there changes nothing that a program sees."""

from __future__ import annotations

import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest

from tests.hostile import lying
from tests.hostile.lying import Image

# As runtime/host/src/hostile/mod.rs has it.
SHOWS = 4096
PYTHON = """
import ctypes, json, sqlite3, subprocess, sys, threading
assert sqlite3.connect(":memory:").execute("select sum(value) from json_each('[1,2,4]')").fetchone() == (7,)
assert json.loads(json.dumps({"a": [1.5, None]})) == {"a": [1.5, None]}
assert subprocess.run(["/bin/cat"], input=b"x" * 100_000, capture_output=True).stdout == b"x" * 100_000
assert bytes(ctypes.create_string_buffer(1 << 20)) == bytes(1 << 20)
assert not any(memoryview(bytearray(8 << 20)))
threads = [threading.Thread(target=sum, args=(range(1000),)) for _ in range(4)]
[each.start() for each in threads], [each.join() for each in threads]
sys.exit(7)
"""


def without_dynamic_memory(image: Image) -> Image:
    (image.bundle / "sigstruct.edmm").unlink()
    return image


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Image:
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not there to build the lying loader")
    directory = tmp_path_factory.mktemp("shown")
    lying.make_rootfs(directory / "rootfs")
    return without_dynamic_memory(lying.shield(directory, directory / "rootfs", "/bin/everything"))


def test_a_program_that_makes_every_call_sees_nothing_of_the_hosts_bytes(everything: Image) -> None:
    outcome = lying.run(everything, ["10", "3"], seed=1, kinds=SHOWS, platform="softsgx")
    assert outcome.defect() is None, outcome.stderr
    assert (outcome.end, outcome.status) == ((0, 0), 0), outcome.stderr


def test_files_that_the_host_keeps_back_are_not_its_own_bytes_instead(everything: Image) -> None:
    lies = 0
    for seed in range(40):
        kinds = SHOWS | lying.BEARABLE
        outcome = lying.run(everything, ["60", "4"], seed=seed, kinds=kinds, rate=200, after=60, platform="softsgx")
        assert outcome.defect() is None, f"seed {seed}: {outcome.defect()}\n{outcome.stderr[-2000:]}"
        lies += outcome.lies["ImageOpen"]
        if seed >= 5 and lies > 100:
            return
    raise AssertionError(f"only {lies} lies about files of the image")


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("platform", ["softsgx", lying.FAITHFUL])
def test_many_lies_without_dynamic_memory(everything: Image, platform: str) -> None:
    rounds = "60" if platform == lying.FAITHFUL else "150"
    for seed, more in product(range(200, 220), (SHOWS, lying.PAGES, lying.EXCEPTIONS, lying.REPLIES)):
        # Where pages are lied about, not so often and not at once, or the run is over before it began.
        rate, after = (20, 60 + 40 * (seed - 200)) if more == lying.PAGES else (300, 60)
        kinds = lying.BEARABLE | more
        outcome = lying.run(
            everything, [rounds, "4"], seed=seed, kinds=kinds, rate=rate, after=after, platform=platform
        )
        assert outcome.defect() is None, f"seed {seed}, kinds {kinds}: {outcome.defect()}\n{outcome.stderr[-2000:]}"


def test_python_and_its_libraries_come_from_their_files(
    debian_rootfs: Path, tmp_path_factory: pytest.TempPathFactory, everything: Image
) -> None:
    directory = tmp_path_factory.mktemp("shown-python")
    root = directory / "rootfs"
    subprocess.run(["cp", "-a", "--reflink=auto", str(debian_rootfs), str(root)], check=True)
    image = without_dynamic_memory(lying.shield(directory, root, "/usr/bin/python3.11"))
    outcome = lying.run(image, ["-c", PYTHON], seed=1, kinds=SHOWS, platform="softsgx")
    assert (outcome.end, outcome.status) == ((7, 0), 7), outcome.stderr
