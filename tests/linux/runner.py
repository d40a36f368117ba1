"""Runs the regression programs natively and inside the library OS, and compares what they print.

For developers: `python tests/linux/runner.py [--variant glibc-dynamic] [-k PATTERN] [--native-only] [--trace]`.
pytest uses the same functions (test_linux_programs.py).
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.linux.inside import Image, InsideUnavailableError, make_image
from tests.linux.outcome import Outcome, run_natively
from tests.linux.variants import (
    VARIANTS,
    BuildError,
    Program,
    Variant,
    available_variants,
    binary,
    build,
    discover,
)

KNOWN_DIFFERENCES = Path(__file__).resolve().parent / "known-differences.toml"


@dataclass(frozen=True)
class Result:
    """One program in one variant, on both sides (`inside` is None when only the native side was run)."""

    program: Program
    variant: Variant
    native: Outcome
    inside: Outcome | None

    @property
    def name(self) -> str:
        return f"{self.program.name} [{self.variant.name}]"

    def difference(self) -> str | None:
        """A unified diff of what was printed, or None when both sides agree."""
        if self.inside is None or self.native.text() == self.inside.text():
            return None
        lines = difflib.unified_diff(
            self.native.text().splitlines(),
            self.inside.text().splitlines(),
            "native",
            "inside",
            lineterm="",
        )
        log = "\n".join(self.inside.stderr.splitlines()[-15:])
        return "\n".join(lines) + (f"\n(standard error inside)\n{log}" if log else "")


def known_differences(path: Path = KNOWN_DIFFERENCES) -> dict[str, str]:
    """Programs whose output may differ, each with its reason."""
    entries = tomllib.loads(path.read_text())
    for name, reason in entries.items():
        if not isinstance(reason, str) or len(reason) < 20:
            raise SystemExit(f"{path}: '{name}' needs a reason of one sentence")
        if not (path.parent / "programs" / f"{name}.c").exists():
            raise SystemExit(f"{path}: there is no program '{name}'; remove the entry")
    return entries


def variant_image(variant: Variant, kind: str = "", settings: tuple[str, ...] = ()) -> Image:
    """All programs of a variant in one image; of another kind with other settings in the manifest."""
    programs = {
        f"/programs/{program.name}": binary(program, variant) for program in discover() if program.builds_in(variant)
    }
    return make_image(variant.name + kind, programs, settings=settings)


def run_all(
    programs: Sequence[Program],
    variant: Variant,
    image: Image | None,
    trace: bool = False,
    platform: str = "direct",
) -> Iterator[Result]:
    """Runs the programs of one variant, which are built already, as many at once as there are processors."""

    def run_one(program: Program) -> Result:
        native = run_natively(binary(program, variant))
        inside = image.run([f"/programs/{program.name}"], trace, platform=platform) if image else None
        return Result(program, variant, native, inside)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(run_one, [program for program in programs if program.builds_in(variant)])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare Linux and the library OS, program by program.")
    names = [variant.name for variant in VARIANTS]
    parser.add_argument("--variant", action="append", choices=names, help="only this variant (may be repeated)")
    parser.add_argument("-k", dest="pattern", help="only programs whose name matches this regular expression")
    parser.add_argument("--native-only", action="store_true", help="build and run natively, and print the output")
    parser.add_argument(
        "--platform",
        choices=("direct", "softsgx", "softsgx-static", "softsgx-faithful"),
        default="direct",
        help="where it runs",
    )
    parser.add_argument("--trace", action="store_true", help="print the library OS's system-call trace of each run")
    parser.add_argument("-v", "--verbose", action="store_true", help="print equal results too")
    return parser.parse_args()


def print_result(result: Result, options: argparse.Namespace, known: dict[str, str]) -> str:
    """Prints what a person wants to see of one result and says how it is to be counted."""
    if result.inside is None:
        print(f"--- {result.name}\n{result.native.text()}", end="")
        return "native only"
    if options.trace:
        print(f"--- {result.name}\n{result.inside.stderr}", end="")
    difference = result.difference()
    if difference is None:
        if options.verbose:
            print(f"equal      {result.name}")
        return "equal, though listed as known to differ" if result.program.name in known else "equal"
    if result.program.name in known:
        print(f"known      {result.name}: {known[result.program.name]}")
        return "known differences"
    print(f"DIFFERENT  {result.name}\n{difference}\n")
    return "different"


def main() -> int:
    options = parse_arguments()
    programs = discover(options.pattern)
    variants = [v for v in available_variants() if options.variant is None or v.name in options.variant]
    if not programs or not variants:
        print("nothing to run: no program matches, or the variant's compiler (gcc, musl-gcc) is missing")
        return 1
    known = known_differences()
    counts: dict[str, int] = {}
    for variant in variants:
        try:
            build(programs if options.native_only else discover(), variant)
            image = None if options.native_only else variant_image(variant)
        except (BuildError, InsideUnavailableError) as error:
            print(error)
            return 1
        for result in run_all(programs, variant, image, options.trace, options.platform):
            kind = print_result(result, options, known)
            counts[kind] = counts.get(kind, 0) + 1
    total = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items()))
    print(f"{sum(counts.values())} runs of {len(programs)} programs: {total}")
    return 1 if counts.get("different") else 0


if __name__ == "__main__":
    sys.exit(main())
