"""`--faithful`: enclave and loader execute ENCLU itself, and the loader's handler carries out the leaf."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.linux.inside import Image, InsideUnavailableError, make_image

SOURCES = Path(__file__).parent / "faithful"

EREPORT, EGETKEY, EENTER, ERESUME, EEXIT, EACCEPT = range(6)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    directory = tmp_path_factory.mktemp("faithful")
    for source in SOURCES.glob("*.c"):
        command = ["gcc", "-O1", "-static", "-Wall", "-Wextra", "-Werror", source, "-o", directory / source.stem]
        subprocess.run(command, check=True)
    return {file.name: file for file in directory.iterdir()}


@pytest.fixture(scope="module")
def image(built: dict[str, Path]) -> Image:
    programs = {f"/bin/{name}": file for name, file in built.items() if name not in ("at_enclu", "early")}
    programs["/bin/busybox"] = Path("/bin/busybox")
    if not programs["/bin/busybox"].is_file():
        pytest.skip("busybox-static is not installed")
    try:
        return make_image("faithful", programs)
    except InsideUnavailableError as error:
        pytest.skip(str(error))


# Executed by the program itself. #GP and #PF as SDM 38.4 has them in EREPORT, EGETKEY and EACCEPT; codes of table 38-4.
OPERANDS = """\
report: done
the body but for the data is that of /dev/attestation/report: 1
the data is the program's: 1
report, TARGETINFO not aligned: #GP
report, REPORTDATA not aligned: #GP
report, output not aligned: #GP
report, TARGETINFO outside: #GP
report, REPORTDATA outside: #GP
report, output outside: #GP
report, output read-only: #PF at rdx
report, TARGETINFO without access: #PF at rbx
key: code 0, ZF 0
key again: code 0, ZF 0
the same key: 1
key, request not aligned: #GP
key, output not aligned: #GP
key, request outside: #GP
key, output outside: #GP
key, output read-only: #PF at rcx
key, reserved byte: #GP
key, ISVSVN too high: code 64, ZF 1
key, CPUSVN too high: code 32, ZF 1
provisioning key: code 2, ZF 1
key without a name: code 256, ZF 1
accept what does not wait: code 19, ZF 1
accept a page outside: #GP
enter from inside: #GP
resume from inside: #GP
no such leaf: #GP
"""


@pytest.mark.parametrize("platform", ["softsgx-faithful", "softsgx"])
def test_leaves_fault_and_fail_in_a_program_as_the_manual_says(image: Image, platform: str) -> None:
    done = image.run(["/bin/operands"], platform=platform)
    assert (done.stdout, done.status) == (OPERANDS, 0), done.stderr


@pytest.mark.parametrize("name", ["keys/_sgx_mrenclave", "keys/_sgx_mrsigner", "my_target_info", "attestation_type"])
def test_attestation_files_hold_the_same_as_in_an_ordinary_run(image: Image, name: str) -> None:
    arguments = ["/bin/busybox", "hexdump", f"/dev/attestation/{name}"]
    ordinary, faithful = (image.run(arguments, platform=platform) for platform in ("softsgx", "softsgx-faithful"))
    assert (faithful.stdout, faithful.status) == (ordinary.stdout, 0), faithful.stderr
    assert faithful.stdout


# Number of the host call `Park` (runtime/abi/src/call.rs).
PARK = 4


def at_enclu(
    built: dict[str, Path], image: Image, counts: Path, leaf: int, every: int, call: int, *arguments: str
) -> int:
    """Runs a program with a host signal at each `every`th ENCLU of this leaf, or EEXIT for this host call; how often
    that was."""
    command = image.command(["/bin/interrupted", "4", *arguments], platform="softsgx-faithful")
    tracer = [str(built["at_enclu"]), str(leaf), str(every), str(call), str(counts)]
    done = subprocess.run([*tracer, *command], capture_output=True, env={}, timeout=120)
    if done.returncode == 77:
        pytest.skip("processes may not be traced here")
    assert (done.stdout, done.returncode) == (b"4 rounds, signals came\n", 0), done.stderr
    return int(counts.read_text())


# Signals are taken by a host call, and a handler ends in a trap, so a signal at each EENTER, EEXIT or ERESUME would leave time for
# nothing else. Of EACCEPTs there are hundreds.
@pytest.mark.parametrize(
    ("leaf", "every"), [(EREPORT, 1), (EGETKEY, 1), (EENTER, 5), (ERESUME, 5), (EEXIT, 5), (EACCEPT, 5)]
)
def test_a_host_signal_at_the_instruction_itself_disturbs_nothing_and_is_not_lost(
    built: dict[str, Path], image: Image, tmp_path: Path, leaf: int, every: int
) -> None:
    assert at_enclu(built, image, tmp_path / "count", leaf, every, -1) >= 4


def test_a_host_signal_at_the_eexit_of_a_sleep_ends_the_sleep(
    built: dict[str, Path], image: Image, tmp_path: Path
) -> None:
    assert at_enclu(built, image, tmp_path / "count", EEXIT, 1, PARK, "pause") >= 4


# A SIGTERM that waits, blocked, until the loader opens its signals just before it enters.
PENDING = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
os.execv(sys.argv[1], sys.argv[1:])
"""


def addresses(enclave: Path) -> list[str]:
    """Where the enclave is entered, and the word that is 2 once its image is relocated (runtime/platform/src/gate.rs)."""
    symbols = subprocess.run(["nm", str(enclave)], capture_output=True, text=True, check=True).stdout.splitlines()
    found = {words[-1]: words[0] for words in map(str.split, symbols)}
    return [found["_start"], found["casemate_gate_state"]]


@pytest.mark.parametrize("instructions", [0, 100, 200, 300, 1500])
def test_a_host_signal_at_the_first_steps_inside_is_not_lost(
    built: dict[str, Path], image: Image, instructions: int
) -> None:
    """The first thread reads where things lie, takes its area, and then the library OS begins."""
    command = image.command(["/bin/busybox", "sleep", "1000"], platform="softsgx-faithful")
    tracer = [str(built["early"]), *addresses(image.bundle / "enclave"), str(instructions)]
    done = subprocess.run([*tracer, *command], capture_output=True, env={}, timeout=200)
    if done.returncode == 77:
        pytest.skip("processes may not be traced here")
    assert done.returncode == 128 + 15, done.stderr


@pytest.mark.parametrize("platform", ["direct", "softsgx", "softsgx-faithful"])
def test_a_signal_from_before_the_enclave_is_entered_is_not_lost(image: Image, platform: str) -> None:
    command = image.command(["/bin/busybox", "sleep", "1000"], platform=platform)
    done = subprocess.run([sys.executable, "-c", PENDING, *command], capture_output=True, env={}, timeout=100)
    assert done.returncode == -15, done.stderr


def test_other_platforms_refuse_the_option(image: Image) -> None:
    command = image.command(["/bin/operands"], platform="direct")
    done = subprocess.run([*command[:1], *command[1:3], "--faithful", *command[3:]], capture_output=True, env={})
    assert done.returncode == 125
    assert b"--faithful is for the software device" in done.stderr
