"""Builds the programs under programs/ in every variant, in parallel, into build/ (git-ignored, cached by content)."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
BUILD = HERE / "build"
WARNINGS = ("-std=gnu11", "-Wall", "-Wextra", "-Werror")
DIRECTIVE = re.compile(r"^//: (only|flags) (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Variant:
    """One way to build a program: a C library and a kind of linking."""

    libc: str
    linking: str

    @property
    def name(self) -> str:
        return f"{self.libc}-{self.linking}"

    @property
    def compiler(self) -> str:
        return "gcc" if self.libc == "glibc" else "musl-gcc"


VARIANTS = tuple(Variant(libc, linking) for libc in ("glibc", "musl") for linking in ("dynamic", "static"))


class BuildError(Exception):
    """A program does not compile; the text is the compiler's."""


@dataclass(frozen=True)
class Program:
    """One source file. `name` is family/behaviour."""

    name: str
    source: Path

    @property
    def text(self) -> str:
        return self.source.read_text()

    def directives(self) -> dict[str, list[str]]:
        """The `//: only VARIANT...` and `//: flags FLAG...` lines of the source."""
        found: dict[str, list[str]] = {}
        for key, words in DIRECTIVE.findall(self.text):
            found.setdefault(key, []).extend(words.split())
        return found

    def builds_in(self, variant: Variant) -> bool:
        only = self.directives().get("only")
        return only is None or variant.name in only or variant.libc in only or variant.linking in only

    def command(self, variant: Variant, output: Path) -> list[str]:
        linking: list[str] = []
        if variant.linking == "static":
            linking = ["-static", "-no-pie", "-fno-pie"]
        flags = self.directives().get("flags", [])
        return [
            variant.compiler, *WARNINGS, "-O1", "-pthread", *linking, f"-I{PROGRAMS}", str(self.source),
            *flags, "-Wl,--build-id=none", "-s", "-o", str(output),
        ]  # fmt: skip


def discover(pattern: str | None = None, programs: Path = PROGRAMS) -> list[Program]:
    """All programs whose name contains `pattern` (a regular expression), in name order."""
    found = [Program(str(path.relative_to(programs).with_suffix("")), path) for path in programs.glob("*/*.c")]
    return sorted(
        (program for program in found if pattern is None or re.search(pattern, program.name)),
        key=lambda program: program.name,
    )


def binary(program: Program, variant: Variant) -> Path:
    return BUILD / "bin" / variant.name / program.name


def available_variants() -> list[Variant]:
    """The variants whose compiler is installed."""
    return [variant for variant in VARIANTS if shutil.which(variant.compiler)]


def build(programs: Iterable[Program], variant: Variant) -> None:
    """Compiles what changed since the last time; raises `BuildError` naming every program that does not compile."""
    hashes_path = BUILD / f"hashes-{variant.name}.json"
    hashes: dict[str, str] = json.loads(hashes_path.read_text()) if hashes_path.exists() else {}
    version = subprocess.run([variant.compiler, "-dumpfullversion"], check=True, capture_output=True).stdout
    common = version + b"".join(header.read_bytes() for header in sorted(PROGRAMS.glob("*.h")))

    def compile_one(program: Program) -> tuple[Program, str, str | None]:
        target = binary(program, variant)
        command = program.command(variant, target)
        material = common + program.source.read_bytes() + "\0".join(command).encode()
        digest = hashlib.sha256(material).hexdigest()
        if hashes.get(program.name) == digest and target.exists():
            return program, digest, None
        target.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(command, capture_output=True, text=True)
        return program, digest, done.stderr if done.returncode else None

    failures: list[str] = []
    wanted = [program for program in programs if program.builds_in(variant)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for program, digest, error in pool.map(compile_one, wanted):
            if error is None:
                hashes[program.name] = digest
            else:
                hashes.pop(program.name, None)
                failures.append(f"{program.name} ({variant.name}):\n{error}")
    BUILD.mkdir(exist_ok=True)
    fresh = hashes_path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(hashes, sort_keys=True))
    fresh.replace(hashes_path)
    if failures:
        raise BuildError("\n".join(failures))
