"""Ten minutes of the mixed stress program: what it uses of the host stays flat."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.linux.inside import Image, InsideUnavailableError, make_image
from tests.linux.variants import available_variants, binary, build, discover

SECONDS = int(os.environ.get("CASEMATE_STRESS_SECONDS", "600"))
# After so long everything has been used once.
SETTLED_S = 30


@dataclass(frozen=True)
class Use:
    """What the loader's process has of the host at one moment."""

    resident_kib: int
    threads: int
    descriptors: int
    mappings: int


def _use(pid: int) -> Use | None:
    process = Path("/proc") / str(pid)
    try:
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        maps = (process / "maps").read_text().count("\n")
        descriptors = len(list((process / "fd").iterdir()))
        return Use(int(status["VmRSS"].split()[0]), int(status["Threads"]), descriptors, maps)
    except (OSError, KeyError):
        return None  # it has just ended


@pytest.fixture(scope="module")
def image() -> Image:
    variant = next(iter(available_variants()), None)
    if variant is None:
        pytest.skip("neither gcc nor musl-gcc is installed")
    programs = discover("thread/mixed_stress")
    build(programs, variant)
    try:
        return make_image("stress", {"/mixed_stress": binary(programs[0], variant)})
    except InsideUnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_ten_minutes_of_stress_leave_nothing_behind(image: Image) -> None:
    command = [str(image.bundle / "casemate-host"), "--bundle", str(image.bundle), "--root", str(image.rootfs)]
    command += ["--", "/tmp/stress", "/mixed_stress", str(SECONDS)]
    seen: list[Use] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        begin = time.monotonic()
        while run.poll() is None:
            time.sleep(2)
            use = _use(run.pid)
            if use is not None and time.monotonic() - begin > min(SETTLED_S, SECONDS / 4):
                seen.append(use)
        output, log = run.communicate()
    assert run.returncode == 0, log
    assert "bad: 0" in output, output
    assert ": no" not in output, output
    half = len(seen) // 2
    early, late = seen[:half], seen[half:]
    assert early, "the run was too short to compare"
    assert max(use.resident_kib for use in late) <= 1.2 * max(use.resident_kib for use in early) + 2048
    assert max(use.mappings for use in late) <= max(use.mappings for use in early) + 40
    # Each of the four threads may have a helper, beside the first thread.
    assert max(use.threads for use in late) <= 12
    assert max(use.descriptors for use in late) <= max(use.descriptors for use in early)
