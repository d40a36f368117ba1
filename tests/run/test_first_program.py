"""Programs that run on the library OS, started as a user starts them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from casemate.loader.files import RUNTIME_DIRECTORY


def casemate(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "casemate", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=60)


@pytest.fixture
def static_image(tmp_path: Path) -> str:
    """A scratch-like image whose one file is Debian's static busybox, shielded; arguments are free."""
    busybox = Path("/bin/busybox")
    if not (RUNTIME_DIRECTORY / "casemate-host").is_file():
        pytest.skip("the runtime is not built")
    if not busybox.is_file():
        pytest.skip("busybox-static is not installed")
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin/busybox").write_bytes(busybox.read_bytes())
    (root / "bin/busybox").chmod(0o755)
    manifest = tmp_path / "manifest.toml"
    manifest.write_text('[libos]\nentrypoint = "/bin/busybox"\n[loader]\nargv = ["/bin/busybox"]\n')
    image = f"oci:{tmp_path}/shielded:test"
    built = casemate("build", f"dir:{root}", "-o", image, "--manifest", str(manifest), "--insecure-args")
    assert built.returncode == 0, built.stderr
    return image


def test_a_static_program_prints_its_arguments(static_image: str) -> None:
    done = casemate("run", static_image, "--", "echo", "hello", "from", "inside")
    assert (done.returncode, done.stdout) == (0, b"hello from inside\n"), done.stderr


@pytest.mark.parametrize(("applet", "status"), [("true", 0), ("false", 1)])
def test_the_exit_status_is_the_programs(static_image: str, applet: str, status: int) -> None:
    assert casemate("run", static_image, "--", applet).returncode == status


def test_uname_names_the_library_os(static_image: str) -> None:
    done = casemate("run", static_image, "--", "uname", "-srv")
    assert done.stdout.startswith(b"Linux 6.1.0-casemate #1 SMP Casemate library OS"), done.stderr


def test_standard_input_reaches_the_program(static_image: str) -> None:
    done = casemate("run", static_image, "--", "cat", stdin=b"line\n" * 50_000)
    assert (done.returncode, done.stdout) == (0, b"line\n" * 50_000), done.stderr


@pytest.fixture(scope="module")
def python_image(debian_image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Debian's own python3, dynamic, shielded; arguments are free."""
    if not (RUNTIME_DIRECTORY / "casemate-host").is_file():
        pytest.skip("the runtime is not built")
    image = f"oci:{tmp_path_factory.mktemp('python')}/shielded:test"
    built = casemate("build", debian_image, "-o", image, "--insecure-args")
    assert built.returncode == 0, built.stderr
    return image


def test_debians_python_prints_hello(python_image: str) -> None:
    done = casemate("run", python_image)
    assert (done.returncode, done.stdout) == (0, b"hello\n"), done.stderr


def test_python_writes_a_file_and_reads_a_directory(python_image: str) -> None:
    program = (
        "import os, sys; open('/tmp/note', 'w').write('x' * 100000);"
        "print(os.stat('/tmp/note').st_size, len(open('/tmp/note').read()), 'note' in os.listdir('/tmp'),"
        " os.uname().version.startswith('#1 SMP Casemate'), os.getpid())"
    )
    done = casemate("run", python_image, "--", "-c", program)
    assert done.stdout == b"100000 100000 True True 1\n", done.stderr
    assert not Path("/tmp/note").exists()


def test_python_starts_python_though_both_are_linked_to_the_same_addresses(python_image: str) -> None:
    program = "import subprocess, sys; print(subprocess.run([sys.executable, '-c', 'print(1 + 1)']).returncode)"
    done = casemate("run", python_image, "--", "-c", program)
    assert (done.returncode, done.stdout) == (0, b"2\n0\n"), done.stderr
