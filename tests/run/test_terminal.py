"""Signals, job control and closed pipes: a job on a terminal behaves inside as it does natively."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from casemate.loader.files import RUNTIME_DIRECTORY
from tests import images

PATIENCE_S = 60

# Says what reaches it. `%` in a name would be the only thing to escape.
SOURCE = r"""
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static volatile sig_atomic_t seen;
static void on_signal(int number) { seen = number; }
int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    struct sigaction action = {.sa_handler = on_signal};
    if (!strcmp(what, "exit")) return atoi(argv[2]);
    if (!strcmp(what, "kill")) { raise(atoi(argv[2])); return 99; }
    if (!strcmp(what, "ignore")) signal(SIGPIPE, SIG_IGN);
    if (!strcmp(what, "ignore") || !strcmp(what, "pour"))
        for (;;) if (write(1, "line\n", 5) < 0) { fprintf(stderr, "write: %s\n", strerror(errno)); return 3; }
    sigset_t none, handled;
    sigemptyset(&none);
    sigemptyset(&handled);
    const int numbers[] = {SIGINT, SIGTERM, SIGQUIT};
    for (int i = 0; i < 3 && !strcmp(what, "handle"); i++) {
        sigaction(numbers[i], &action, NULL);
        sigaddset(&handled, numbers[i]);
    }
    sigprocmask(SIG_BLOCK, &handled, NULL); // they come while it waits, not before
    printf("ready %d\n", isatty(0) && isatty(1)); fflush(stdout);
    if (!strcmp(what, "read")) { char line[99]; while (fgets(line, sizeof line, stdin)) { printf("got %s", line); fflush(stdout); } puts("end"); return 0; }
    if (!strcmp(what, "spin")) for (;;) ;
    sigsuspend(&none);
    printf("signal %d\n", (int)seen);
    return 40 + seen;
}
"""


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The command that runs the program, natively and inside."""
    if shutil.which("musl-gcc") is None:
        pytest.skip("musl-gcc is not installed")
    if not (RUNTIME_DIRECTORY / "casemate-host").is_file():
        pytest.skip("the runtime is not built")
    place = tmp_path_factory.mktemp("terminal")
    (place / "root").mkdir()
    (place / "job.c").write_text(SOURCE)
    images.run(["musl-gcc", "-O1", "-static", "-o", place / "root/job", place / "job.c"])
    (place / "manifest.toml").write_text('libos.entrypoint = "/job"\n')
    image = f"oci:{place}/shielded:x"
    casemate = [sys.executable, "-m", "casemate"]
    images.run([*casemate, "build", f"dir:{place}/root", "-o", image, "--manifest", place / "manifest.toml",
                "--insecure-args"])  # fmt: skip
    images.run([*casemate, "run", image, "--", "exit", "0"])  # fills the cache
    return {"native": [str(place / "root/job")], "inside": [*casemate, "run", image, "--"]}


