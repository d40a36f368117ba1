"""Larger programs (numpy, sqlite3, gcc, servers) print the same natively (chroot) and inside.

The programs themselves are in programs/, run by the root file system's own Python.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import images
from tests.bundles import unpack_bundle

HERE = Path(__file__).resolve().parent / "programs"
# Debian chooses among implementations of BLAS by links that its maintainer scripts make.
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "LD_LIBRARY_PATH": "/usr/lib/x86_64-linux-gnu/blas:/usr/lib/x86_64-linux-gnu/lapack",
}
MANIFEST = """[libos]
entrypoint = "/usr/bin/env"
[loader]
insecure__use_cmdline_argv = true
[loader.env]
"""

SHORT = {
    "imports": ["imports.py", "ceh"],
    "sort": ["sort.py", "50000"],
    "sqlite": ["sqlite.py", "5000"],
    "tar": ["tar.py", "usr/lib/python3.11/json", "usr/share/base-files"],
    "http server": ["http_server.py"],
    "asyncio": ["asyncio_echo.py"],
    "numpy": ["linear_algebra.py"],
    "gcc": ["compile.py"],
}
LONG = {
    "imports of everything": ["imports.py", "abcdefghijklmnopqrstuvwxyz"],
    "sort of a million lines": ["sort.py", "1000000"],
    "sqlite with 100000 rows": ["sqlite.py", "100000"],
    "tar of all modules": ["tar.py", "usr/lib/python3.11"],
}
COMMANDS = {
    "gcc version": ["gcc", "--version"],
    "grep": ["grep", "-rc", "import os", "/usr/lib/python3.11/json", "/usr/lib/python3.11/email"],
}
# A directory's own order is the file system's business.
UNORDERED = {"grep"}


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the root file system that programs may write to, with the devices that they look for."""
    if os.geteuid() != 0:
        pytest.skip("the native side uses chroot: run as root")
    try:
        rootfs = images.unpacked(images.programs_tar())
    except images.ToolMissingError as missing:
        pytest.skip(str(missing))
    root = tmp_path_factory.mktemp("native") / "root"
    subprocess.run(["cp", "-a", str(rootfs), str(root)], check=True)
    shutil.rmtree(root / "dev", ignore_errors=True)
    (root / "dev").mkdir()
    for name, number in (("null", 3), ("zero", 5), ("urandom", 9)):
        os.mknod(root / "dev" / name, 0o666 | 0o020000, os.makedev(1, number))
    return root


@pytest.fixture(scope="module")
def inside(native: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command line that runs a program of the same root file system inside."""
    place = tmp_path_factory.mktemp("inside")
    rootfs = images.unpacked(images.programs_tar())
    settings = "".join(f'{name} = "{value}"\n' for name, value in ENVIRONMENT.items())
    (place / "manifest.toml").write_text(MANIFEST + settings)
    command = ["build", f"dir:{rootfs}", "-o", f"oci:{place}/image", "--manifest", str(place / "manifest.toml")]
    subprocess.run([sys.executable, "-m", "casemate", *command], check=True, stdout=subprocess.DEVNULL)
    unpack_bundle(f"oci:{place}/image", place / "bundle")
    shutil.rmtree(place / "image")
    return [str(place / "bundle/casemate-host"), "--bundle", str(place / "bundle"), "--root", str(rootfs), "--"]


def _compare(name: str, command: list[str], native: Path, inside: list[str], timeout_s: float) -> None:
    outside = subprocess.run(
        ["chroot", str(native), "/usr/bin/env", *command],
        capture_output=True,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=timeout_s,
    )
    done = subprocess.run(
        [*inside, *command], capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=timeout_s
    )
    seen, expected = (each.stdout.decode(errors="replace").splitlines() for each in (done, outside))
    if name in UNORDERED:
        seen, expected = sorted(seen), sorted(expected)
    assert expected, outside.stderr
    assert seen == expected, done.stderr
    assert done.returncode == outside.returncode, done.stderr


def _python(arguments: list[str]) -> list[str]:
    return ["python3", "-c", (HERE / arguments[0]).read_text(), *arguments[1:]]


@pytest.mark.parametrize("name", list(SHORT))
def test_programs_print_the_same_as_natively(name: str, native: Path, inside: list[str]) -> None:
    _compare(name, _python(SHORT[name]), native, inside, 120)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_commands_print_the_same_as_natively(name: str, native: Path, inside: list[str]) -> None:
    _compare(name, COMMANDS[name], native, inside, 60)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", list(LONG))
def test_long_programs_print_the_same_as_natively(name: str, native: Path, inside: list[str]) -> None:
    _compare(name, _python(LONG[name]), native, inside, 400)
