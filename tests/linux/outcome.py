"""Runs one built program natively and says what came out."""

import os
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

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


def run_natively(program: Path, stdin: bytes | None = None) -> Outcome:
    """Runs a program in a fresh directory under /tmp."""
    with tempfile.TemporaryDirectory(prefix="casemate-linux-", dir="/tmp") as directory:
        return run([str(program)], directory, ENVIRONMENT, stdin)
