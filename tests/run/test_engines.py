"""Shielded images under container engines, with their default seccomp profiles."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from casemate.files import decrypt, encrypt
from casemate.loader.files import RUNTIME_DIRECTORY

pytestmark = pytest.mark.engine

Run = Callable[..., subprocess.CompletedProcess[str]]
OPTIONS = [pytest.param((), id="root"), pytest.param(("--user", "1000:1000", "--read-only"), id="user-read-only")]
STATUS = 7
PROGRAM = f"""
import sys
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool:
    sums = list(pool.map(lambda count: sum(range(count)), [100_000] * 8))
print(open("/dev/attestation/attestation_type").read(), sums[-1])
print("to standard error", file=sys.stderr)
sys.exit({STATUS})
"""


# What the engine mounts at /shared, and, encrypted, at /data.
KEY = bytes(range(16))
COPIES = """
text = open("/shared/in").read()
open("/data/out", "w").write(text + open("/data/sealed").read())
print(text)
"""
MOUNTS = f"""
sgx.allowed_files = ["file:/shared/"]
fs.mounts = [{{ type = "encrypted", path = "/data", uri = "file:/data", key_name = "k" }}]
fs.insecure__keys.k = "{KEY.hex()}"
loader.argv = ["/usr/bin/python3", "-c", {json.dumps(COPIES)}]
"""


def execute(*command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=env)


def unmount_below(place: Path) -> None:
    """The engine leaves its network namespace mounted, and then nobody can remove the directory."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for path in sorted((path for path in mounted if path.startswith(f"{place}/")), reverse=True):
        execute("umount", "-l", path)


@pytest.fixture(scope="module")
def archives(debian_image: str, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Archives of two shielded Debian images: ``shielded:test`` runs ``python3 -c "print('hello')"``, ``signed:test`` is signed and
    runs `PROGRAM`; ``volumes:test`` runs `COPIES`."""
    if not (RUNTIME_DIRECTORY / "casemate-host").is_file():
        pytest.skip("the runtime is not built")
    place = tmp_path_factory.mktemp("engines")
    manifest = place / "manifest.toml"
    manifest.write_text(f'loader.argv = ["/usr/bin/python3", "-c", {json.dumps(PROGRAM)}]\n')
    volumes_manifest = place / "volumes.toml"
    volumes_manifest.write_text(MOUNTS)
    shielded, signed, volumes = (place / f"{name}.tar" for name in ("shielded", "signed", "volumes"))
    for command in (
        ["build", debian_image, "-o", f"docker-archive:{shielded}:shielded:test"],
        ["build", debian_image, "-o", f"oci:{place}/unsigned:test", "--manifest", str(manifest)],
        ["build", debian_image, "-o", f"docker-archive:{volumes}:volumes:test", "--manifest", str(volumes_manifest)],
        ["key", "new", str(place / "key.pem")],
        [
            "sign",
            f"oci:{place}/unsigned:test",
            "--key",
            str(place / "key.pem"),
            "-o",
            f"docker-archive:{signed}:signed:test",
        ],
    ):
        done = execute(sys.executable, "-m", "casemate", *command)
        assert done.returncode == 0, done.stderr
    return [shielded, signed, volumes]


@contextmanager
def podman_engine(place: Path) -> Iterator[Run]:
    """Runs podman's commands, with its images and containers in a directory of their own."""
    (place / "containers.conf").write_text(
        '[containers]\ndefault_ulimits=["nofile=1024:1024","nproc=1024:1024"]\n'
        '[engine]\ncgroup_manager="cgroupfs"\nevents_logger="file"\n'
    )
    env = {**os.environ, "CONTAINERS_CONF": str(place / "containers.conf")}
    base = ["podman", "--root", f"{place}/root", "--runroot", f"{place}/run", "--runtime", "runc"]
    try:
        yield lambda *command: execute(*base, *command, env=env)
    finally:
        execute(*base, "system", "reset", "--force", env=env)
        unmount_below(place)


@pytest.fixture(scope="module")
def podman(archives: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    if shutil.which("podman") is None or os.geteuid() != 0:
        pytest.skip("podman is not installed, or the tests do not run as root")
    with podman_engine(tmp_path_factory.mktemp("podman")) as engine:
        for archive in archives:
            loaded = engine("load", "-i", str(archive))
            if loaded.returncode != 0:
                pytest.skip(f"podman cannot load images here: {loaded.stderr.strip()[-200:]}")

        def run(*options: str, image: str = "shielded:test") -> subprocess.CompletedProcess[str]:
            return engine("run", "--rm", "--network=host", *options, f"localhost/{image}")

        yield run


@pytest.fixture(scope="module")
def docker(archives: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        pytest.skip("dockerd is not installed, or the tests do not run as root")
    place = tmp_path_factory.mktemp("docker")
    socket = f"unix://{place}/docker.sock"
    switches = ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none"]
    places = ["--data-root", f"{place}/data", "--exec-root", f"{place}/exec", "--pidfile", f"{place}/pid", "-H", socket]
    log = (place / "log").open("wb")
    daemon = subprocess.Popen(["dockerd", *places, *switches, "--storage-driver=overlay2"], stdout=log, stderr=log)
    try:
        for _ in range(60):
            if execute("docker", "-H", socket, "version").returncode == 0 or daemon.poll() is not None:
                break
            time.sleep(0.5)
        for archive in archives:
            if execute("docker", "-H", socket, "load", "-i", str(archive)).returncode != 0:
                pytest.skip(f"docker does not start here: {(place / 'log').read_text(errors='replace')[-300:]}")

        def run(*options: str, image: str = "shielded:test") -> subprocess.CompletedProcess[str]:
            return execute("docker", "-H", socket, "run", "--rm", "--network=host", *options, image)

        yield run
    finally:
        daemon.terminate()
        daemon.wait(timeout=60)
        log.close()
        unmount_below(place)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("engine", ["podman", "docker"])
def test_the_shielded_image_runs_unchanged(
    engine: str, options: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    run: Run = request.getfixturevalue(engine)
    done = run(*options)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("engine", ["podman", "docker"])
def test_the_signed_image_runs_in_an_enclave(
    engine: str, options: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    run: Run = request.getfixturevalue(engine)
    done = run(*options, image="signed:test")
    assert (done.returncode, done.stdout) == (STATUS, "dcap 4999950000\n"), done.stderr
    assert done.stderr.count("simulation") == 1, done.stderr
    assert "to standard error\n" in done.stderr


@pytest.mark.parametrize("engine", ["podman", "docker"])
def test_volumes_are_the_hosts_directories_that_the_manifest_names(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run: Run = request.getfixturevalue(engine)
    shared, data = tmp_path / "shared", tmp_path / "data"
    shared.mkdir()
    data.mkdir()
    (shared / "in").write_text("from the host")
    (tmp_path / "plain").write_text(", from the owner")
    encrypt(tmp_path / "plain", data / "sealed", KEY, "/data/sealed")
    done = run("-v", f"{shared}:/shared", "-v", f"{data}:/data", image="volumes:test")
    assert (done.returncode, done.stdout) == (0, "from the host\n"), done.stderr
    assert b"owner" not in (data / "out").read_bytes()
    decrypt(data / "out", tmp_path / "out", KEY, "/data/out")
    assert (tmp_path / "out").read_text() == "from the host, from the owner"
    without = run("-v", f"{data}:/data", image="volumes:test")
    assert without.returncode == 125
    assert "offers no directory" in without.stderr
