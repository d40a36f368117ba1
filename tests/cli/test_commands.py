"""The command line as a user types it: output, JSON, exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import casemate.cli
from casemate import __version__
from casemate.cli.build import parse_size
from casemate.errors import UsageError
from tests.image.builder import Layout, hello

pytestmark = pytest.mark.usefixtures("cache", "runtime_files")


def invoke(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Runs the command in this process; its exit status."""
    monkeypatch.setattr("sys.argv", ["casemate", *arguments])
    with pytest.raises(SystemExit) as caught:
        casemate.cli.main()
    return int(caught.value.code or 0)


def test_build_and_info_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Layout([hello()], config={"Entrypoint": ["/hello"], "Cmd": ["a b"], "User": "7:8"}).write(tmp_path / "in")
    target = f"oci:{tmp_path}/out:x"
    assert invoke(monkeypatch, "build", source, "-o", target, "--insecure-args", "--json") == 0
    built = json.loads(capsys.readouterr().out)
    assert invoke(monkeypatch, "info", target, "--json") == 0
    seen = json.loads(capsys.readouterr().out)
    for key in ("digest", "source_digest", "manifest_digest", "index_root"):
        assert built[key] == seen[key]
    assert seen["version"] == __version__
    assert (seen["manifest"]["uid"], seen["manifest"]["gid"]) == (7, 8)
    assert (seen["manifest"]["argv"], seen["manifest"]["default_args"]) == (["/hello"], ["a b"])
    assert seen["insecure"] == ["the host chooses the program's arguments (loader.insecure__use_cmdline_argv)"]

    assert invoke(monkeypatch, "info", target) == 0
    shown = capsys.readouterr().out
    for text in ("/hello", "'a b'", "7:8", built["index_root"], "the host chooses the program's arguments"):
        assert text in shown.replace("\n", "")


def test_build_prints_what_it_made_and_nothing_else_in_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(monkeypatch, "build", Layout([hello()]).write(tmp_path / "in"), "-o", f"oci:{tmp_path}/out") == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"oci:{tmp_path}/out\n  image     sha256:")
    assert captured.err == ""


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["build", "oci:/absent", "-o", "oci:/tmp/x"], 1, "/absent"),
        (["build", "frob", "-o", "oci:/tmp/x"], 2, "not an image reference"),
        (["build", "oci:/absent", "-o", "dir:/tmp/x"], 2, "cannot be used here"),
        (["build", "oci:/absent", "-o", "oci:/tmp/x", "--max-unpacked-size", "big"], 2, "not a size"),
        (["build", "oci:/absent"], 2, "--output"),
        (["info", "oci:/absent"], 1, "/absent"),
        (["frob"], 2, "frob"),
    ],
)
def test_mistakes_are_explained_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    message: str,
) -> None:
    assert invoke(monkeypatch, *arguments) == status
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_help_lists_the_commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    assert all(command in shown for command in ("build", "run", "info"))
    assert invoke(monkeypatch, "run", "--help") == 0
    assert "--platform" in capsys.readouterr().out
    assert invoke(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"casemate {__version__}\n"


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("17", 17), ("2K", 2048), ("3MiB", 3 << 20), ("64g", 64 << 30), ("1TB", 1 << 40)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1", "1.5G", "1X"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(UsageError):
        parse_size(text)
