"""The C programs of this directory in images of their own, with the limits that a test wants."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.linux.inside import Image, InsideUnavailableError, make_image
from tests.linux.outcome import ENVIRONMENT
from tests.linux.variants import BUILD, PROGRAMS, WARNINGS

HERE = Path(__file__).resolve().parent
PLATFORMS = ("direct", "softsgx", "softsgx-static")
TIMEOUT_S = 120


@dataclass(frozen=True)
class Ended:
    """How a run ended and what it wrote."""

    status: int
    output: list[str]
    errors: list[str]


def compile_program(name: str) -> Path:
    """A program of this directory, linked dynamically; compiled anew when its source is newer."""
    source, target = HERE / "programs" / f"{name}.c", BUILD / "robustness" / name
    headers = list(PROGRAMS.glob("*.h"))
    if not target.exists() or target.stat().st_mtime < max(file.stat().st_mtime for file in [source, *headers]):
        target.parent.mkdir(parents=True, exist_ok=True)
        command = ["gcc", *WARNINGS, "-O1", "-pthread", f"-I{PROGRAMS}", str(source), "-o", str(target)]
        subprocess.run(command, check=True)
    return target


def image(
    name: str, programs: Iterable[str], settings: tuple[str, ...] = (), files: dict[str, Path] | None = None
) -> Image:
    """An image with these programs under their names, and settings of its manifest; skips the test where there can be none."""
    try:
        contents = {f"/{program}": compile_program(program) for program in programs}
        return make_image(f"robustness-{name}", {**contents, **(files or {})}, settings=settings)
    except FileNotFoundError as error:
        pytest.skip(f"{error.filename} is not installed")
    except InsideUnavailableError as error:
        pytest.skip(str(error))


def run(
    image: Image,
    arguments: Iterable[str],
    platform: str = "direct",
    prepare: Callable[[], None] | None = None,
    fuses: Path | None = None,
    loader: Path | None = None,
    environment: dict[str, str] | None = None,
) -> Ended:
    """Runs a program; `prepare` runs in the new process before the loader does, whose software device has these fuses."""
    command = image.command(arguments, platform=platform)
    if fuses is not None:
        command[command.index("--fuses") + 1] = str(fuses)
    if loader is not None:
        command[0] = str(loader)
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**ENVIRONMENT, **(environment or {})},
        timeout=TIMEOUT_S,
        preexec_fn=prepare,
        check=False,
    )
    errors = [line for line in done.stderr.decode(errors="replace").splitlines() if not _is_usual(line)]
    return Ended(done.returncode, done.stdout.decode(errors="replace").splitlines(), errors)


def _is_usual(line: str) -> bool:
    return "softsgx: this is a simulation" in line or "the host chooses the program's arguments" in line
