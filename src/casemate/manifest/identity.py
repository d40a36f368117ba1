"""The image's User as ids: ``USER``, ``USER:GROUP``, ``UID``, ``UID:GID``, looked up in the image's own files.

The rules are the engines' (runc, Docker, Podman): numbers are ids whether or not the files know them; without a group the
group is the user's, and the supplementary groups are those that list the user; with a group there are none.
The group itself is among the supplementary groups, so that a file that denies it something cannot be
reached by dropping it (CVE-2022-36109). Formats: passwd(5), group(5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from casemate.manifest.errors import UserError

_MAX_ID = (1 << 31) - 1
_REMEDY = "name a user or group of the image, or give numbers (UID:GID), or set loader.uid and loader.gid"

ReadFile = Callable[[str], bytes | None]
"""The content of one of the image's small files, None when it has no such file."""


@dataclass(frozen=True, slots=True)
class Identity:
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    """The user's home directory, ``/`` when it has none."""


@dataclass(frozen=True, slots=True)
class _User:
    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    gid: int
    members: tuple[str, ...]


def resolve_user(user: str, read_file: ReadFile) -> Identity:
    """Ids for ``user`` as it stands in the image's configuration; empty means uid 0."""
    user_part, colon, group_part = user.partition(":")
    known = next((entry for entry in _users(read_file) if _is_user(entry, user_part)), None)
    if known is None:
        uid = _number(user_part, "user") if user_part else 0
        if uid is None:
            raise UserError(f"the image's /etc/passwd has no user '{user_part}'", where="User", remedy=_REMEDY)
        known = _User("", uid, 0, "/")
    gid, groups = known.gid, tuple(g.gid for g in _groups(read_file) if known.name and known.name in g.members)
    if colon and group_part:
        gid, groups = _group_id(group_part, read_file), ()
    supplementary = tuple(dict.fromkeys((gid, *groups)))
    return Identity(known.uid, gid, supplementary, known.home or "/")


def with_ids(identity: Identity, uid: int | None, gid: int | None, read_file: ReadFile) -> Identity:
    """``loader.uid`` and ``loader.gid`` over the image's User."""
    if uid is None and gid is None:
        return identity
    if uid is None:
        uid = identity.uid
    return resolve_user(str(uid) if gid is None else f"{uid}:{gid}", read_file)


def _is_user(entry: _User, wanted: str) -> bool:
    if not wanted:
        return entry.uid == 0
    return entry.uid == int(wanted) if _is_number(wanted) else entry.name == wanted


def _group_id(wanted: str, read_file: ReadFile) -> int:
    gid = _number(wanted, "group")
    if gid is None:
        gid = next((group.gid for group in _groups(read_file) if group.name == wanted), None)
    if gid is None:
        raise UserError(f"the image's /etc/group has no group '{wanted}'", where="User", remedy=_REMEDY)
    return gid


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _number(text: str, kind: str) -> int | None:
    """The id when ``text`` is a number."""
    if not _is_number(text):
        return None
    if len(text) > 10 or int(text) > _MAX_ID:
        raise UserError(f"the {kind} id {text} is larger than {_MAX_ID}", where="User", remedy="use a smaller one")
    return int(text)


def _users(read_file: ReadFile) -> Iterator[_User]:
    for fields in _lines(read_file, "/etc/passwd", 7):
        uid, gid = _id(fields[2]), _id(fields[3])
        if uid is not None and gid is not None:
            yield _User(fields[0], uid, gid, fields[5])


def _groups(read_file: ReadFile) -> Iterator[_Group]:
    for fields in _lines(read_file, "/etc/group", 4):
        gid = _id(fields[2])
        if gid is not None:
            yield _Group(fields[0], gid, tuple(filter(None, fields[3].split(","))))


def _id(text: str) -> int | None:
    usable = _is_number(text) and len(text) <= 10 and int(text) <= _MAX_ID
    return int(text) if usable else None


def _lines(read_file: ReadFile, path: str, fields: int) -> Iterator[list[str]]:
    """The entries of a passwd-like file; lines that are none are passed over, as engines do."""
    data = read_file(path)
    for line in (data or b"").decode("utf-8", "surrogateescape").split("\n"):
        parts = line.strip().split(":")
        if parts[0] and not parts[0].startswith("#"):
            yield (parts + [""] * fields)[:fields]
