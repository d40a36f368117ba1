"""``casemate run``: what it passes to the loader, what it refuses, and that the loader takes its place."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from casemate.image.build import BuildOptions, build
from casemate.image.references import parse_reference
from casemate.loader import files
from casemate.loader.admission import check_options
from casemate.loader.launch import RunOptions, Volume
from tests.image.builder import Layout, hello

# A loader that says how it was called. The real one is tested with the library OS.
LOADER = """#!/bin/sh
for word in "$@"; do echo "arg $word"; done
/usr/bin/env | grep -v -e '^PWD=' -e '^SHLVL=' -e '^_=' | sed 's/^/env /'
case "$*" in *sleep*) echo started; sleep 60;; esac
exec cat >&2
"""


@pytest.fixture
def image(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    (runtime / "casemate-host").write_text(LOADER)
    (runtime / "enclave").write_bytes(b"enclave")
    monkeypatch.setattr(files, "RUNTIME_DIRECTORY", runtime)
    target = f"oci:{tmp_path}/out:x"
    options = BuildOptions(insecure_args=True)
    build(parse_reference(Layout([hello()]).write(tmp_path / "in")), parse_reference(target), options)
    return target


def casemate(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "casemate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


def test_becomes_the_loader_with_the_options_in_its_words(image: str, cache: Path) -> None:
    for _ in range(2):  # the second time from the cache
        done = casemate("run", "--trace", image, "--stats", "--platform", "direct", "--", "one", "--two", input="typed")
        words = [line.removeprefix("arg ") for line in done.stdout.splitlines() if line.startswith("arg ")]
        (bundle,) = (cache / "casemate/bundles").iterdir()
        assert words == [
            "--bundle", str(bundle), "--store", str(cache / "casemate/store"), "--platform", "direct",
            "--trace", "--stats", "--", "one", "--two",
        ]  # fmt: skip
        assert "env " not in done.stdout, "nothing of this environment reaches the loader"
        assert (done.stderr, done.returncode) == ("typed", 0)
    assert sorted(path.name for path in bundle.iterdir()) == [
        "casemate-host", "enclave", "index", "manifest.json", "measured",
    ]  # fmt: skip


def test_signals_reach_the_loader_itself(image: str) -> None:
    command = [sys.executable, "-m", "casemate", "run", image, "--", "sleep"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "started\n":
            assert process.poll() is None
        time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-e", "DEBUG=1"], "loader.env.DEBUG = { passthrough = true }"),
        (["-e", "a.b=1"], 'loader.env."a.b" = { passthrough = true }'),
        (["-v", "/tmp:/data:ro"], 'fs.mounts = [{ type = "chroot", path = "/data", uri = "file:/data" }]'),
    ],
)
def test_what_the_manifest_does_not_admit_is_refused_with_the_line_that_would(
    image: str, arguments: list[str], message: str
) -> None:
    done = casemate("run", image, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("casemate: ")
    assert message in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: IMAGE"),
        (["oci:x", "--frob"], "unrecognized arguments: --frob"),
        (["dir:/"], "the transport 'dir' cannot be used here"),
        (["oci:x", "-v", "/tmp"], "write HOST:PATH"),
        (["oci:x", "-v", "/tmp:relative"], "write HOST:PATH"),
        (["oci:x", "-v", "/no/such/dir:/data"], "does not exist"),
        (["oci:x", "-e", "=1"], "write NAME=VALUE"),
        (["oci:x", "-e", "NOT_SET_ANYWHERE"], "is not set here"),
        (["oci:x", "--platform", "moon"], "invalid choice: 'moon'"),
    ],
)
def test_a_wrong_command_line_ends_with_status_2(arguments: list[str], message: str) -> None:
    done = casemate("run", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def _placed(tmp_path: Path, **manifest: object) -> object:
    from casemate.image.store import Placed

    value = {"args_from_host": False, "env": [], "env_from_host_all": False, "mounts": [], **manifest}
    (tmp_path / "manifest.json").write_text(json.dumps(value))
    return Placed(tmp_path, tmp_path)


def test_fixed_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="build it with --insecure-args"):
        check_options(_placed(tmp_path), RunOptions(arguments=["x"]))  # type: ignore[arg-type]
    check_options(_placed(tmp_path, args_from_host=True), RunOptions(arguments=["x"]))  # type: ignore[arg-type]


def test_what_the_manifest_admits_passes(tmp_path: Path) -> None:
    mount = {"type": "host", "path": "/data", "source": "/data", "read_only": False}
    placed = _placed(tmp_path, env=[{"name": "A", "from_host": True}, {"name": "B", "value": "1"}], mounts=[mount])
    check_options(placed, RunOptions(environment={"A": "x"}, volumes=[Volume("/tmp", "/data", False)]))  # type: ignore[arg-type]
    with pytest.raises(Exception, match="fixes the variable 'B'"):
        check_options(placed, RunOptions(environment={"B": "x"}))  # type: ignore[arg-type]
    with pytest.raises(Exception, match="at '/other'"):
        check_options(placed, RunOptions(volumes=[Volume("/tmp", "/other", False)]))  # type: ignore[arg-type]
    everything = _placed(tmp_path, env_from_host_all=True)
    check_options(everything, RunOptions(environment={"ANY": "x"}))  # type: ignore[arg-type]


def test_a_cache_on_a_file_system_without_programs_is_explained(image: str, cache: Path) -> None:
    casemate("run", image, stdin=subprocess.DEVNULL)
    (bundle,) = (cache / "casemate/bundles").iterdir()
    os.chmod(bundle / "casemate-host", 0o400)
    done = casemate("run", image)
    assert done.returncode == 1
    assert "cannot start the loader" in done.stderr
