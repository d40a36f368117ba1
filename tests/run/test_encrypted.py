"""Encrypted mounts: programs see plain files, the host sees nothing of them, and what it changes is noticed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from casemate.files import decrypt, encrypt, verify
from casemate.loader.files import RUNTIME_DIRECTORY
from tests.bundles import unpack_bundle
from tests.run.test_first_program import casemate
from tests.signed import sign_bundle

SOURCE = Path(__file__).resolve().parent / "encrypted" / "files.c"
PLATFORMS = ("direct", "softsgx")
KEY = bytes(range(16))
NODE = 4096


@dataclass(frozen=True)
class Image:
    root: Path
    bundle: Path

    def run(self, platform: str, data: Path, *arguments: str, read_only: bool = False) -> str:
        command = [str(self.bundle / "casemate-host"), "--bundle", str(self.bundle), "--root", str(self.root)]
        command += ["--platform", platform, "--fuses", str(self.bundle.parent / "fuses")]
        command += ["--volume", f"{data}:/data" + (":ro" if read_only else ""), "--", "/data", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, env={})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def make_image(directory: Path, key: str, key_name: str = "k") -> Image:
    if shutil.which("gcc") is None or not (RUNTIME_DIRECTORY / "casemate-host").is_file():
        pytest.skip("gcc or the runtime is not there")
    image = Image(directory / "root", directory / "bundle")
    for name in ("bin", "data"):
        (image.root / name).mkdir(parents=True)
    command = ["gcc", "-O1", "-static-pie", "-fPIE", "-pthread", str(SOURCE), "-o", str(image.root / "bin/files")]
    subprocess.run(command, check=True)
    manifest = directory / "manifest.toml"
    mount = f'{{ type = "encrypted", path = "/data", uri = "file:/srv/data", key_name = "{key_name}" }}'
    manifest.write_text(f'libos.entrypoint = "/bin/files"\nsgx.enclave_size = "2G"\nfs.mounts = [{mount}]\n{key}\n')
    shielded = f"oci:{directory}/shielded:test"
    built = casemate("build", f"dir:{image.root}", "-o", shielded, "--manifest", str(manifest), "--insecure-args")
    assert built.returncode == 0, built.stderr
    unpack_bundle(shielded, image.bundle)
    sign_bundle(image.bundle)
    return image


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Its key is in the image."""
    return make_image(tmp_path_factory.mktemp("encrypted"), f'fs.insecure__keys.k = "{KEY.hex()}"')


