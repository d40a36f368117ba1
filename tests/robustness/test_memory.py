"""Everything that a program can use up in a small enclave: it gets an errno, goes on, and can do it again."""

from __future__ import annotations

import signal

import pytest

from tests.hostile import lying
from tests.robustness.inside import PLATFORMS, Ended, image, run

SETTINGS = ('sgx.enclave_size = "256M"', "sgx.max_threads = 8", 'sys.stack.size = "256K"')

# What is used up, and what the program may be told.
KINDS = {
    "malloc": {"ENOMEM"},
    "mmap": {"ENOMEM"},
    "shared memory": {"ENOMEM"},
    "brk": {"ENOMEM"},
    "file": {"ENOSPC"},
    "memfd": {"ENOSPC"},
    "inodes": {"ENOMEM", "ENOSPC"},
    "symlinks": {"ENOMEM", "ENOSPC"},
    "xattrs": {"ENOMEM", "ENOSPC"},
    "pipes": {"ENOMEM"},
    "sockets": {"ENOMEM"},
    "passing": {"ENOMEM"},
    "epoll": {"ENOMEM"},
    "eventfds": {"ENOMEM"},
    "timers": {"EAGAIN"},
    "signals": {"EAGAIN"},
    "dirty mapping": {"ENOSPC"},
}


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_used_up_is_refused_and_comes_back(kind: str, platform: str) -> None:
    done = run(image("memory", ["exhaust"], SETTINGS), ["/exhaust", kind], platform)
    refused = done.output[0].removeprefix(f"{kind}: ") if done.output else ""
    assert refused in KINDS[kind], (done.output, done.errors)
    rounds = [f"{kind}: {refused}", "it lives"] * 2
    assert done.output == [*rounds, "reached[0] > 0: yes", "reached[1] >= reached[0] / 10 * 9: yes"], done.errors
    assert (done.status, done.errors) == (0, [])


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_directory_takes_names_until_its_table_finds_no_room(platform: str) -> None:
    # The table is one piece and doubles: the second time there may be none so large, where there was before.
    done = run(image("memory", ["exhaust"], SETTINGS), ["/exhaust", "names"], platform)
    assert done.output[:-1] == [*["names: ENOMEM", "it lives"] * 2, "reached[0] > 0: yes"], done
    assert (done.status, done.errors) == (0, [])


def _run_full(arguments: list[str], platform: str, honest_calls: int) -> Ended:
    """A run over a host that adds no page after so many calls."""
    words = f"kinds={lying.FULL},after={honest_calls}"
    return run(
        image("memory", ["exhaust"], SETTINGS),
        arguments,
        platform,
        loader=lying.hostile_loader_path(),
        environment={"CASEMATE_HOSTILE": words},
    )


@pytest.mark.timeout(600)  # the first test builds the loader
@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_host_without_pages_is_an_errno_for_the_program(platform: str) -> None:
    lived = 0
    for honest_calls in (200, 300, 400, 600, 1000):
        for kind in ("malloc", "inodes", "eventfds", "epoll"):
            done = _run_full(["/exhaust", kind], platform, honest_calls)
            if done.status == 0:
                assert done.output[0] in (f"{kind}: ENOMEM", f"{kind}: ENOSPC"), (honest_calls, done)
                assert (done.output[1], done.errors) == ("it lives", []), (honest_calls, done)
                lived += 1
            elif done.status == -signal.SIGKILL:
                # It touched a part of its own file that was not in memory yet.
                assert len(done.errors) == 1, (honest_calls, done)
                assert "out of memory: process 1 is killed (SIGKILL)" in done.errors[0]
            else:
                # It did not get its first memory, or its first thread.
                assert done.status in (99, 127), (honest_calls, done)
    assert lived > 4
