"""The whole way in a container: the engine's own command, the loader without options, the machine's quoting service mounted where
Intel's would be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from casemate.loader.files import runtime_file
from tests.broker.world import FILE_SECRET, World, world
from tests.run.test_engines import podman_engine

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Callable[..., CompletedProcess[str]]]]:
    """A world with two secrets for one signed image, and what runs that image in a container."""
    if not Path("/bin/busybox").is_file():
        pytest.skip("busybox-static is not installed")
    if runtime_file("init").read_bytes() == b"\x7fELF init":
        pytest.skip("the runtime is not built")
    if shutil.which("podman") is None or os.geteuid() != 0:
        pytest.skip("podman is not installed, or the tests do not run as root")
    place = tmp_path_factory.mktemp("shop")
    with world(place) as made, podman_engine(tmp_path_factory.mktemp("podman")) as podman:
        _, measurements = made.image("shop")
        made.do("sign", "oci:shop", "--key", "key.pem", "-o", "docker-archive:shop.tar:shop:signed")
        with made.broker():
            made.put_secrets(measurements)
        loaded = podman("load", "-i", str(place / "shop.tar"))
        if loaded.returncode != 0:
            pytest.skip(f"podman cannot load images here: {loaded.stderr.strip()[-200:]}")

        def run(*options: str) -> CompletedProcess[str]:
            return podman("run", "--rm", "--network=host", *options, "localhost/shop:signed")

        yield made, run


def machine(made: World) -> list[str]:
    """What ``docs/attestation.md`` says to mount: the quoting service's directory, and the fuse file of the simulated machine."""
    fuses = Path(made.environment["HOME"]) / ".local/state/casemate/fuses"
    mounted = f"-v={fuses}:/machine/casemate/fuses:ro"
    return [f"-v={made.aesm.parent}:/var/run/aesmd", mounted, "-e=XDG_STATE_HOME=/machine"]


def test_a_container_gets_its_secrets(shop: tuple[World, Callable[..., CompletedProcess[str]]]) -> None:
    made, run = shop
    with made.broker():
        done = run(*machine(made))
        assert (done.returncode, done.stdout) == (0, f"hello world: {FILE_SECRET} \n"), done.stderr
        assert "released" in made.do("broker", "log")
        assert made.do("broker", "result", "get", "greeting") == "from world\n"


def test_a_container_of_another_machine_cannot_use_this_ones_service(
    shop: tuple[World, Callable[..., CompletedProcess[str]]],
) -> None:
    """Without the fuse file the loader makes a machine of its own, whose reports this quoting enclave does not believe."""
    made, run = shop
    with made.broker():
        done = run(machine(made)[0])
    assert (done.returncode, done.stdout) == (71, ""), done.stderr
    assert "this enclave cannot prove itself" in done.stderr


def test_a_container_without_the_service_says_what_to_mount(
    shop: tuple[World, Callable[..., CompletedProcess[str]]],
) -> None:
    made, run = shop
    done = run(*machine(made)[1:])
    assert (done.returncode, done.stdout) == (71, ""), done.stderr
    assert "/var/run/aesmd/aesm.socket: the quoting service cannot be reached" in done.stderr
