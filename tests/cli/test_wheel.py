"""The wheel is all that a user installs: it works away from the source tree."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, directory: Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def casemate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, from a wheel in an environment of its own; what the wheel depends on is this environment's."""
    place = tmp_path_factory.mktemp("wheel")
    maturin = [sys.executable, "-m", "maturin", "build", "--release", "--quiet", "--out", str(place)]
    subprocess.run(maturin, check=True, cwd=ROOT, stdin=subprocess.DEVNULL)
    (wheel,) = place.glob("*.whl")
    venv.create(place / "venv", with_pip=False)
    (packages,) = (place / "venv/lib").glob("python*/site-packages")
    python = place / "venv/bin/python"
    run(
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
        wheel,
        directory=place,
    )
    # A directory named so is searched, but the .pth files in it are not: the source tree stays out.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    assert (
        run(python, "-c", "import casemate; print(casemate.__file__)", directory=place)
        == f"{packages}/casemate/__init__.py\n"
    )
    return place / "venv/bin/casemate"


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_wheel_builds_signs_and_runs_an_image(
    casemate: Path, busybox_image: str, tmp_path: Path, cache: Path
) -> None:
    assert "verify-image" in run(casemate, "--help", directory=tmp_path)
    run(casemate, "build", busybox_image, "-o", "oci:built:x", directory=tmp_path)
    run(casemate, "key", "new", "key.pem", directory=tmp_path)
    run(casemate, "sign", "oci:built:x", "--key", "key.pem", "-o", "oci:signed:x", directory=tmp_path)
    for platform in ("direct", "softsgx"):
        out = run(casemate, "run", "--platform", platform, "oci:signed:x", directory=tmp_path)
        assert out.startswith("Linux "), platform
