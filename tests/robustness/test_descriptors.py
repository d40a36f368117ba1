"""A host with few descriptors: the program is refused some, and goes on."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from tests.robustness.inside import PLATFORMS, image, run

LIMIT = 64

EXPECTED = """\
count < MOST && (errno == EMFILE || errno == ENFILE): yes
refused: 1000
pipe(pair) = 0
write(pair[1], "x", 1) = 1
eventfd(0, 0): ok
socket(AF_UNIX, SOCK_STREAM, 0): ok
read(file, head, sizeof head) = 4
/etc/never-read-before: "some"
at != MAP_FAILED && memcmp(at, head, sizeof head) == 0: yes
written: "in memory"
the child runs
a child: exited 7
epoll_create1(0): ok
epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event) = 0
epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) = -1 ENOMEM
accept(listener, NULL, NULL) < 0 && (errno == EMFILE || errno == ENFILE): yes
epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) = 0
accepted >= 0: yes
read(accepted, text, sizeof text) = 5
count < MOST && (errno == EMFILE || errno == ENFILE): yes
count == first_time: yes
"""


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_host_without_descriptors_refuses_sockets_and_nothing_else(platform: str, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("something that is in the image and not opened before")
    made = image("descriptors", ["host_descriptors"], files={"/etc/never-read-before": text})
    done = run(
        made,
        ["/host_descriptors"],
        platform,
        prepare=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT)),
    )
    assert done.output == EXPECTED.splitlines()
    assert (done.status, done.errors) == (0, [])
