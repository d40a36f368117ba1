"""One module of the suite in one process, natively or in the library OS, and what became of its test cases.

Both sides get the same root file system with changes that last as long as the process, a network that is only loopback,
the user ids of an ordinary user, an empty standard input, and a fork(2) that says ENOSYS.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field

from tests.compatibility.root import ENVIRONMENT, INTERPRETER, RECORDER, USER, WITHOUT_FORK, Suite

# $1 the root file system, $2… the program. What containers have: /proc, /dev with pseudo-terminals, a writable layer.
_NATIVE = f"""
set -e
ip link set lo up
root=$1; shift
layer=$(mktemp -d); mount -t tmpfs tmpfs "$layer"; mkdir "$layer/upper" "$layer/work" "$layer/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
cd "$layer/root"
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs dev
for node in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "dev/${{node%:*}}" c 1 "${{node#*:}}"; done
mknod -m 666 dev/tty c 5 0
ln -s /proc/self/fd dev/fd; ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr
mkdir dev/pts dev/shm; mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts; ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs dev/shm; chmod 1777 tmp
cp /etc/hosts etc/hosts; : >etc/resolv.conf
env -i {" ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())} \\
  "$(command -v chroot)" --userspec={USER}:{USER} --groups= . "$@"
"""
_INSIDE = f"""
set -e
ip link set lo up
env -i setpriv --reuid {USER} --regid {USER} --clear-groups "$@"
"""


@dataclass
class Run:
    """How a module ended: ``passed``, ``failed``, ``skipped``, ``no end``, or ``ended with status …``; its cases, what was
    printed, and whether nothing else ran beside it (the last time)."""

    outcome: str
    cases: dict[str, str] = field(default_factory=dict)
    text: str = field(default="", repr=False)
    alone: bool = False

    @property
    def passed(self) -> set[str]:
        return {case for case, result in self.cases.items() if result == "passed"}

    @property
    def ended(self) -> bool:
        """Whether it came to its own end: not by a signal, and not because time ran out."""
        return self.outcome in ("passed", "failed", "skipped")

    @property
    def counts(self) -> bool:
        """Whether it came to an end and something passed, so that the other side can be compared with it."""
        return self.ended and bool(self.passed)


def run_natively(suite: Suite, module: str, timeout_s: float, with_fork: bool = False) -> Run:
    program = [INTERPRETER, RECORDER, module]
    filtered = program if with_fork else [WITHOUT_FORK, *program]
    return _run(["sh", "-c", _NATIVE, "sh", str(suite.rootfs), *filtered], module, timeout_s)


def run_inside(suite: Suite, module: str, timeout_s: float, trace: bool = False) -> Run:
    loader = [str(suite.bundle / "casemate-host"), "--bundle", str(suite.bundle), "--root", str(suite.rootfs)]
    loader += ["--trace"] if trace else []
    return _run(["sh", "-c", _INSIDE, "sh", *loader, "--", INTERPRETER, RECORDER, module], module, timeout_s)


def _run(command: list[str], module: str, timeout_s: float) -> Run:
    """Runs it in namespaces of its own, whose end is everyone's in them: the shell is their first process and lives as long."""
    apart = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            [*apart, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={"PATH": os.environ["PATH"]},
            cwd="/",
        )
        status: int | None
        try:
            status = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            status = None
        output.seek(0)
        return read_log(output.read().decode(errors="replace"), status)


def read_log(text: str, status: int | None) -> Run:
    """What was printed; ``status`` is the exit status, ``None`` if time ran out."""
    cases: dict[str, str] = {}
    for line in text.split("\n"):
        if line.startswith("\x1e"):
            _take(cases, line[1:])
    if status is None:
        outcome = "no end"
    elif status not in (0, 2) or not re.search(r"^Tests result: ", text, re.MULTILINE):
        outcome = f"ended with status {status}"
    elif status == 2:
        outcome = "failed"
    elif any(result == "passed" for result in cases.values()):
        outcome = "passed"
    else:
        outcome = "skipped"
    return Run(outcome, cases, text)


def _take(cases: dict[str, str], text: str) -> None:
    try:
        record = json.loads(text)
    except ValueError:
        return
    name, result = record["case"], record["result"]
    # One name may stand for several cases: the worst counts.
    worst = ("passed", "skipped", "running", "failed")
    if cases.get(name, "running") == "running" or worst.index(result) > worst.index(cases[name]):
        cases[name] = result
