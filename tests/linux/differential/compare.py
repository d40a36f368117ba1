"""Runs generated scripts on both sides until a time is over or a difference is found, which is shrunk and printed.

`python tests/linux/differential/compare.py [--kind files|memory] [--seconds N] [--seed N] [--calls N] [--native-only]`
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.linux.differential import file_scripts, memory_scripts
from tests.linux.differential.shrink import shrink
from tests.linux.inside import Image, InsideUnavailableError, make_image
from tests.linux.outcome import Outcome, run_natively
from tests.linux.variants import Program, Variant, available_variants, binary, build

HERE = Path(__file__).resolve().parent
KINDS: dict[str, Callable[[int, int], list[str]]] = {
    "files": file_scripts.generate,
    "memory": memory_scripts.generate,
}
_PROGRAMS = {
    "files": Program("differential/file_calls", HERE / "file_calls.c"),
    "memory": Program("differential/memory_calls", HERE / "memory_calls.c"),
}
CALLS = 150


@dataclass(frozen=True)
class Difference:
    """A script for which the two sides disagree."""

    kind: str
    seed: int
    script: list[str]
    native: Outcome
    inside: Outcome

    def __str__(self) -> str:
        diff = difflib.unified_diff(
            self.native.text().splitlines(), self.inside.text().splitlines(), "native", "inside", lineterm=""
        )
        log = "\n".join(self.inside.stderr.splitlines()[-10:])
        return "\n".join(
            [
                f"{self.kind}, seed {self.seed}: this script differs ({len(self.script)} calls)",
                *(f"    {line}" for line in self.script),
                *diff,
                *([log] if log else []),
            ]
        )


class Comparison:
    """The interpreter of one kind of script, natively and in an image."""

    def __init__(self, kind: str, native_only: bool = False) -> None:
        self._kind = kind
        self._program = _PROGRAMS[kind]
        self._variant = _static_variant()
        build([self._program], self._variant)
        self._binary = binary(self._program, self._variant)
        self._image: Image | None = None
        if not native_only:
            self._image = make_image(f"differential-{kind}", {f"/{kind}": self._binary})

    def natively(self, script: list[str]) -> Outcome:
        return run_natively(self._binary, _bytes(script))

    def inside(self, script: list[str]) -> Outcome:
        if self._image is None:
            return self.natively(script)
        return self._image.run([f"/{self._kind}"], stdin=_bytes(script))

    def check(self, seed: int, calls: int) -> Difference | None:
        """One generated script; None when both sides agree."""
        return self.compare(seed, KINDS[self._kind](seed, calls))

    def compare(self, seed: int, script: list[str]) -> Difference | None:
        """One script; None when both sides agree."""
        native, inside = self.natively(script), self.inside(script)
        if native.text() == inside.text():
            return None
        return Difference(self._kind, seed, script, native, inside)

    def shrunk(self, difference: Difference, seconds: float = 60.0) -> Difference:
        """The shortest script that still differs."""
        script = shrink(difference.script, lambda part: self.natively(part).text() != self.inside(part).text(), seconds)
        return Difference(self._kind, difference.seed, script, self.natively(script), self.inside(script))


def _static_variant() -> Variant:
    static = [variant for variant in available_variants() if variant.linking == "static"]
    return next((variant for variant in static if variant.libc == "musl"), static[0])


def _bytes(script: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in script).encode()


def search(
    comparison: Comparison, first_seed: int, seconds: float, calls: int = CALLS
) -> tuple[int, Difference | None]:
    """Tries seeds until the time is over; returns how many scripts were run and the first difference, not shrunk."""
    deadline = time.monotonic() + seconds

    def attempts() -> Iterator[int]:
        seed = first_seed
        while time.monotonic() < deadline:
            yield seed
            seed += 1

    tried = 0
    workers = os.cpu_count() or 1
    seeds = attempts()
    with ThreadPoolExecutor(workers) as pool:
        while batch := list(islice(seeds, 4 * workers)):
            for difference in pool.map(lambda seed: comparison.check(seed, calls), batch):
                tried += 1
                if difference is not None:
                    return tried, difference
    return tried, None


def check_all(comparison: Comparison, seeds: Iterable[int], calls: int = CALLS) -> Difference | None:
    """Runs one script for each of these seeds; returns the first difference in their order, not shrunk."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        differences = pool.map(lambda seed: comparison.check(seed, calls), seeds)
        return next((difference for difference in differences if difference is not None), None)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare Linux and the library OS on random calls.")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="default: both")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each kind")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the first seed; the next ones follow")
    parser.add_argument("--calls", type=int, default=CALLS, help="calls in a script")
    parser.add_argument("--native-only", action="store_true", help="compare Linux with itself")
    options = parser.parse_args()
    for kind in options.kind or KINDS:
        try:
            comparison = Comparison(kind, options.native_only)
        except InsideUnavailableError as error:
            print(error)
            return 1
        tried, difference = search(comparison, options.seed, options.seconds, options.calls)
        if difference is not None:
            print(comparison.shrunk(difference))
            return 1
        print(f"{kind}: {tried} scripts of {options.calls} calls from seed {options.seed} on, no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
