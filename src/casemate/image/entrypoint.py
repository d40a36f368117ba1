"""Checking at build time that the runtime can start the program that the manifest names."""

from __future__ import annotations

import posixpath

from casemate.errors import ImageError
from casemate.image.programs import Program
from casemate.image.view import ImageView

_MAX_INTERPRETERS = 4


def require_startable(view: ImageView, path: str) -> None:
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
