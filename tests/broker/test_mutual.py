"""Two enclaves prove themselves to each other, and one to the broker as Gramine's client would: programs of an ordinary Debian
python3 with this library, on the software device, with real quotes."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from casemate.loader.files import runtime_file
from tests.broker.world import World, free_port, world

# What casemate.attestation.ratls imports, and what that does.
_PACKAGES = (
    "OpenSSL",
    "_cffi_backend",
    "annotated_types",
    "cryptography",
    "pydantic",
    "pydantic_core",
    "typing_extensions",
    "typing_inspection",
)
SECRET = "the combination is 12345"
MANIFEST = """
[libos]
entrypoint = "/usr/bin/python3"
[loader]
argv = ["python3", "-s", "/app/peer.py"]
env.ROLE = { passthrough = true }
env.PORT = { passthrough = true }
env.PYTHONPATH = "/app/packages"
[sgx]
enclave_size = "2G"
max_threads = 8
"""


@dataclass
class Peers:
    """``ours`` and ``theirs`` are one image, signed by two; only enclaves of the first signer are to be talked to."""

    world: World
    ours: str
    theirs: str

    def command(self, image: str, role: str, port: int) -> list[str]:
        platform = ["--platform", "softsgx", "--aesm", str(self.world.aesm)]
        return [sys.executable, "-m", "casemate", "run", image, *platform, "-e", f"ROLE={role}", "-e", f"PORT={port}"]

    def run(self, image: str, role: str, port: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(image, role, port),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env=self.world.environment,
        )

    @contextmanager
    def serving(self, image: str, port: int) -> Iterator[subprocess.Popen[str]]:
        command, environment = self.command(image, "serve", port), self.world.environment
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "listening\n", process.communicate()
                yield process
            finally:
                process.kill()


@pytest.fixture(scope="module")
def peers(debian_rootfs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    if runtime_file("init").read_bytes() == b"\x7fELF init":
        pytest.skip("the runtime is not built")
    if sys.version_info[:2] != (3, 11):
        pytest.skip("this Python's packages are not for the image's Python, which is 3.11")
    place = tmp_path_factory.mktemp("peers")
    with world(place) as made:
        made.do("key", "new", "other.pem")
        made.do("broker", "identity", "broker")
        root = place / "image.root"
        shutil.copytree(debian_rootfs, root, symlinks=True, ignore_dangling_symlinks=True)
        application(made, root / "app")
        (place / "peer.toml").write_text(MANIFEST)
        made.do("build", f"dir:{root}", "-o", "oci:peer", "--manifest", "peer.toml")
        for key in ("key", "other"):
            made.do("sign", "oci:peer", "--key", f"{key}.pem", "-o", f"oci:peer-{key}")
        yield Peers(made, f"oci:{place}/peer-key", f"oci:{place}/peer-other")


def application(made: World, app: Path) -> None:
    """The program, its packages, and by what it judges others."""
    packages = app / "packages"
    packages.mkdir(parents=True)
    for name in _PACKAGES:
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        place = Path(found.origin)
        if place.name == "__init__.py":
            shutil.copytree(place.parent, packages / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, packages)
    import casemate

    source = Path(casemate.__file__ or "").parent
    shutil.copytree(source, packages / "casemate", ignore=shutil.ignore_patterns("__pycache__", "_runtime"))
    shutil.copy(Path(__file__).parent / "inside/peer.py", app)
    shutil.copy(made.place / "vendor/root.pem", app)
    shutil.copy(made.place / "broker/certificate.pem", app / "broker.pem")
    made.do("collateral", "export", str(made.place / "export.json"))
    (app / "collateral.json").write_text(bare(made.place / "export.json"))
    (app / "peers.toml").write_text(f'mrsigner = "{mrsigner(made.place / "key.pem")}"\n')


def bare(export: Path) -> str:
    from casemate.attestation.transfer import read_collateral

    (collateral,) = read_collateral(export)
    return collateral.to_json()


def mrsigner(path: Path) -> str:
    """SHA-256 of the modulus, little-endian (SDM volume 3D, 35.14)."""
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return hashlib.sha256(key.public_key().public_numbers().n.to_bytes(384, "little")).hexdigest()


def test_two_enclaves_prove_themselves_to_each_other(peers: Peers) -> None:
    port = free_port()
    with peers.serving(peers.ours, port) as server:
        client = peers.run(peers.ours, "ask", port)
        served, errors = server.communicate(timeout=120)
    assert (client.returncode, server.returncode) == (0, 0), (client.stderr, errors)
    said, _, seen_by_client = client.stdout.strip().partition(" from ")
    heard, _, seen_by_server = served.strip().partition(" from ")
    assert (said, heard) == ("welcome", "hello")
    # Each found in the other's quote what the image's owner reads about it.
    about = peers.world.do("info", peers.ours, "--json")
    assert seen_by_client in about
    assert len(seen_by_client) == 64
    assert seen_by_server == seen_by_client


def test_a_client_of_another_signer_is_refused_by_the_server(peers: Peers) -> None:
    port = free_port()
    with peers.serving(peers.ours, port) as server:
        client = peers.run(peers.theirs, "ask", port)
        served, errors = server.communicate(timeout=120)
    assert "hello" not in served
    assert "welcome" not in client.stdout
    assert (
        f"refused: the quote is refused (judged by a simulated vendor root): mrsigner: expected {mrsigner(peers.world.place / 'key.pem')}"
        in errors
    )


def test_a_server_of_another_signer_hears_nothing(peers: Peers) -> None:
    port = free_port()
    with peers.serving(peers.theirs, port) as server:
        client = peers.run(peers.ours, "ask", port)
        served, _ = server.communicate(timeout=120)
    assert client.returncode != 0
    assert "mrsigner: expected" in client.stderr
    assert "hello" not in served


def test_gramines_protocol_from_inside_an_enclave(peers: Peers) -> None:
    port, made = free_port(), peers.world
    policy = made.place / "gramine.toml"
    policy.write_text(f'mrsigner = "{mrsigner(made.place / "key.pem")}"\n')
    with made.broker("--gramine", f"127.0.0.1:{port}"):
        put = ["broker", "secret", "put", "note", "--policy", str(policy), "--gramine", "--file", "-"]
        made.do(*put, given=SECRET.encode() + b"\0")
        done = peers.run(peers.ours, "gramine", port)
        assert (done.returncode, done.stdout) == (0, f"{SECRET}\n"), done.stderr
        assert "released" in made.last_decision()
        refused = peers.run(peers.theirs, "gramine", port)
        assert (refused.returncode, refused.stdout) == (1, ""), refused.stderr
        assert "no secret" in refused.stderr
        assert "mrsigner: expected" in made.last_decision()
