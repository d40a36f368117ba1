"""Timing commands: alternately, so that what else the machine does falls on all of them."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence


def once_ms(command: Sequence[str], env: Mapping[str, str] | None = None) -> float:
    """One run, which has to succeed."""
    start = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=env)
    took = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"bench: {' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return took * 1000


def medians_ms(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, float]:
    """The median of each command over rounds in which all run one after the other; one round before does not count."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            took = once_ms(command)
            if number > 0:
                times[name].append(took)
    return {name: statistics.median(values) for name, values in times.items()}


def time_and_memory(command: Sequence[str], env: Mapping[str, str]) -> tuple[float, float]:
    """Seconds, and the most memory (MB, of 10^6 bytes) that the process or one of its children held."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=env)
    _, status, usage = os.wait4(child.pid, 0)
    took = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"bench: {' '.join(command)} ended with {child.returncode}")
    return took, usage.ru_maxrss * 1024 / 1e6


def row(work: str, measured: str, goal: str) -> None:
    print(f"{work:44} {measured:>26}   {goal}", flush=True)
