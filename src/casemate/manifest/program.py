"""Which file of the image a name starts, as a container engine finds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from casemate.manifest.errors import EntryPointError
from casemate.manifest.identity import Identity
from casemate.manifest.paths import joined


class InodeFacts(Protocol):
    """What must be known of a file. ``kind`` is ``file``, ``directory`` and so on; ``mode`` its permission bits."""

    @property
    def kind(self) -> str: ...
    @property
    def mode(self) -> int: ...
    @property
    def uid(self) -> int: ...
    @property
    def gid(self) -> int: ...


Lookup = Callable[[str], InodeFacts | None]
"""The inode at an absolute path of the image, symbolic links followed inside it; None when there is none."""

_REMEDY = (
    "add it to the image, or name the program by its absolute path (Entrypoint, or libos.entrypoint in the manifest)"
)


def find_program(name: str, *, search: str, cwd: str, who: Identity, lookup: Lookup, where: str) -> str:
    """The absolute path of the program ``name``: as it is, from ``cwd``, or in the directories of ``search`` (PATH)."""
    if not name:
        raise EntryPointError("the program's name is empty", where=where, remedy="name a program of the image")
    if "/" in name:
        path = joined(cwd, name)
        problem = _problem(lookup(path), who)
        if problem:
            raise EntryPointError(f"the program '{path}' {problem}", where=where, remedy=_REMEDY)
        return path
    passed_over = ""
    for directory in search.split(":"):
        path = joined(joined(cwd, directory), name)
        found = lookup(path)
        problem = _problem(found, who)
        if not problem:
            return path
        if found is not None and found.kind == "file":
            passed_over = passed_over or f" ('{path}' {problem})"
    raise EntryPointError(
        f"the program '{name}' is in no directory of PATH, {search}{passed_over}", where=where, remedy=_REMEDY
    )


def _problem(found: InodeFacts | None, who: Identity) -> str | None:
    if found is None:
        return "is not in the image"
    if found.kind != "file":
        return f"is no file but of kind '{found.kind}'"
    if not _may_execute(found, who):
        return f"may not be executed by uid {who.uid} (mode {found.mode:04o}, owner {found.uid}:{found.gid})"
    return None


def _may_execute(found: InodeFacts, who: Identity) -> bool:
    if who.uid == 0:
        return found.mode & 0o111 != 0
    if who.uid == found.uid:
        return found.mode & 0o100 != 0
    if found.gid == who.gid or found.gid in who.groups:
        return found.mode & 0o010 != 0
    return found.mode & 0o001 != 0
