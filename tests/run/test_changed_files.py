"""Files that somebody changed behind the library OS's back: what vouches for them is noticed, nothing else is harmed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from casemate.image.shielded import INDEX, MANIFEST, MEASURED, measured_block
from casemate.loader.files import RUNTIME_DIRECTORY
from tests import images
from tests.bundles import unpack_bundle

Done = subprocess.CompletedProcess[bytes]

# Prints what each read gave; `map` reads through a mapping.
SOURCE = r"""
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
static void look(const char *path, long at) {
    char data[16] = "";
    int fd = open(path, O_RDONLY);
    long n = pread(fd, data, 8, at);
    if (n < 0) printf("%s %ld: %s\n", path, at, strerror(errno));
    else printf("%s %ld: %.*s\n", path, at, (int)n, data);
    close(fd);
}
int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "map")) {
        int fd = open("/data/large", O_RDONLY);
        char *at = mmap(NULL, 3 << 20, PROT_READ, MAP_PRIVATE, fd, 0);
        printf("first %.4s\n", at); fflush(stdout);
        printf("changed %.4s\n", at + (2 << 20));
        return 0;
    }
    look("/data/large", 0);
    look("/data/large", 2 << 20);
    look("/data/large", (3 << 20) - 8);
    look("/data/small", 0);
    look("/data/other", 0);
    return 0;
}
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A root file system with a program that reads /data, and its shielded image."""
    if shutil.which("musl-gcc") is None:
        pytest.skip("musl-gcc is not installed")
    if not (RUNTIME_DIRECTORY / "casemate-host").is_file():
        pytest.skip("the runtime is not built")
    place = tmp_path_factory.mktemp("changed")
    data = place / "root/data"
    data.mkdir(parents=True)
    (data / "large").write_bytes(b"".join(b"%07d\n" % number for number in range(3 << 17)))
    (data / "small").write_bytes(b"small file\n")
    (data / "other").write_bytes(b"other file\n")
    (place / "look.c").write_text(SOURCE)
    images.run(["musl-gcc", "-O1", "-static", "-o", place / "root/look", place / "look.c"])
    (place / "manifest.toml").write_text('libos.entrypoint = "/look"\n')
    reference = f"oci:{place}/shielded:x"
    images.run([sys.executable, "-m", "casemate", "build", f"dir:{place}/root", "-o", reference,
                "--manifest", place / "manifest.toml", "--insecure-args"])  # fmt: skip
    return place / "root", reference


@pytest.fixture
def unpacked(image: tuple[Path, str], tmp_path: Path) -> Path:
    """What an engine makes of the shielded image: the root file system with /casemate in it."""
    root, reference = image
    shutil.copytree(root, tmp_path / "root")
    unpack_bundle(reference, tmp_path / "root/casemate")
    return tmp_path / "root"


def start(root: Path, *arguments: str) -> Done:
    bundle = root / "casemate"
    command = [str(bundle / "casemate-host"), "--bundle", str(bundle), "--root", str(root), "--", *arguments]
    return subprocess.run(command, capture_output=True, check=False, timeout=60)


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


WHOLE = """\
/data/large 0: 0000000

/data/large 2097152: 0262144

/data/large 3145720: 0393215

