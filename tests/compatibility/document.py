"""docs/compatibility.md from the results and the reasons for what fails."""

from __future__ import annotations

import fnmatch
import gzip
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.compatibility import results
from tests.compatibility.root import Suite
from tests.compatibility.side import Run
from tests.images import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "compatibility.md"
REASONS = Path(__file__).resolve().parent / "reasons.toml"

# Stands for a case, in reasons.toml, too.
NO_END = "(the module's own end)"


class IncompleteError(Exception):
    """The document cannot be written; the text says what is missing."""


@dataclass(frozen=True)
class Module:
    """What is known of a module: natively without fork, natively with it (where that was measured), inside."""

    name: str
    native: Run
    with_fork: Run | None
    inside: Run | None

    @property
    def compared(self) -> bool:
        return self.inside is not None

    @property
    def whole(self) -> bool:
        return self.compared and self.native.outcome == "passed"

    @property
    def failing(self) -> list[str]:
        """Cases that pass natively and not inside."""
        return sorted(self.native.passed - self.inside.passed) if self.inside else []

    @property
    def needs_reason(self) -> list[str]:
        """What needs a reason: the failing cases, and an end that did not come."""
        return [*self.failing, *([NO_END] if self.inside and not self.inside.ended else [])]

    @property
    def passes(self) -> bool:
        return self.compared and not self.needs_reason

    @property
    def need_fork(self) -> int:
        """Cases that pass natively only with fork."""
        return len(self.with_fork.passed - self.native.passed) if self.with_fork else 0

    @property
    def fail_natively(self) -> int:
        """Cases that fail natively whether there is fork or not."""
        left_out = {case for case, result in self.native.cases.items() if result in ("failed", "running")}
        return len(left_out) - len(left_out & (self.with_fork.passed if self.with_fork else set()))


@dataclass(frozen=True)
class Reason:
    """Why cases of a module fail; patterns as in a shell."""

    module: str
    cases: tuple[str, ...]
    why: str

    def covers(self, module: str, case: str) -> bool:
        return module == self.module and any(fnmatch.fnmatchcase(case, pattern) for pattern in self.cases)


def read_reasons(text: str) -> list[Reason]:
    entries = tomllib.loads(text).get("failing", [])
    return [Reason(entry["module"], tuple(entry["cases"]), entry["why"]) for entry in entries]


def write(suite: Suite) -> None:
    """Writes the document; raises `IncompleteError` when a result or a reason is missing."""
    names = suite.modules()
    known: list[Module] = []
    for name in names:
        native, with_fork, inside = (results.load(suite, side, name) for side in results.SIDES)
        if native is None or (native.counts and inside is None):
            raise IncompleteError(f"{name} was not measured: run `make compatibility`")
        known.append(Module(name, native, with_fork, inside))
    DOCUMENT.write_text(render(known, read_reasons(REASONS.read_text()), version(suite)))


def version(suite: Suite) -> str:
    """The suite's package version, from the first line of its changelog: `python3.11 (VERSION) …`."""
    with gzip.open(suite.rootfs / "usr/share/doc/libpython3.11-testsuite/changelog.Debian.gz", "rt") as changelog:
        return changelog.readline().split("(", 1)[1].split(")", 1)[0]


def explained(module: Module, reasons: Iterable[Reason]) -> dict[str, int]:
    """For a failing module: each reason with the number of cases; a case without a reason is an error."""
    counts: dict[str, int] = {}
    for case in module.needs_reason:
        found = [reason.why for reason in reasons if reason.covers(module.name, case)]
        if not found:
            raise IncompleteError(f"{module.name}: {case} fails inside, and {REASONS.name} does not say why")
        counts[found[0]] = counts.get(found[0], 0) + 1
    return counts


