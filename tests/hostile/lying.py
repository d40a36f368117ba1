"""Runs programs over a loader that lies: the loader with the feature `hostile` (runtime/host/src/hostile), built for tests
only, with the enclave image that ships.

`python -m tests.hostile.lying PLATFORM SEED KINDS ROUNDS [HONEST]` runs one by hand.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from casemate.loader.files import RUNTIME_DIRECTORY
from tests.bundles import unpack_bundle
from tests.signed import sign_bundle

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TRIPLE = "x86_64-unknown-linux-gnu"

# As runtime/host/src/hostile/mod.rs has them.
RESULTS, BUFFERS, SCRIBBLES, INTERRUPTS, EXCEPTIONS = 1, 2, 4, 8, 16
PAGES, THREADS, CLOCKS, CLOCK_ERRORS, IMAGES, ENTRIES, REPLIES = 32, 64, 128, 256, 512, 1024, 2048
RING, FULL, DENIED_TCS = 8192, 16384, 32768
# Lies that a program can live with: none of them takes away what it cannot do without.
BEARABLE = RESULTS | BUFFERS | SCRIBBLES | INTERRUPTS | CLOCKS | IMAGES | THREADS | ENTRIES

CANARY_SEED = "Qm7xWz2LkP9rTb4v"
CANARY = bytes(byte ^ 0x9C for byte in CANARY_SEED.encode())
IMAGE_FILES = 2500
# The software device where ENCLU is the instruction.
FAITHFUL = "softsgx-faithful"
# What takes longer hangs.
LIMIT_SECONDS = 200

# How the platform layer and the library OS may end a run, and when.
_ENDS = {
    "the host gives no time": CLOCK_ERRORS,
    "fault in the library OS: vector": EXCEPTIONS,
    "the host gave a new thread a block inside the enclave": THREADS,
    "the host keeps a page of the program from it": PAGES,
}
# A host that replies to other calls than were made, or says of pages that it added them and did not: EACCEPT faults there.
_ENDS_OF_ENCLAVES = {
    "the host gives no time": REPLIES,
    "the host says that the page at": PAGES | REPLIES,
    "the host keeps a page of the program from it": PAGES | REPLIES,
    # Of the library OS itself, which cannot do without.
    "memory allocation of": PAGES | REPLIES,
}


def hostile_loader() -> Path:
    """The lying loader, built by cargo when its sources changed."""
    target = ROOT / "target" / "hostile"
    command = ["cargo", "build", "--quiet", "--config", "runtime/freestanding.toml", "--profile", "freestanding"]
    command += ["--target", TRIPLE, "-p", "casemate-host", "--features", "hostile", "--target-dir", str(target)]
    environment = {name: value for name, value in os.environ.items() if "RUSTFLAGS" not in name}
    subprocess.run(command, cwd=ROOT, check=True, env=environment)
    return target / TRIPLE / "freestanding" / "casemate-host"


@dataclass(frozen=True)
class Image:
    """A root file system, the bundle that vouches for it, and a directory of the host that it may use."""

    rootfs: Path
    bundle: Path
    volume: Path


def make_rootfs(rootfs: Path) -> None:
    """Programs and the files that one of them knows the contents of."""
    for name in ("bin", "tmp", "files", "data"):
        (rootfs / name).mkdir(parents=True)
    source = HERE / "programs" / "everything.c"
    command = ["gcc", "-O1", "-static-pie", "-fPIE", "-pthread", str(source), "-o", str(rootfs / "bin/everything")]
    subprocess.run(command, check=True)
    for number in range(IMAGE_FILES):
        (rootfs / "files" / str(number)).write_text(f"contents of {number}\n")


def shield(directory: Path, rootfs: Path, program: str, enclave_size: str = "2G", servers: int = 0) -> Image:
    """`casemate build` of a root file system, whose arguments the host chooses; with servers for exitless calls."""
    image = Image(rootfs, directory / "bundle", directory / "volume")
    manifest = directory / "manifest.toml"
    lines = [
        f'libos.entrypoint = "{program}"',
        "loader.insecure__use_cmdline_argv = true",
        f'loader.env.CANARY_SEED = "{CANARY_SEED}"',
        'loader.env.PATH = "/usr/bin:/bin"',
        'sgx.allowed_files = ["file:/data/"]',
        f'sgx.enclave_size = "{enclave_size}"',
        f"sgx.exitless_threads = {servers}",
    ]
    manifest.write_text("\n".join(lines) + "\n")
    output = directory / "image"
    command = [sys.executable, "-m", "casemate", "build", f"dir:{rootfs}", "-o", f"oci:{output}"]
    cache = {"XDG_CACHE_HOME": str(directory / "cache")}
    subprocess.run(
        [*command, "--manifest", str(manifest)], check=True, env={**os.environ, **cache}, capture_output=True
    )
    unpack_bundle(f"oci:{output}", image.bundle)
    sign_bundle(image.bundle)
    return image


@dataclass
class Outcome:
    """How a run over a lying loader ended."""

    status: int
    stderr: str
    kinds: int
    platform: str
    made: Counter[str] = field(default_factory=Counter)
    lies: Counter[str] = field(default_factory=Counter)
    # Words scribbled over, wake-ups, interrupts, exceptions, entries.
    harassed: tuple[int, ...] = (0, 0, 0, 0, 0)
    # Lies about exitless requests, entries of the ring changed.
    ring: tuple[int, ...] = (0, 0)
    # Threads that entered where another was in a host call, and so replied to it.
    replied: int = 0
    # Status and signal that the enclave ended the run with; None when it did not.
    end: tuple[int, int] | None = None
    canary: str | None = None
    # It did not end, and was ended.
    hung: bool = False

    def defect(self) -> str | None:
        """What is wrong with this end; None for an end that the enclave chose for a reason that it may have."""
        if self.canary is not None:
            return f"a canary was outside: {self.canary}"
        if self.replied and not self.kinds & REPLIES:
            return "a new thread replied to a call in a run without such lies"
        if self.end is None and not self.hung:
            return f"the loader died with status {self.status}"
        for sign in ("internal error", "wrong: ", "panicked"):
            if sign in self.stderr:
                return f"'{sign}'"
        fatal = re.findall(r"casemate: fatal: (.*)", self.stderr)
        for reason in fatal:
            if not self._may_end(reason):
                return f"ended for no good reason: {reason}"
        if self.end == (70, 0) and not fatal and not self._may_be_silent():
            return "ended without a word"
        return None

    def _may_end(self, reason: str) -> bool:
        known = [*_ENDS.items(), *(_ENDS_OF_ENCLAVES.items() if self.platform != "direct" else ())]
        # What the library OS says when it was denied memory.
        reason = re.sub(r"^panic in the library OS at \S+, thread .*?: (memory allocation of)", r"\1", reason)
        return any(self._says(reason, start) and self.kinds & kinds for start, kinds in known)

    def _says(self, line: str, start: str) -> bool:
        """Whether a line begins so, where words of it may have been changed on the way out, even into its end."""
        same = sum(ours == theirs for ours, theirs in zip(line, start, strict=False))
        return same == len(start) or (bool(self.kinds & SCRIBBLES) and same * 2 >= min(len(line), len(start)))

    def _may_be_silent(self) -> bool:
        """Whether the last line was changed on its way out, as a host can that scribbles over its own buffers; or was perhaps
        not written, when something else replied to the call that was to write it."""
        if self.kinds & REPLIES:
            return True
        lines = self.stderr.splitlines()
        return bool(self.kinds & SCRIBBLES) and any(line and not re.match("casemate(-host)?: ", line) for line in lines)


def run(
    image: Image,
    arguments: Sequence[str],
    *,
    seed: int,
    kinds: int,
    rate: int = 300,
    after: int = 0,
    start: int | None = None,
    platform: str = "direct",
) -> Outcome:
    """Runs a program of the image; `rate` lies in 1,000 calls, after so many honest calls. `platform` may be `FAITHFUL`."""
    shutil.rmtree(image.volume, ignore_errors=True)
    image.volume.mkdir()
    settings = {"seed": seed, "rate": rate, "kinds": kinds, "after": after}
    if start is not None:
        settings["start"] = start
    with tempfile.TemporaryFile() as report, tempfile.TemporaryFile() as errors:
        number = report.fileno()
        settings["report"] = number
        environment = {
            "CASEMATE_HOSTILE": ",".join(f"{name}={value}" for name, value in settings.items()),
            "CASEMATE_CANARY": CANARY.hex(),
        }
        command = [str(hostile_loader_path()), "--bundle", str(image.bundle), "--root", str(image.rootfs)]
        command += ["--platform", platform.split("-")[0], "--fuses", str(image.bundle / "fuses")]
        command += ["--faithful"] if platform == FAITHFUL else []
        command += ["--volume", f"{image.volume}:/data", "--", *arguments]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment,
            pass_fds=[number],
        )
        hung = False
        try:
            # Of a host that mixes up replies nobody can expect that it goes on.
            status = process.wait(LIMIT_SECONDS if kinds & REPLIES == 0 else LIMIT_SECONDS / 10)
        except subprocess.TimeoutExpired:
            threads = _threads(process.pid)
            process.kill()
            status, hung = process.wait(), True
        if hung and kinds & REPLIES == 0:
            raise AssertionError(f"seed {seed}, kinds {kinds}: the run hangs\n{threads}")
        report.seek(0)
        errors.seek(0)
        outcome = Outcome(status, errors.read().decode("latin-1"), kinds, platform, hung=hung)
        _read_report(report.read().decode(), outcome)
    return outcome


def _threads(process: int) -> str:
    """Each thread of a process: state, system call or `running`, ticks of processor time in user and system mode."""
    lines = []
    for task in sorted(Path(f"/proc/{process}/task").iterdir()):
        words = (task / "stat").read_text().rpartition(")")[2].split()
        call = (task / "syscall").read_text().split()[0]
        lines.append(f"{task.name} {words[0]} {call} {words[11]} {words[12]}")
    return "\n".join(lines)


def _read_report(report: str, outcome: Outcome) -> None:
    for line in report.splitlines():
        word, *rest = line.split()
        if word == "call":
            outcome.made[rest[0]], outcome.lies[rest[0]] = int(rest[1]), int(rest[2])
        elif word == "harassed":
            outcome.harassed = tuple(map(int, rest))
        elif word == "ring":
            outcome.ring = tuple(map(int, rest))
        elif word == "replied":
            outcome.replied = int(rest[0])
        elif word == "canary":
            outcome.canary = " ".join(rest)
        elif word == "end":
            outcome.end = (int(rest[0]), int(rest[1]))


_built: list[Path] = []


def hostile_loader_path() -> Path:
    """The lying loader; built once a process."""
    if not _built:
        _built.append(hostile_loader())
    return _built[0]


def ships(name: str) -> bytes:
    """A runtime binary as the package has it."""
    return (RUNTIME_DIRECTORY / name).read_bytes()


def main() -> None:
    """One run by hand, its outcome as JSON."""
    platform = sys.argv[1]
    seed, kinds, rounds = map(int, sys.argv[2:5])
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        make_rootfs(directory / "rootfs")
        image = shield(directory, directory / "rootfs", "/bin/everything")
        after = int(sys.argv[5]) if len(sys.argv) > 5 else 30
        outcome = run(image, [str(rounds), "3"], seed=seed, kinds=kinds, after=after, platform=platform)
    print(outcome.stderr, file=sys.stderr)
    shown = {"status": outcome.status, "end": outcome.end, "harassed": outcome.harassed, "defect": outcome.defect()}
    print(json.dumps({**shown, "lies": outcome.lies, "total": outcome.lies.total()}, indent=1))


if __name__ == "__main__":
    main()
