"""A fault inside the library OS ends the run with one report: which call, which thread, which address.

The enclave image is one that was built to fail when a program asks for it (feature `faults`); nothing that ships has that.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from casemate.loader.files import RUNTIME_DIRECTORY
from tests.linux.inside import Image
from tests.robustness.inside import image, run
from tests.signed import sign_bundle

ROOT = Path(__file__).resolve().parents[2]
TRIPLE = "x86_64-unknown-linux-gnu"
FATAL = 70
PLATFORMS = ("direct", "softsgx", "softsgx-static")

PANIC, NULL, NOT_CANONICAL, UNDEFINED, STACK, MEMORY, BOUNDS = range(4000, 4007)
# What the report says of each, before it says where.
REPORTS = {
    PANIC: r"panic in the library OS at \S+/faults\.rs:\d+:\d+",
    NULL: r"fault in the library OS: vector 14 error 0x[0-9a-f]+ at rip \S+ \(image\+0x[0-9a-f]+\), address 0x10, rsp \S+",
    NOT_CANONICAL: r"fault in the library OS: vector 13 error 0x0 at rip \S+ \(image\+0x[0-9a-f]+\), address \S+, rsp \S+",
    UNDEFINED: r"fault in the library OS: vector 6 error 0x0 at rip \S+ \(image\+0x[0-9a-f]+\), address \S+, rsp \S+",
    STACK: r"fault in the library OS: vector 14 error 0x[0-9a-f]+ at rip \S+ \(image\+0x[0-9a-f]+\), address \S+, rsp \S+",
    MEMORY: r"panic in the library OS at \S+",
    BOUNDS: r"panic in the library OS at \S+/faults\.rs:\d+:\d+",
}
WORDS = {PANIC: "asked for", MEMORY: "memory allocation of 35184372088832 bytes failed", BOUNDS: "index out of bounds"}


def build_failing_enclave() -> Path:
    """The enclave image with the feature, optimised less than the one that ships; cargo builds it when its sources changed."""
    target = ROOT / "target" / "faults"
    command = ["cargo", "build", "--quiet", "--config", "runtime/freestanding.toml", "--profile", "freestanding"]
    command += ["--config", "profile.freestanding.lto=false", "--config", "profile.freestanding.codegen-units=16"]
    command += ["--config", "profile.freestanding.opt-level=1", "--target", TRIPLE, "-p", "casemate-enclave"]
    command += ["--features", "faults", "--target-dir", str(target)]
    environment = {name: value for name, value in os.environ.items() if "RUSTFLAGS" not in name}
    subprocess.run(command, cwd=ROOT, check=True, env=environment)
    return target / TRIPLE / "freestanding" / "casemate-enclave"


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Image:
    made = image("fault", ["fault"])
    bundle = tmp_path_factory.mktemp("failing") / "bundle"
    shutil.copytree(made.bundle, bundle)
    (bundle / "enclave").unlink()
    shutil.copyfile(build_failing_enclave(), bundle / "enclave")
    sign_bundle(bundle)
    return dataclasses.replace(made, bundle=bundle)


@pytest.mark.timeout(900)  # the first test builds an enclave image
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("thread", ["first", "second"])
@pytest.mark.parametrize("call", REPORTS)
def test_a_fault_in_the_library_os_is_reported_once(failing: Image, platform: str, thread: str, call: int) -> None:
    done = run(failing, ["/fault", str(call), thread], platform)
    assert (done.status, done.output) == (FATAL, ["it runs"]), done.errors
    assert len(done.errors) == 1, done.errors
    # The first thread of the program has its process's id, 1; one looks on; the next is the third.
    number = {"first": "1", "second": "3"}[thread]
    where = rf", thread {number}, system call {call}, host call none"
    words = f": {WORDS[call]}" if call in WORDS else "$"
    assert re.match(f"casemate: fatal: {REPORTS[call]}{where}{words}", done.errors[0]), done.errors[0]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("call", [PANIC, NULL, STACK])
def test_several_threads_that_fail_at_once_make_one_report(failing: Image, platform: str, call: int) -> None:
    for _ in range(5):
        done = run(failing, ["/fault", str(call), "several"], platform)
        assert (done.status, done.output) == (FATAL, ["it runs"]), done.errors
        assert len(done.errors) == 1, done.errors
        assert f"system call {call}" in done.errors[0]


def test_the_enclave_that_ships_does_not_fail_when_it_is_asked_to() -> None:
    done = run(image("fault", ["fault"]), ["/fault", str(PANIC), "first"])
    assert (done.status, done.output) == (0, ["it runs", "it goes on"]), done.errors
    assert b"faults.rs" not in (RUNTIME_DIRECTORY / "enclave").read_bytes()