def shell(command: list[str]) -> None:
    """A job-control shell's part: runs the command in the foreground, says how it stops and ends. Never returns."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE, signal.SIGTERM, signal.SIGWINCH):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execvp(command[0], command)
    with suppress(OSError):
        os.setpgid(job, job)
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        os.tcsetpgrp(0, os.getpgrp())
        if not os.WIFSTOPPED(status):
            os.write(1, f"ended {os.waitstatus_to_exitcode(status)}\n".encode())
            os._exit(0)
        os.write(1, f"stopped {os.WSTOPSIG(status)}\n".encode())
        assert os.read(0, 100)  # a line: go on
        os.tcsetpgrp(0, job)
        os.killpg(job, signal.SIGCONT)
        os.write(1, b"continued\n")


class Terminal:
    """A terminal with a job on it."""

    def __init__(self, command: list[str]) -> None:
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            try:
                shell(command)
            finally:
                os._exit(70)
        self.text = ""

    def type(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    def wait_for(self, text: str) -> None:
        """Waits until the text was printed."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.text:
            ready, _, _ = select.select([self._fd], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no '{text}' in {self.text!r}"
            try:
                data = os.read(self._fd, 4096)
            except OSError:  # EIO: the other side is closed
                data = b""
            assert data, f"the terminal was closed before '{text}': {self.text!r}"
            self.text += data.decode(errors="replace").replace("\r\n", "\n")

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.close(self._fd)
        os.waitpid(self._pid, 0)


@pytest.fixture
def on_terminal() -> Iterator[Callable[[list[str]], Terminal]]:
    opened: list[Terminal] = []

    def start(command: list[str]) -> Terminal:
        opened.append(Terminal(command))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def lines_of(text: str) -> list[str]:
    """What the program and the shell said, without echoed keys and the library OS's warnings."""
    kept = ("ready", "signal", "got", "end", "stopped", "continued", "ended")
    parts = [line.replace("^C", "").replace("^Z", "").replace("^\\", "") for line in text.splitlines()]
    return [line for line in parts if line.startswith(kept)]


# Name: arguments, then keys and what is waited for before the next ones.
SCENES: dict[str, tuple[list[str], list[tuple[bytes, str]]]] = {
    "interrupt": (["wait"], [(b"\x03", "ended")]),
    "interrupt while it computes": (["spin"], [(b"\x03", "ended")]),
    "quit": (["wait"], [(b"\x1c", "ended")]),
    "handled interrupt": (["handle"], [(b"\x03", "ended")]),
    "handled quit": (["handle"], [(b"\x1c", "ended")]),
    "interrupt while it reads": (["read"], [(b"one\n", "got one"), (b"\x03", "ended")]),
    "end of input": (["read"], [(b"one\n", "got one"), (b"\x04", "ended")]),
    "stop and go on": (
        ["read"],
        [
            (b"one\n", "got one"),
            (b"\x1a", "stopped"),
            (b"fg\n", "continued"),
            (b"two\n", "got two"),
            (b"\x04", "ended"),
        ],
    ),
    "stop while it computes": (["spin"], [(b"\x1a", "stopped"), (b"fg\n", "continued"), (b"\x03", "ended")]),
}


@pytest.mark.parametrize("name", list(SCENES))
def test_keys_do_to_the_job_what_they_do_natively(
    name: str, sides: dict[str, list[str]], on_terminal: Callable[[list[str]], Terminal]
) -> None:
    arguments, steps = SCENES[name]
    said = {}
    for side, command in sides.items():
        terminal = on_terminal([*command, *arguments])
        terminal.wait_for("ready 1\n")
        for keys, answer in steps:
            terminal.type(keys)
            terminal.wait_for(answer)
        terminal.wait_for("ended ")
        terminal.wait_for("\n")
        said[side] = lines_of(terminal.text)
    assert said["inside"] == said["native"]


@pytest.mark.parametrize("arguments", [["exit", "0"], ["exit", "1"], ["exit", "255"], ["kill", "6"], ["kill", "9"],
                                       ["kill", "15"], ["kill", "10"], ["kill", "11"]], ids="-".join)  # fmt: skip
def test_the_end_is_reported_as_natively(arguments: list[str], sides: dict[str, list[str]]) -> None:
    native, inside = (subprocess.run([*command, *arguments], capture_output=True) for command in sides.values())
    assert inside.returncode == native.returncode, inside.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGKILL])
@pytest.mark.parametrize("mode", ["wait", "spin", "handle"])
def test_signals_from_outside_do_the_same(mode: str, number: int, sides: dict[str, list[str]]) -> None:
    ended = {}
    for side, command in sides.items():
        with subprocess.Popen([*command, mode], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready 0\n"
            process.send_signal(number)
            said = process.stdout.read()
            ended[side] = (process.wait(PATIENCE_S), said)
    assert ended["inside"] == ended["native"]


@pytest.mark.parametrize("mode", ["pour", "ignore"])
def test_a_closed_output_ends_the_program_as_natively(mode: str, sides: dict[str, list[str]]) -> None:
    ended = {}
    for side, command in sides.items():
        with subprocess.Popen([*command, mode], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == b"line\n"
            process.stdout.close()
            said = process.stderr.read().decode().splitlines()
            ended[side] = (process.wait(PATIENCE_S), [line for line in said if line.startswith("write:")])
    assert ended["inside"] == ended["native"]
    assert ended["native"][0] == (-signal.SIGPIPE if mode == "pour" else 3)
