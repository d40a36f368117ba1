"""Files and directories full of them. The output appears under its name when all of it is right, or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from casemate.errors import CasemateError, UsageError, describe_os_error
from casemate.files.contents import decrypt_from, encrypt_into
from casemate.files.errors import ProtectedFilesError


@dataclass
class Outcome:
    """What was done: files, and bytes of what is or was encrypted."""

    files: int = 0
    bytes: int = 0


def encrypt(source: Path, output: Path, key: bytes, path: str | None = None) -> Outcome:
    """Encrypts a file, or every file below a directory. `path` is what the enclave opens the output as, by default `output` as
    it is written; what is below a directory is below `path`."""
    base = os.fspath(output) if path is None else path
    outcome = Outcome()

    def one(name: str, plain: Path, beside: Path) -> None:
        with plain.open("rb") as reader, beside.open("w+b") as writer:
            outcome.bytes += encrypt_into(reader, writer, key, _join(base, name))
            os.fsync(writer.fileno())
        outcome.files += 1

    _convert(source, output, one)
    return outcome


def decrypt(source: Path, output: Path, key: bytes, path: str | None = None, *, any_path: bool = False) -> Outcome:
    """Decrypts a file, or every file below a directory. A file must carry `path`; without that, a path that ends as its own name
    does, or, below a directory, as its name there; with `any_path`, any."""
    outcome = Outcome()

    def one(name: str, sealed: Path, beside: Path) -> None:
        with sealed.open("rb") as reader, beside.open("wb") as writer:
            size, carried = decrypt_from(reader, writer, key, str(sealed))
            if not any_path:
                _check_path(carried, name or source.name, None if path is None else _join(path, name), sealed)
            writer.flush()
            os.fsync(writer.fileno())
        outcome.files += 1
        outcome.bytes += size

    _convert(source, output, one)
    return outcome


def verify(source: Path, key: bytes, path: str | None = None, *, any_path: bool = False) -> Outcome:
    """As `decrypt`, and writes nothing."""
    outcome = Outcome()
    for name, sealed, kind in _walk(source):
        if kind == "file":
            with _explained(sealed), sealed.open("rb") as reader:
                size, carried = decrypt_from(reader, None, key, str(sealed))
            if not any_path:
                _check_path(carried, name or source.name, None if path is None else _join(path, name), sealed)
            outcome.files += 1
            outcome.bytes += size
    return outcome


def _check_path(carried: str, name: str, wanted: str | None, where: Path) -> None:
    fits = carried == wanted if wanted is not None else carried == name or carried.endswith(f"/{name}")
    if not fits:
        expected = f"not {wanted}" if wanted is not None else f"which does not end in {name}"
        raise ProtectedFilesError(
            f"it is the file of path {carried!r}, {expected}",
            where=str(where),
            remedy="give the path with --path, or --any-path if it may be another file with this key",
        )


def _join(base: str, name: str) -> str:
    return f"{base.rstrip('/')}/{name}" if name else base


def _walk(source: Path) -> Iterator[tuple[str, Path, str]]:
    """Each file and directory: its name below `source` (empty for itself), where it is, which of the two it is."""
    pending = [PurePosixPath()]
    while pending:
        below = pending.pop()
        place = source / below
        with _explained(place):
            # A link that the user names is followed, those below are not.
            mode = (place.stat() if place == source else place.lstat()).st_mode
            if stat.S_ISDIR(mode):
                pending += [below / entry for entry in sorted(os.listdir(place), reverse=True)]
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            raise ProtectedFilesError("it is neither a file nor a directory", where=str(place), remedy="leave it out")
        yield "" if place == source else str(below), place, "directory" if stat.S_ISDIR(mode) else "file"


def _convert(source: Path, output: Path, one: Callable[[str, Path, Path], None]) -> None:
    with _explained(output):
        if output.is_dir():
            raise UsageError("there is a directory already", where=str(output), remedy="choose another output")
        if output.resolve().is_relative_to(source.resolve()) and source.is_dir():
            raise UsageError(
                "the output is inside what it is made from", where=str(output), remedy="choose another output"
            )
    with _beside(output) as beside:
        for name, place, kind in _walk(source):
            to = beside / name if name else beside
            with _explained(place):
                if kind == "directory":
                    to.mkdir(exist_ok=True)
                else:
                    one(name, place, to)


@contextmanager
def _beside(output: Path) -> Iterator[Path]:
    """A name next to the output, which what was put there gets at the end. Only its owner can read it until then."""
    with _explained(output):
        staging = Path(tempfile.mkdtemp(prefix=".casemate-", dir=output.absolute().parent))
    try:
        yield staging / "output"
        with _explained(output):
            (staging / "output").rename(output)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except CasemateError:
        raise
    except OSError as error:
        place = error.filename if isinstance(error.filename, str) else str(path)
        raise describe_os_error(error, "cannot read or write it", place) from None
