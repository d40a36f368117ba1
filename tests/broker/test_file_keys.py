"""A file key and an argument come from the broker: on the software device, by the commands that a user types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.loader.files import runtime_file
from tests.broker.world import World, world

ARGUMENT = "a-recipe-that-nobody-knows"
KEY = b"sixteen bytes ok"
PROGRAM = """echo "$1"; exec cat /dev/attestation/keys/mine
"""
MANIFEST = """
[libos]
entrypoint = "/bin/busybox"
[loader]
argv = ["sh", "/program"]
[secrets]
broker = "127.0.0.1:{port}"
broker_key = "{pin}"
keys.mine = "data-key"
args = ["recipe"]
timeout = {timeout}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if not Path("/bin/busybox").is_file():
        pytest.skip("busybox-static is not installed")
    if runtime_file("init").read_bytes() == b"\x7fELF init":
        pytest.skip("the runtime is not built")
    with world(tmp_path_factory.mktemp("keys")) as found:
        yield found


def test_the_program_finds_its_argument_and_its_file_key(made: World) -> None:
    image, measurements = made.image("keeper", program=PROGRAM, manifest=MANIFEST)
    (made.place / "policy.toml").write_text(f"mrenclave = {measurements!r}\n")
    put = ["broker", "secret", "put"]
    with made.broker():
        made.do(*put, "data-key", "--kind", "key", "--policy", "policy.toml", "--file", "-", given=KEY)
        made.do(*put, "recipe", "--kind", "arg", "--policy", "data-key", "--file", "-", given=ARGUMENT.encode())
        done = made.run(image)
        assert (done.returncode, done.stdout) == (0, ARGUMENT.encode() + b"\n" + KEY), done.stderr
        made.do("broker", "secret", "rotate", "data-key", "--generate")
        again = made.run(image)
    assert again.stdout.startswith(ARGUMENT.encode() + b"\n")
    assert len(again.stdout) == len(done.stdout)
    assert again.stdout != done.stdout
