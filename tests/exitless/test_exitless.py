"""Programs whose manifest asks for exitless host calls run as they do natively, on `direct` and on the software device."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from casemate.loader.files import RUNTIME_DIRECTORY
from tests.bundles import unpack_bundle
from tests.run.test_first_program import casemate
from tests.signed import sign_bundle

SOURCE = Path(__file__).resolve().parent / "programs" / "calls.c"
PLATFORMS = ("direct", "softsgx")
# The software device where ENCLU is the instruction.
FAITHFUL = "softsgx-faithful"


@dataclass(frozen=True)
class Image:
    root: Path
    bundle: Path

    def command(self, platform: str, data: Path, *arguments: str, options: tuple[str, ...] = ()) -> list[str]:
        data.mkdir(exist_ok=True)
        command = [str(self.bundle / "casemate-host"), "--bundle", str(self.bundle), "--root", str(self.root)]
        command += ["--platform", platform.split("-")[0], "--fuses", str(self.bundle.parent / "fuses"), *options]
        command += ["--faithful"] if platform == FAITHFUL else []
        return [*command, "--volume", f"{data}:/data", "--", *arguments]

    def run(self, platform: str, data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = self.command(platform, data, *arguments, options=("--stats",))
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, env={})


def make_image(directory: Path, servers: int) -> Image:
    if shutil.which("gcc") is None or not (RUNTIME_DIRECTORY / "casemate-host").is_file():
        pytest.skip("gcc or the runtime is not there")
    image = Image(directory / "root", directory / "bundle")
    for name in ("bin", "data"):
        (image.root / name).mkdir(parents=True)
    command = ["gcc", "-O1", "-static-pie", "-fPIE", "-pthread", str(SOURCE), "-o", str(image.root / "bin/calls")]
    subprocess.run(command, check=True)
    manifest = directory / "manifest.toml"
    lines = ['libos.entrypoint = "/bin/calls"', 'sgx.allowed_files = ["file:/data/"]', 'sgx.enclave_size = "2G"']
    lines += [f"sgx.exitless_threads = {servers}"]
    manifest.write_text("\n".join(lines) + "\n")
    shielded = f"oci:{directory}/shielded:test"
    built = casemate("build", f"dir:{image.root}", "-o", shielded, "--manifest", str(manifest), "--insecure-args")
    assert built.returncode == 0, built.stderr
    unpack_bundle(shielded, image.bundle)
    sign_bundle(image.bundle)
    return image


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return make_image(tmp_path_factory.mktemp("exitless"), 2)


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return make_image(tmp_path_factory.mktemp("ordinary"), 0)


def counts(stderr: str) -> dict[str, tuple[int, ...]]:
    """The table of `--stats`: numbers by call."""
    rows = re.findall(r"^(\w+) +(\d+(?: +\d+)?)$", stderr, re.MULTILINE)
    return {name: tuple(map(int, numbers.split())) for name, numbers in rows}


@pytest.mark.parametrize("platform", [*PLATFORMS, FAITHFUL])
@pytest.mark.parametrize("mode", ["write", "signals", "sockets"])
def test_calls_give_the_same_with_servers_and_without(
    image: Image, ordinary: Image, tmp_path: Path, platform: str, mode: str
) -> None:
    count = 500 if platform == FAITHFUL else 3000
    arguments = (mode, str(count), "4")
    served = image.run(platform, tmp_path / "served", *arguments)
    left = ordinary.run(platform, tmp_path / "left", *arguments)
    assert (served.returncode, served.stdout) == (0, left.stdout), served.stderr
    made, calls = counts(served.stderr), "SocketSend" if mode == "sockets" else "FdWriteAt"
    assert made[calls][0] == counts(left.stderr)[calls][0] == 4 * count
    assert made[calls][1] <= 4 * count
    assert len(counts(left.stderr)[calls]) == 1, "no servers, no column"
    for name, (_, exitless) in ((name, row) for name, row in made.items() if len(row) == 2):
        never = {
            "Park",
            "Exit",
            "Log",
            "ThreadCreate",
            "SocketAccept",
            "SocketConnect",
            "FdWrite",
            "FdRead",
            "AnswerAwait",
        }
        assert name not in never or exitless == 0, name
    if mode == "write":
        files = [(tmp_path / "served" / str(n)).read_bytes() for n in range(4)]
        assert files == [(tmp_path / "left" / str(n)).read_bytes() for n in range(4)]


@pytest.mark.parametrize("platform", [*PLATFORMS, FAITHFUL])
def test_servers_do_calls(image: Image, tmp_path: Path, platform: str) -> None:
    # A server gets hold of a call when it runs beside the caller, which on a busy machine no one call can count on.
    for _ in range(50):
        made = counts(image.run(platform, tmp_path / "data", "write", "20000", "1").stderr)
        if made["FdWriteAt"][1] > 0 and made["FdReadAt"][1] > 0:
            assert made["all"][1] >= made["FdWriteAt"][1] + made["FdReadAt"][1]
            return
    raise AssertionError(f"not one of a million calls was exitless: {made}")


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(("mode", "status"), [("exit", 7), ("abort", -6)])
def test_a_process_ends_with_calls_under_way(
    image: Image, tmp_path: Path, platform: str, mode: str, status: int
) -> None:
    for count in (1, 50, 400):
        done = image.run(platform, tmp_path / "data", mode, str(count), "4")
        assert (done.returncode, done.stdout) == (status, ""), done.stderr


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_signal_from_outside_reaches_the_program(image: Image, tmp_path: Path, platform: str) -> None:
    command = image.command(platform, tmp_path / "data", "write", "100000000", "2")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={})
    try:
        while not (tmp_path / "data" / "1").exists():
            assert process.poll() is None
        process.terminate()
        assert process.wait(60) == -15
    finally:
        process.kill()
        process.communicate()


def test_servers_are_in_the_measurement(image: Image, ordinary: Image) -> None:
    manifests = [(each.bundle / "manifest.json").read_text() for each in (image, ordinary)]
    assert '"exitless_threads":2' in manifests[0]
    assert "exitless_threads" not in manifests[1]
    assert (image.bundle / "measured").read_bytes() != (ordinary.bundle / "measured").read_bytes()


def test_a_loader_that_is_told_otherwise_is_found_out(image: Image, tmp_path: Path) -> None:
    """The loader's copy of the manifest is the one that was measured, so servers cannot be taken out of it."""
    bundle = tmp_path / "bundle"
    shutil.copytree(image.bundle, bundle)
    changed = (bundle / "manifest.json").read_text().replace('"exitless_threads":2,', "")
    (bundle / "manifest.json").write_text(changed)
    done = Image(image.root, bundle).run("direct", tmp_path / "data", "write", "1", "1")
    assert done.returncode != 0
    assert "it was changed after the build" in done.stderr
