"""Where an image is: ``TRANSPORT:PATH[:NAME]`` in skopeo's spelling."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from casemate.errors import UsageError

SOURCE_TRANSPORTS = ("oci", "oci-archive", "docker-archive", "dir")
DESTINATION_TRANSPORTS = ("oci", "oci-archive", "docker-archive")

_FORMS = {
    "oci": "oci:DIR[:TAG]",
    "oci-archive": "oci-archive:FILE[:TAG]",
    "docker-archive": "docker-archive:FILE[:NAME:TAG]",
    "dir": "dir:ROOTFS",
}
# org.opencontainers.image.ref.name as the image specification's annotation grammar has it.
_OCI_NAME = re.compile(r"[A-Za-z0-9]+(?:(?:[-._:@/+]|--)[A-Za-z0-9]+)*")
_DOCKER_NAME = re.compile(r"[a-z0-9]+(?:[._/:-]+[A-Za-z0-9_]+)*")


@dataclass(frozen=True, slots=True)
class Reference:
    """One image in one place; ``name`` is a tag, or the repository tag in an archive of Docker's."""

    transport: str
    path: Path
    name: str | None = None

    def __str__(self) -> str:
        suffix = f":{self.name}" if self.name else ""
        return f"{self.transport}:{self.path}{suffix}"


def parse_reference(text: str, allowed: tuple[str, ...] = SOURCE_TRANSPORTS) -> Reference:
    """Reads a reference; ``allowed`` are the transports that make sense where it stands."""
    forms = ", ".join(_FORMS[transport] for transport in allowed)
    transport, colon, rest = text.partition(":")
    if not colon or transport not in _FORMS:
        raise UsageError("this is not an image reference", where=repr(text), remedy=f"write it as one of {forms}")
    if transport not in allowed:
        raise UsageError(
            f"the transport '{transport}' cannot be used here", where=repr(text), remedy=f"use one of {forms}"
        )
    path, _, name = (rest, "", "") if transport == "dir" else rest.partition(":")
    if not path or "\0" in rest:
        raise UsageError("the path is missing", where=repr(text), remedy=f"write it as {_FORMS[transport]}")
    if name:
        grammar = _DOCKER_NAME if transport == "docker-archive" else _OCI_NAME
        if not grammar.fullmatch(name):
            raise UsageError(
                f"'{name}' is not a valid image name or tag",
                where=repr(text),
                remedy="use letters, digits and single separators (. _ - / :)",
            )
    return Reference(transport, Path(path), name or None)


def docker_repo_tag(name: str) -> str:
    """The full NAME:TAG that an archive of Docker's records."""
    last = name.rsplit("/", 1)[-1]
    return name if ":" in last else f"{name}:latest"


def full_repo_tag(name: str) -> str:
    """With Docker's default registry and namespace written out, so that two spellings compare equal."""
    name = docker_repo_tag(name)
    first, slash, _ = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{name}" if slash else f"docker.io/library/{name}"
    return name