/data/small 0: small fi
/data/other 0: other fi
"""


def test_an_unchanged_root_file_system_reads_as_it_is(unpacked: Path) -> None:
    done = start(unpacked)
    assert (done.returncode, done.stdout.decode()) == (0, WHOLE), done.stderr


@pytest.mark.parametrize(
    ("change", "path", "offset"),
    [
        (lambda data: overwrite(data / "large", (2 << 20) + 2, b"X"), "/data/large", 2 << 20),
        (lambda data: overwrite(data / "small", 3, b"X"), "/data/small", 0),
    ],
    ids=["one block of a large file", "a small file"],
)
def test_a_changed_block_is_eio_with_path_and_offset_and_nothing_else(
    change: Callable[[Path], None], path: str, offset: int, unpacked: Path
) -> None:
    change(unpacked / "data")
    done = start(unpacked)
    expected = [
        f"{path} {offset}: I/O error" if line.startswith(f"{path} {offset}:") else line
        for line in WHOLE.replace("\n\n", "\n").splitlines()
    ]
    assert done.stdout.decode().replace("\n\n", "\n").splitlines() == expected, done.stderr
    assert done.returncode == 0
    (line,) = [line for line in done.stderr.decode().splitlines() if path in line]
    assert str(offset) in line, "the log line names the offset"


@pytest.mark.parametrize("what", ["gone", "cut", "a symbolic link"])
def test_a_file_that_is_not_there_as_it_was_is_eio(what: str, unpacked: Path) -> None:
    small = unpacked / "data/small"
    if what == "cut":
        overwrite(small, 0, b"")
        small.write_bytes(b"sm")
    else:
        small.unlink()
    if what == "a symbolic link":
        small.symlink_to("other")
    done = start(unpacked)
    assert "/data/small 0: I/O error" in done.stdout.decode() or "/data/small 0: Bad file" in done.stdout.decode()
    assert done.stdout.decode().replace("\n\n", "\n").splitlines()[-1] == "/data/other 0: other fi"
    assert any("/data/small" in line for line in done.stderr.decode().splitlines()), done.stderr


def test_a_mapping_of_a_changed_file_ends_in_sigbus(unpacked: Path) -> None:
    overwrite(unpacked / "data/large", (2 << 20) + 2, b"X")
    done = start(unpacked, "map")
    assert done.stdout == b"first 0000\n", done.stderr
    assert done.returncode == -7
    assert any("/data/large" in line and str(2 << 20) in line for line in done.stderr.decode().splitlines())


def test_a_changed_program_does_not_start(unpacked: Path) -> None:
    program = unpacked / "look"
    overwrite(program, 0, b"\x7fELG")
    done = start(unpacked)
    assert done.returncode != 0
    assert done.stdout == b""
    assert b"/look" in done.stderr


@pytest.mark.parametrize(
    ("name", "at", "message"),
    [
        (MANIFEST, 40, b"manifest"),
        (MANIFEST, -2, b"manifest"),
        (MEASURED, 20, b"manifest"),
        (INDEX, 2, b"index"),  # magic
        (INDEX, 17, b"index"),  # number of blocks
        (INDEX, 4096 + 81, b"index"),  # the root directory
        (INDEX, -4090, b"index"),  # the Merkle tree
    ],
)
def test_a_changed_index_or_manifest_refuses_to_start(name: str, at: int, message: bytes, unpacked: Path) -> None:
    path = unpacked / "casemate" / name
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    done = start(unpacked)
    assert done.returncode != 0
    assert done.stdout == b""
    assert message in done.stderr


def test_a_changed_block_of_the_index_that_is_read_later_is_eio(unpacked: Path) -> None:
    path = unpacked / "casemate" / INDEX
    content = path.read_bytes()
    block = (unpacked / "data/large").read_bytes()[2 << 20 :][:4096]
    overwrite(path, content.index(hashlib.sha256(block).digest()), b"\xff\xff")
    done = start(unpacked)
    assert "/data/large 2097152: I/O error" in done.stdout.decode()
    assert done.stdout.decode().endswith("/data/small 0: small fi\n/data/other 0: other fi\n")
    assert b"index" in done.stderr


def test_a_manifest_with_its_digest_but_another_index_refuses_to_start(unpacked: Path) -> None:
    bundle = unpacked / "casemate"
    manifest = bytearray((bundle / MANIFEST).read_bytes())
    at = manifest.index(b'"root":"') + 8
    manifest[at : at + 1] = b"0" if manifest[at : at + 1] != b"0" else b"1"
    (bundle / MANIFEST).write_bytes(manifest)
    (bundle / MEASURED).write_bytes(measured_block(bytes(manifest)))
    done = start(unpacked)
    assert done.returncode != 0
    assert done.stdout == b""
    assert b"index" in done.stderr


def test_a_changed_file_in_the_store_is_eio_under_casemate_run(image: tuple[Path, str], cache: Path) -> None:
    command = [sys.executable, "-m", "casemate", "run", image[1]]
    first = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert first.stdout.decode() == WHOLE, first.stderr
    (stored,) = [path for path in (cache / "casemate/store").glob("*/*") if path.read_bytes()[:10] == b"small file"]
    stored.chmod(0o644)
    overwrite(stored, 3, b"X")
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.stdout.decode() == WHOLE.replace("/data/small 0: small fi", "/data/small 0: I/O error")
    assert b"/data/small" in done.stderr
