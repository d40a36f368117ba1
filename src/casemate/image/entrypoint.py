"""Finding the program that an image starts, and checking at build time that the runtime can start it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from casemate.errors import ImageError
from casemate.image.programs import Program
from casemate.image.view import ImageView

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MAX_INTERPRETERS = 4


def find_program(view: ImageView, name: str, environment: Mapping[str, str], directory: str) -> str:
    """The absolute path of the program that ``name`` starts, as an engine finds it: by PATH when it has no slash."""
    if "/" in name:
        path = posixpath.normpath(posixpath.join("/", directory, name))
        _require_startable(view, path)
        return path
    searched = environment.get("PATH") or _DEFAULT_PATH
    for part in searched.split(":"):
        path = posixpath.normpath(posixpath.join("/", directory, part, name))
        info = view.lookup(path)
        if info is not None and info.kind == "file" and info.mode & 0o111:
            _require_startable(view, path)
            return path
    raise ImageError(
        f"the entry point '{name}' is in none of the directories of PATH ({searched})",
        remedy="name it by its absolute path in the image's Entrypoint, or as loader.entrypoint in a --manifest",
    )


def _require_startable(view: ImageView, path: str) -> None:
    """The program and, in turn, each interpreter it needs."""
    where = "the entry point"
    for _ in range(_MAX_INTERPRETERS):
        program = _executable(view, path, where)
        if program.kind == "other":
            raise ImageError(
                f"{where} '{path}' is neither an x86-64 ELF program nor a script that begins with '#!'",
                remedy="set the image's Entrypoint to the program itself, or give a script its '#!' line",
            )
        if program.problem:
            raise ImageError(
                f"{where} '{path}' cannot run here: {program.problem}", remedy="use the image's linux/amd64 variant"
            )
        if program.kind == "elf":
            if program.interpreter:
                _executable(view, program.interpreter, f"the ELF interpreter of '{path}',")
            return
        if not program.interpreter:
            raise ImageError(f"{where} '{path}' begins with '#!' but names no interpreter", remedy="name one there")
        where = f"the interpreter of the script '{path}',"
        path = posixpath.normpath(posixpath.join("/", program.interpreter))
    raise ImageError(f"'{path}' is a script whose interpreters are scripts in turn", remedy="name a program there")


def _executable(view: ImageView, path: str, where: str) -> Program:
    info = view.lookup(path)
    if info is None:
        raise ImageError(f"{where} '{path}' is not in the image", remedy="add it to the image, or correct the name")
    if info.kind != "file":
        raise ImageError(f"{where} '{path}' is a {info.kind}, not a file", remedy="name a program")
    if not info.mode & 0o111:
        raise ImageError(
            f"{where} '{path}' is not executable (mode {info.mode:04o})", remedy="chmod +x it in the image"
        )
    return view.program(path) or Program("other")
