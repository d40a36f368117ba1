"""Runs one built program natively and says what came out."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.linux.variants import BUILD, HERE, BuildError

# Both sides see exactly this environment.
ENVIRONMENT = {"HOME": "/tmp", "LC_ALL": "C", "PATH": "/usr/bin:/bin"}
TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Outcome:
    """What a program printed, and how it ended: an exit status, minus a signal's number, or a time-out."""

    stdout: str
    status: int | str
    stderr: str = ""

    def text(self) -> str:
        """What is compared."""
        return (
            self.stdout + ("" if self.stdout.endswith("\n") or not self.stdout else "\n") + f"status: {self.status}\n"
        )


def run(command: list[str], cwd: Path | str, environment: dict[str, str], stdin: bytes | None = None) -> Outcome:
    """Runs a command in a session of its own; after `TIMEOUT_S` seconds the whole session is killed."""
    child = subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    status: int | str
    try:
        stdout, stderr = child.communicate(stdin, timeout=TIMEOUT_S)
        status = child.returncode
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        stdout, stderr = child.communicate()
        status = f"no end within {TIMEOUT_S:g} s"
    return Outcome(stdout.decode(errors="backslashreplace"), status, stderr.decode(errors="backslashreplace"))


def launcher() -> Path:
    """The program that starts the others on both sides (launch.c), linked statically so that every image can have it."""
    source, target = HERE / "launch.c", BUILD / "launch"
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        BUILD.mkdir(exist_ok=True)
        compiler = "musl-gcc" if shutil.which("musl-gcc") else "gcc"
        fresh = target.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        command = [compiler, "-O1", "-Wall", "-Wextra", "-Werror", "-static", "-s", str(source), "-o", str(fresh)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise BuildError(f"launch.c: {done.stderr}")
        fresh.replace(target)
    return target


def run_natively(program: Path, stdin: bytes | None = None) -> Outcome:
    """Runs a program in a fresh directory under /tmp, started as it is inside."""
    with tempfile.TemporaryDirectory(prefix="casemate-linux-", dir="/tmp") as directory:
        return run([str(launcher()), f"{directory}/work", str(program)], "/tmp", ENVIRONMENT, stdin)
