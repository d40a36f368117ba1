"""More threads than there can be, for the enclave or for the host."""

from __future__ import annotations

import os
import resource
import tempfile
from pathlib import Path

import pytest

from tests.robustness.inside import PLATFORMS, image, run

THREADS = 12
# An id that nobody else has.
NOBODY = 54321


def _rounds(first: int) -> list[str]:
    each = [
        "refused: 200",
        "a process: EAGAIN",
        'file: "contents"',
        "ran == made: yes",
        "made == first: yes",
    ]
    return ["then EAGAIN", f"{first} threads", *each, "then EAGAIN", *each, "then EAGAIN", *each]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_threads_end_with_what_the_manifest_gives(platform: str) -> None:
    made = image("threads", ["threads"], (f"sgx.max_threads = {THREADS}",))
    done = run(made, ["/threads"], platform)
    assert done.output == _rounds(THREADS - 1)
    assert (done.status, done.errors) == (0, [])


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run the loader as somebody else")
def test_threads_end_with_what_the_host_gives(platform: str) -> None:
    made = image("host-threads", ["threads"])

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_NPROC, (THREADS, THREADS))
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)

    with tempfile.TemporaryDirectory(prefix="casemate-fuses-", dir="/tmp") as fuses:
        os.chown(fuses, NOBODY, NOBODY)
        done = run(made, ["/threads"], platform, prepare, fuses=Path(fuses) / "fuses")
    assert done.output == _rounds(THREADS - 1)
    assert (done.status, done.errors) == (0, [])