@pytest.fixture(scope="module")
def keyless(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Its key comes later."""
    return make_image(tmp_path_factory.mktemp("keyless"), "")


def seal(data: Path, **files: bytes) -> None:
    data.mkdir(exist_ok=True)
    for name, contents in files.items():
        (data / "plain").write_bytes(contents)
        encrypt(data / "plain", data / name, KEY, f"/srv/data/{name}")
        (data / "plain").unlink()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_programs_see_what_they_see_in_an_ordinary_directory(image: Image, tmp_path: Path, platform: str) -> None:
    native, data = tmp_path / "native", tmp_path / "data"
    native.mkdir()
    data.mkdir()
    seen = subprocess.run(
        [image.root / "bin/files", native], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert image.run(platform, data) == seen
    assert seen.count("\n") > 70
    # The host has the same files, and nothing of what is in them.
    names = sorted(os.listdir(native))
    assert sorted(os.listdir(data)) == names == ["m", "t"]
    assert verify(data, KEY, "/srv/data").files == 2
    decrypt(data, tmp_path / "again", KEY, "/srv/data")
    for name in names:
        plain = (native / name).read_bytes()
        assert (tmp_path / "again" / name).read_bytes() == plain
        assert plain[4096:4160] not in (data / name).read_bytes()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_files_that_were_encrypted_elsewhere_are_read(image: Image, tmp_path: Path, platform: str) -> None:
    data = tmp_path / "data"
    sizes = (0, 1, 3072, 3073, 7168, 396_289, 500_000)
    seal(data, **{f"f{size}": bytes(size) for size in sizes})
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    said = image.run(platform, data, "show", *(f"f{size}" for size in sizes), read_only=True)
    assert said == "".join(f"f{size}: read, {size} bytes, size {size}, sum 0\n" for size in sizes)
    assert before == {path.name: path.read_bytes() for path in data.iterdir()}


def flip(at: int) -> Callable[[Path], None]:
    def change(data: Path) -> None:
        contents = bytearray((data / "one").read_bytes())
        contents[at] ^= 1
        (data / "one").write_bytes(contents)

    return change


def exchange(data: Path) -> None:
    (data / "one").rename(data / "x")
    (data / "two").rename(data / "one")
    (data / "x").rename(data / "two")


def cut(size: int) -> Callable[[Path], None]:
    return lambda data: os.truncate(data / "one", size)


def replace(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(data: Path) -> None:
        (data / "one").unlink()
        make(data / "one")

    return change


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "the magic number": (flip(0), "EIO"),
    "the nonce": (flip(20), "EIO"),
    "the metadata": (flip(100), "EIO"),
    "the root": (flip(NODE + 5), "EIO"),
    "a data node": (flip(2 * NODE + 5), "EIO"),
    "a pending write": (flip(58), "EIO"),
    "a file that is cut off": (cut(2 * NODE), "EIO"),
    "an empty file": (cut(0), "EIO"),
    "another file with the same key": (exchange, "EACCES"),
    "a link": (replace(lambda path: path.symlink_to("two")), "EIO"),
    "a FIFO": (replace(os.mkfifo), "EIO"),
    "a directory": (replace(Path.mkdir), "EISDIR"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_host_changes_is_noticed(image: Image, tmp_path: Path, change: str) -> None:
    data = tmp_path / "data"
    seal(data, one=bytes(20_000), two=bytes(20_000))
    make, error = CHANGES[change]
    make(data)
    said = image.run("direct", data, "show", "one")
    assert said.startswith(f"one: {error}, -1 bytes"), said


@pytest.mark.parametrize("platform", PLATFORMS)
def test_without_a_key_nothing_is_read_or_made_and_names_are_seen(
    keyless: Image, tmp_path: Path, platform: str
) -> None:
    data = tmp_path / "data"
    seal(data, secret=b"\1" * 5000)
    lines = keyless.run(platform, data, "key").splitlines()
    assert lines[0] == "secret: EACCES, -1 bytes, size 0, sum 0"
    assert lines[1].endswith(": -1 EACCES")
    assert lines[2:5] == [".", "..", "secret"]
    assert lines[-1].startswith("secret: read, 5000 bytes, size 5000, sum ")
    assert os.listdir(data) == ["secret"]


def test_what_the_format_cannot_have_is_refused(image: Image, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    lines = image.run("direct", tmp_path / "data", "refused").splitlines()
    assert [line.rpartition(" ")[2] for line in lines[:4]] == ["EPERM", "EPERM", "EPERM", "EXDEV"]
    assert lines[4:] == [".", "..", "a", "d"]


@pytest.mark.parametrize("key_name", ["_sgx_mrenclave", "_sgx_mrsigner"])
def test_a_sealing_key_opens_what_the_same_enclave_wrote(
    key_name: str, image: Image, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("sealed")
    sealed, data = make_image(place, "", key_name), place / "data"
    data.mkdir()
    written = sealed.run("softsgx", data)
    shown = [line for line in written.splitlines() if line.startswith("t: ")]
    assert sealed.run("softsgx", data, "show", "t").splitlines() == shown
    # Another enclave, and one that is none and has no such key.
    assert image.run("softsgx", data, "show", "t").startswith("t: EIO")
    assert sealed.run("direct", data, "show", "t").startswith("t: EACCES")


def test_a_mount_without_a_volume_is_said(image: Image) -> None:
    command = [str(image.bundle / "casemate-host"), "--bundle", str(image.bundle), "--root", str(image.root)]
    done = subprocess.run(
        [*command, "--platform", "direct"], capture_output=True, text=True, check=False, timeout=60, env={}
    )
    assert done.returncode == 125
    assert "--volume /srv/data:/data" in done.stderr
