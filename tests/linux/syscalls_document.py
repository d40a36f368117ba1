"""Writes docs/syscalls.md: every system call, how complete it is, and the programs that test it.

`python -m tests.linux.syscalls_document` writes it; `test_syscalls_document.py` checks that it is current. The states come
from runtime/libos/src/syscall/table.rs, the names of calls without a handler from system-calls.txt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.linux.variants import HERE, discover

ROOT = HERE.parents[1]
TABLE = ROOT / "runtime/libos/src/syscall/table.rs"
NAMES = HERE / "system-calls.txt"
DOCUMENT = ROOT / "docs/syscalls.md"
SHOWN_PROGRAMS = 3

_LINE = re.compile(r'^ {4}(\d+) (\w+)\([^)]*\) = \w+::\w+ \[(full|partly "([^"]+)")\]$', re.MULTILINE)
# A call by its wrapper, or by number; `struct stat` is neither.
_WORD = re.compile(r"\b([a-z_]\w*)(?=\()|\b(?:SYS_|__NR_)(\w+)")
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
# What the C libraries call these; a wrapper with the call's own name needs no line.
_WRAPPERS = {
    "rt_sigaction": ("sigaction", "signal"),
    "rt_sigprocmask": ("sigprocmask", "pthread_sigmask"),
    "rt_sigpending": ("sigpending",),
    "rt_sigtimedwait": ("sigtimedwait", "sigwaitinfo", "sigwait"),
    "rt_sigqueueinfo": ("sigqueue",),
    "rt_tgsigqueueinfo": ("pthread_sigqueue",),
    "rt_sigsuspend": ("sigsuspend",),
    "rt_sigreturn": ("sigaction", "signal"),
    "pread64": ("pread",),
    "pwrite64": ("pwrite",),
    "newfstatat": ("fstatat",),
    "umount2": ("umount",),
    "wait4": ("waitpid", "wait"),
    "clone": ("pthread_create",),
    "clone3": ("pthread_create",),
    "vfork": ("posix_spawn", "spawn_self"),
    "exit_group": ("exit", "_exit"),
    "exit": ("pthread_exit",),
    "getdents64": ("readdir",),
    "pselect6": ("pselect",),
    "fadvise64": ("posix_fadvise",),
    "eventfd2": ("eventfd",),
    "signalfd4": ("signalfd",),
    "sched_setaffinity": ("pthread_setaffinity_np",),
    "sched_getaffinity": ("pthread_getaffinity_np",),
    "prlimit64": ("prlimit", "getrlimit", "setrlimit"),
    "futex": ("pthread_mutex_lock", "pthread_cond_wait", "sem_wait", "pthread_join"),
    "tgkill": ("pthread_kill", "raise"),
    "execve": ("execv", "execvp", "execl", "spawn_self", "posix_spawn"),
}


@dataclass(frozen=True)
class Call:
    """One system call. `missing` is None for a call without a handler, and empty for a complete one."""

    number: int
    name: str
    missing: str | None

    @property
    def is_served(self) -> bool:
        """A handler that always answers ENOSYS does not count."""
        return self.missing not in (None, "always ENOSYS")

    @property
    def state(self) -> str:
        if not self.is_served:
            return "no"
        return "partly" if self.missing else "full"


def read_calls(table: str, names: str) -> list[Call]:
    """The calls of the table and those that are only named, in number order; `ValueError` if the table is not understood."""
    calls = {int(number): Call(int(number), name, missing) for number, name, _, missing in _LINE.findall(table)}
    body = table.rpartition("\nsyscalls! {\n")[2]
    lines = re.findall(r"^ {4}(\d+) ", body, re.MULTILINE)
    unread = [line for line in lines if int(line) not in calls]
    if unread or len(lines) != len(calls) or not calls:
        raise ValueError(f"{TABLE}: the line of call {', '.join(unread) or '(twice)'} is not in the table's form")
    if list(calls) != sorted(calls):
        raise ValueError(f"{TABLE}: the calls are not in number order")
    for line in names.splitlines():
        if not line.startswith("#"):
            number, name = line.split()
            if calls.setdefault(int(number), Call(int(number), name, None)).name != name:
                raise ValueError(f"{TABLE}: call {number} is {name} on Linux, not {calls[int(number)].name}")
    return [calls[number] for number in sorted(calls)]


def read_uses() -> dict[str, list[str]]:
    """For each C function or system call the programs whose code calls it."""
    uses: dict[str, list[str]] = {}
    for program in discover():
        found = {wrapper or name for wrapper, name in _WORD.findall(_COMMENT.sub("", program.text))}
        for word in found:
            uses.setdefault(word, []).append(program.name)
    return uses


def programs_of(call: Call, uses: dict[str, list[str]]) -> list[str]:
    """The programs that use a call, those named after it first."""
    found: set[str] = set()
    for word in (call.name, *_WRAPPERS.get(call.name, ())):
        found.update(uses.get(word, ()))
    return sorted(found, key=lambda name: (call.name not in name, name))


def _row(call: Call, programs: Iterable[str]) -> str:
    named = list(programs)
    shown = ", ".join(named[:SHOWN_PROGRAMS])
    more = " and more" if len(named) > SHOWN_PROGRAMS else ""
    return f"| {call.number} | {call.name} | {call.state} | {call.missing or ''} | {shown}{more} |"


def document(calls: list[Call], uses: dict[str, list[str]]) -> str:
    """The text of docs/syscalls.md."""
    served = [call for call in calls if call.is_served]
    full = sum(call.state == "full" for call in served)
    tested = [call for call in served if programs_of(call, uses)]
    head = f"""# System calls

Generated by `python -m tests.linux.syscalls_document` from runtime/libos/src/syscall/table.rs and the programs in
tests/linux/programs; do not edit it.

The library OS serves **{len(served)}** of {len(calls)} system calls: {full} in full, {len(served) - full} partly (the table says what is missing).
{len(tested)} of them are called by programs whose output is compared with Linux's. Every other call gives ENOSYS, and the
first time the log says so.
"""
    lines = [
        head,
        "| number | name | served | what is missing | test programs |",
        "|---|---|---|---|---|",
        *(_row(call, programs_of(call, uses) if call.is_served else ()) for call in calls),
    ]
    return "\n".join(lines) + "\n"


def current() -> str:
    """What docs/syscalls.md has to say now."""
    return document(read_calls(TABLE.read_text(), NAMES.read_text()), read_uses())


def main() -> None:
    text = current()
    fresh = DOCUMENT.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(DOCUMENT)
    print(f"{DOCUMENT.relative_to(Path.cwd()) if DOCUMENT.is_relative_to(Path.cwd()) else DOCUMENT} is written")


if __name__ == "__main__":
    main()