def render(modules: list[Module], reasons: list[Reason], suite_version: str) -> str:
    compared = [module for module in modules if module.compared]
    for reason in reasons:
        if not any(reason.covers(module.name, case) for module in compared for case in module.needs_reason):
            raise IncompleteError(f"{REASONS.name}: nothing of {reason.module} fails for '{reason.why}' any more")
    sections = [
        _HEAD.format(version=suite_version),
        _numbers(compared),
        _failures(compared, reasons),
        _parts(compared),
        _left_out([module for module in modules if not module.compared]),
        _list("Modules that pass", (module.name for module in compared if module.passes)),
    ]
    return "\n".join(sections)


_HEAD = """# CPython's own test suite

Written by `make compatibility` (`tests/compatibility/`); do not edit. The suite is Debian's libpython3.11-testsuite
{version} (which has no test_sqlite3), run by Debian's own python3.11, one process a module (`python3 -m test -v MODULE`), natively and as a shielded
image on the `direct` platform.

- Both sides have the same root file system with a writable layer, /proc and /dev, user 1000, a network of loopback only, and
  an empty standard input. So what needs the network fails natively, and is not compared.
- Natively `fork` answers ENOSYS, as it does inside, by a seccomp filter; `vfork`, `posix_spawn` and threads work on both
  sides. A test case needs fork when it passes natively without the filter and not with it.
- A module is compared when something in it passes natively in this way. It passes inside when every test case does that
  passes natively. Modules that fail inside or run out of time are run a second time at the end, one at a time, much as
  `python3 -m test -w` does, and a case counts when it passes once.
"""


def _numbers(compared: list[Module]) -> str:
    def row(title: str, of: list[Module]) -> str:
        passing = [module for module in of if module.passes]
        cases = sum(len(module.native.passed) for module in of)
        good = cases - sum(len(module.failing) for module in of)
        return f"| {title} | {len(of)} | {len(passing)} ({_percent(len(passing), len(of))}) | {cases} | {good} |"

    whole = [module for module in compared if module.whole]
    part = [module for module in compared if not module.whole]
    lines = [
        "| modules | compared | pass inside | cases that pass natively | and inside |",
        "|---|---|---|---|---|",
        row("pass natively as a whole, without fork", whole),
        row("pass natively in part (below)", part),
        row("together", compared),
    ]
    return "\n".join(lines) + "\n"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"


def _failures(compared: list[Module], reasons: list[Reason]) -> str:
    lines = ["## What fails inside", "", "| module | cases | why |", "|---|---|---|"]
    for module in compared:
        for why, count in explained(module, reasons).items():
            lines.append(f"| {module.name} | {count} of {len(module.native.passed)} | {why} |")
    if len(lines) == 4:
        lines[2:] = ["Nothing that passes natively."]
    return "\n".join(lines) + "\n"


def _parts(compared: list[Module]) -> str:
    lines = [
        "## Compared in part",
        "",
        "| module | cases compared | need fork | fail natively, with fork or without | passes inside |",
        "|---|---|---|---|---|",
    ]
    for module in compared:
        if not module.whole:
            numbers = f"{len(module.native.passed)} | {module.need_fork} | {module.fail_natively}"
            lines.append(f"| {module.name} | {numbers} | {'yes' if module.passes else 'no'} |")
    return "\n".join(lines) + "\n"


def _left_out(modules: list[Module]) -> str:
    def named(title: str, wanted: Callable[[Module], bool]) -> str:
        return _list(title, (module.name for module in modules if wanted(module)), "###")

    def forks(module: Module) -> bool:
        return module.with_fork is not None and module.with_fork.counts

    def skips(module: Module) -> bool:
        return module.native.outcome == "skipped"

    return "\n".join(
        [
            "## Not compared\n",
            named("Need fork: nothing passes natively without it, or no end comes", forks),
            named("Skip themselves natively (another system, a missing module, a resource not asked for)", skips),
            named("Do not pass natively in this environment at all", lambda each: not forks(each) and not skips(each)),
        ]
    )


def _list(title: str, names: Iterable[str], mark: str = "##") -> str:
    found = list(names)
    text = ", ".join(name.removeprefix("test_") for name in found) or "none"
    return f"{mark} {title} ({len(found)})\n\n{text}\n"
