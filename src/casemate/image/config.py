"""The image configuration: what the original says about how to start its program."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from casemate.errors import ImageError
from casemate.image.descriptors import parse_digest, parse_json_object

_REMEDY = "fetch or build the image again"


@dataclass(slots=True)
class ImageConfig:
    """The members that Casemate acts on, checked; ``raw`` keeps all of them for writing back."""

    raw: dict[str, Any]
    entrypoint: list[str] = field(default_factory=list)
    cmd: list[str] = field(default_factory=list)
    env: list[str] = field(default_factory=list)
    working_dir: str = ""
    user: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    diff_ids: list[str] = field(default_factory=list)

    def copy(self) -> ImageConfig:
        return copy.deepcopy(self)


def parse_config(data: bytes, where: str) -> ImageConfig:
    """Reads an OCI or Docker image configuration for linux/amd64."""
    raw = parse_json_object(data, where)
    system, machine = raw.get("os"), raw.get("architecture")
    if (system, machine) != ("linux", "amd64"):
        raise ImageError(
            f"the image is for {system or 'unknown'}/{machine or 'unknown'}",
            where=where,
            remedy="use its linux/amd64 variant",
        )
    inner = raw.get("config")
    inner = {} if inner is None else inner
    if not isinstance(inner, dict):
        raise ImageError("'config' is not an object", where=where, remedy=_REMEDY)
    rootfs = raw.get("rootfs")
    if not isinstance(rootfs, dict) or rootfs.get("type") != "layers":
        raise ImageError("'rootfs' does not list layers", where=where, remedy=_REMEDY)
    return ImageConfig(
        raw=raw,
        entrypoint=_strings(inner, "Entrypoint", where),
        cmd=_strings(inner, "Cmd", where),
        env=_strings(inner, "Env", where),
        working_dir=_string(inner, "WorkingDir", where),
        user=_string(inner, "User", where),
        labels=_labels(inner, where),
        diff_ids=[parse_digest(value, where) for value in _strings(rootfs, "diff_ids", where)],
    )


def _strings(value: dict[str, Any], name: str, where: str) -> list[str]:
    member = value.get(name)
    if member is None:
        return []
    if not isinstance(member, list) or not all(isinstance(item, str) for item in member):
        raise ImageError(f"'{name}' is not a list of strings", where=where, remedy=_REMEDY)
    if any("\0" in item for item in member):
        raise ImageError(f"'{name}' holds a NUL character", where=where, remedy=_REMEDY)
    return list(member)


def _string(value: dict[str, Any], name: str, where: str) -> str:
    member = value.get(name)
    if member is None:
        return ""
    if not isinstance(member, str) or "\0" in member:
        raise ImageError(f"'{name}' is not a string", where=where, remedy=_REMEDY)
    return member


def _labels(value: dict[str, Any], where: str) -> dict[str, str]:
    member = value.get("Labels")
    if member is None:
        return {}
    if not isinstance(member, dict) or not all(isinstance(item, str) for item in member.values()):
        raise ImageError("'Labels' is not a map of strings", where=where, remedy=_REMEDY)
    return dict(member)
