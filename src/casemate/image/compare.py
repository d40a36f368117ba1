"""The first difference between what is and what should be, in words a person can act on."""

from __future__ import annotations

import json
from typing import Any

from casemate._core import Index, InodeInfo
from casemate.manifest.load import dotted

_ATTRIBUTES = {
    "kind": "kind",
    "mode": "mode",
    "uid": "owner",
    "gid": "group",
    "size": "size",
    "digest": "content (fs-verity digest)",
    "target": "target of the symbolic link",
    "mtime": "time",
    "mtime_ns": "time's fraction",
    "nlink": "number of links",
    "major": "major number",
    "minor": "minor number",
    "xattrs": "extended attributes",
    "site_count": "number of system calls found",
}
_LONGEST = 100


def json_difference(found: Any, wanted: Any, path: tuple[str | int, ...] = ()) -> str | None:
    """The first key, in order of names, whose values differ; None when there is none."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted(found.keys() | wanted.keys()):
            inside = (*path, key)
            if key not in wanted:
                return f"'{dotted(inside)}' is {_shown(found[key])} and should not be there"
            if key not in found:
                return f"'{dotted(inside)}' is missing, it should be {_shown(wanted[key])}"
            if difference := json_difference(found[key], wanted[key], inside):
                return difference
        return None
    if isinstance(found, list) and isinstance(wanted, list):
        for number, (one, other) in enumerate(zip(found, wanted, strict=False)):
            if difference := json_difference(one, other, (*path, number)):
                return difference
        if len(found) != len(wanted):
            return f"'{dotted(path)}' has {len(found)} items instead of {len(wanted)}"
        return None
    if found == wanted and type(found) is type(wanted):
        return None
    return f"'{dotted(path)}' is {_shown(found)} instead of {_shown(wanted)}"


def index_difference(found: Index, wanted: Index) -> str | None:
    """The first path of which two indexes say different things."""
    seen = dict(found.walk())
    for path, should in wanted.walk():
        if (is_ := seen.pop(path, None)) is None:
            return f"{_path(path)} is missing"
        for attribute, name in _ATTRIBUTES.items():
            one, other = getattr(is_, attribute), getattr(should, attribute)
            if one != other:
                return f"{_path(path)}: its {name} is {_value(is_, attribute)} instead of {_value(should, attribute)}"
    if seen:
        return f"{_path(min(seen))} should not be there"
    return None


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _path(path: bytes) -> str:
    return repr(path.decode("utf-8", "backslashreplace"))


def _value(info: InodeInfo, attribute: str) -> str:
    value = getattr(info, attribute)
    if attribute == "mode":
        return f"{value:04o}"
    if attribute == "digest":
        return value.hex() if value else "none"
    return repr(value)
