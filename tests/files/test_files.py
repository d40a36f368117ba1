"""``casemate encrypt``, ``decrypt``, ``verify-files`` as a user types them, and Gramine's own files."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from tests.cli.test_commands import invoke

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "protected-files"
HEAD = 3072
NODE = 4096
SIZES = (0, 1, HEAD, HEAD + 1, HEAD + NODE, HEAD + 96 * NODE + 1, 5_000_001)


class Casemate:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def does(self, *arguments: str | Path) -> str:
        assert invoke(self._monkeypatch, *map(str, arguments)) == 0, self._capsys.readouterr().err
        return self._capsys.readouterr().out

    def refuses(self, *arguments: str | Path, status: int = 1) -> str:
        assert invoke(self._monkeypatch, *map(str, arguments)) == status
        captured = self._capsys.readouterr()
        assert captured.out == ""
        assert "Traceback" not in captured.err
        return captured.err


@pytest.fixture
def casemate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Casemate:
    return Casemate(monkeypatch, capsys)


@pytest.fixture
def key(tmp_path: Path, casemate: Casemate) -> Path:
    casemate.does("key", "new-file-key", tmp_path / "key")
    return tmp_path / "key"


def contents(size: int) -> bytes:
    parts = (hashlib.sha256(f"casemate-vector-{index}".encode()).digest() for index in range(size // 32 + 1))
    return b"".join(parts)[:size]


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_new_key_is_its_owners_alone_and_never_written_over(tmp_path: Path, key: Path, casemate: Casemate) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    assert len(before) == 16
    assert "keys are never overwritten" in casemate.refuses("key", "new-file-key", key)
    assert key.read_bytes() == before
    casemate.does("key", "new-file-key", tmp_path / "other")
    assert (tmp_path / "other").read_bytes() != before


@pytest.mark.parametrize("size", SIZES)
def test_what_is_encrypted_comes_back(size: int, tmp_path: Path, key: Path, casemate: Casemate) -> None:
    (tmp_path / "plain").write_bytes(contents(size))
    said = casemate.does("encrypt", tmp_path / "plain", "-o", tmp_path / "sealed", "--key", key, "--json")
    assert json.loads(said) == {"path": str(tmp_path / "sealed"), "files": 1, "bytes": size}
    sealed = (tmp_path / "sealed").read_bytes()
    assert sealed[:8] == b"GRAFS_PF"
    assert len(sealed) % NODE == 0
    assert size < 32 or contents(size)[:32] not in sealed
    casemate.does("verify-files", tmp_path / "sealed", "--key", key, "--path", tmp_path / "sealed")
    casemate.does("decrypt", tmp_path / "sealed", "-o", tmp_path / "again", "--key", key)
    assert (tmp_path / "again").read_bytes() == contents(size)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["again", "key", "plain", "sealed"]


@pytest.mark.skipif(not VECTORS.is_dir(), reason="there are no shared vectors")
def test_gramines_files_are_decrypted(tmp_path: Path, casemate: Casemate) -> None:
    files = sorted(VECTORS.glob("enc-*"))
    assert len(files) == 10
    for file in files:
        casemate.does("decrypt", file, "-o", tmp_path / file.name, "--key", VECTORS / "wrap.key", "--path", file.name)
        assert (tmp_path / file.name).read_bytes() == contents(int(file.name.removeprefix("enc-")))


def test_a_directory_is_encrypted_file_by_file(tmp_path: Path, key: Path, casemate: Casemate) -> None:
    plain = tmp_path / "plain"
    (plain / "a" / "b").mkdir(parents=True)
    (plain / "empty").mkdir()
    for name, size in (("one", 10), ("a/two", 5000), ("a/b/three", 100_000)):
        (plain / name).write_bytes(contents(size))
    sealed = tmp_path / "sealed"
    casemate.does("encrypt", plain, "-o", sealed, "--key", key, "--path", "/data/")
    said = casemate.does("verify-files", sealed, "--key", key, "--path", "/data", "--json")
    assert json.loads(said)["files"] == 3
    casemate.does("decrypt", sealed, "-o", tmp_path / "again", "--key", key)
    found = {str(path.relative_to(tmp_path / "again")): path for path in (tmp_path / "again").rglob("*")}
    assert set(found) == {"a", "a/b", "empty", "one", "a/two", "a/b/three"}
    assert found["a/b/three"].read_bytes() == contents(100_000)
    # Two files of one key change places.
    (sealed / "one").rename(sealed / "x")
    (sealed / "a" / "two").rename(sealed / "one")
    (sealed / "x").rename(sealed / "a" / "two")
    error = casemate.refuses("decrypt", sealed, "-o", tmp_path / "third", "--key", key)
    assert "/data/one" in error
    assert "--any-path" in error
    assert not (tmp_path / "third").exists()
    casemate.does("decrypt", sealed, "-o", tmp_path / "third", "--key", key, "--any-path")
    assert (tmp_path / "third" / "one").read_bytes() == contents(5000)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (0, "no protected file"),
        (8, "version 3.0"),
        (20, "the key is another one"),
        (58, "cut off"),
        (200, "the key"),
        (-1, "node 3"),
    ],
)
def test_a_changed_file_is_refused_and_nothing_is_written(
    at: int, said: str, tmp_path: Path, key: Path, casemate: Casemate
) -> None:
    (tmp_path / "plain").write_bytes(contents(10_000))
    casemate.does("encrypt", tmp_path / "plain", "-o", tmp_path / "sealed", "--key", key)
    flip(tmp_path / "sealed", at)
    for command in (("decrypt", "-o", tmp_path / "again"), ("verify-files",)):
        error = casemate.refuses(command[0], tmp_path / "sealed", *command[1:], "--key", key)
        assert said in error
        assert str(tmp_path / "sealed") in error
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["key", "plain", "sealed"]


def test_what_is_cut_off_is_refused(tmp_path: Path, key: Path, casemate: Casemate) -> None:
    (tmp_path / "plain").write_bytes(contents(10_000))
    casemate.does("encrypt", tmp_path / "plain", "-o", tmp_path / "sealed", "--key", key)
    for size in (2 * NODE + 100, NODE, 100, 0):
        os.truncate(tmp_path / "sealed", size)
        assert "shorter than it says" in casemate.refuses("verify-files", tmp_path / "sealed", "--key", key)


def test_an_existing_output_survives_a_failure_and_is_replaced_by_success(
    tmp_path: Path, key: Path, casemate: Casemate
) -> None:
    (tmp_path / "plain").write_bytes(b"new")
    (tmp_path / "out").write_bytes(b"old")
    casemate.refuses("decrypt", tmp_path / "plain", "-o", tmp_path / "out", "--key", key)
    assert (tmp_path / "out").read_bytes() == b"old"
    casemate.does("encrypt", tmp_path / "plain", "-o", tmp_path / "out", "--key", key, "--path", "/x")
    assert (tmp_path / "out").read_bytes()[:8] == b"GRAFS_PF"


def test_mistakes_are_said_in_one_sentence(tmp_path: Path, key: Path, casemate: Casemate) -> None:
    plain, out = tmp_path / "plain", tmp_path / "out"
    plain.write_bytes(b"x")
    (tmp_path / "short").write_bytes(b"x" * 15)
    (tmp_path / "long").write_bytes(b"x" * 17)
    (tmp_path / "tree").mkdir()
    os.mkfifo(tmp_path / "tree" / "pipe")
    assert "this file has 15 bytes" in casemate.refuses("encrypt", plain, "-o", out, "--key", tmp_path / "short")
    assert "this file has more" in casemate.refuses("encrypt", plain, "-o", out, "--key", tmp_path / "long")
    assert "No such file" in casemate.refuses("encrypt", tmp_path / "none", "-o", out, "--key", key)
    assert "No such file" in casemate.refuses("encrypt", plain, "-o", tmp_path / "no" / "out", "--key", key)
    assert "neither a file nor" in casemate.refuses("encrypt", tmp_path / "tree", "-o", out, "--key", key)
    tree = tmp_path / "tree"
    assert "inside" in casemate.refuses("encrypt", tree, "-o", tree / "out", "--key", key, status=2)
    assert "directory already" in casemate.refuses("encrypt", plain, "-o", tree, "--key", key, status=2)
    assert "771" in casemate.refuses("encrypt", plain, "-o", out, "--key", key, "--path", "a" * 772, status=2)
    both = ("--path", "/x", "--any-path")
    assert "exclude" in casemate.refuses("decrypt", plain, "-o", out, "--key", key, *both, status=2)
    assert not out.exists()
