"""The canonical manifest: what the enclave reads and the measurement covers.

The bytes are JSON in one form only: UTF-8, members sorted, no white space, integers, a final newline. What
the members may hold is decided by the enclave's own reader (``runtime/manifest``, through
``casemate._core``); the models here give them names and types.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from casemate._core import ManifestFormatError, check_manifest, insecure_settings
from casemate.manifest.errors import ManifestError
from casemate.manifest.schema import Edmm, LogLevel

VERSION = 1
# RLIMIT_NOFILE's hard limit inside; ``fds_limit`` is the soft one.
FDS_HARD_LIMIT = 1 << 20


class _Member(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class EnvVar(_Member):
    """A variable: ``value``, or the host's."""

    name: str
    value: str | None = None
    from_host: Literal[True] | None = None


class TmpfsMount(_Member):
    type: Literal["tmpfs"] = "tmpfs"
    path: str


class HostMount(_Member):
    """A directory or file of the host: insecure."""

    type: Literal["host"] = "host"
    path: str
    source: str
    read_only: bool


class EncryptedMount(_Member):
    type: Literal["encrypted"] = "encrypted"
    path: str
    uri: str
    key_name: str


CanonicalMount = Annotated[TmpfsMount | HostMount | EncryptedMount, Field(discriminator="type")]


class IndexRef(_Member):
    root: str
    """Root digest of the file index, hexadecimal."""
    size: int


class SealKey(_Member):
    """Masks of the sealing keys, as SGX's KEYREQUEST has them."""

    flags_mask: int
    misc_mask: int
    xfrm_mask: int


class SecretsRef(_Member):
    """What ``/casemate/init`` asks a broker for; the maps give names of secrets."""

    broker: list[str]
    broker_key: str
    """SHA-256 of the broker's public key, hexadecimal."""
    required: list[str]
    optional: list[str]
    env: dict[str, str]
    args: list[str]
    keys: dict[str, str]
    files: dict[str, str]
    results: list[str]
    timeout_s: int


class CanonicalManifest(_Member):
    """Version 1. ``docs/manifest.md`` and ``runtime/manifest/src/model.rs`` describe the members."""

    version: Literal[1] = 1
    runtime_version: str
    program: str
    argv: list[str]
    default_args: list[str]
    args_from_host: bool
    env: list[EnvVar]
    env_from_host_all: bool
    cwd: str
    uid: int
    gid: int
    groups: list[int]
    umask: int
    mounts: list[CanonicalMount]
    insecure_keys: dict[str, str]
    names_from_host: bool
    enclave_size: int
    max_threads: int
    stack_size: int
    brk_max_size: int
    fds_limit: int
    edmm: Edmm
    exitless_threads: int | None = None
    debug: bool
    isv_prod_id: int
    isv_svn: int
    log_level: LogLevel
    disallow_subprocesses: bool
    index: IndexRef
    seal_key: SealKey | None = None
    secrets: SecretsRef | None = None

    @property
    def insecure(self) -> list[str]:
        """One sentence for each setting that weakens the protection."""
        return insecure_settings(canonical_bytes(self))

    def host_mount(self, path: str) -> HostMount | None:
        """The mount that admits a host directory at ``path``."""
        return next((m for m in self.mounts if isinstance(m, HostMount) and m.path == path), None)

    def takes_from_host(self, name: str) -> bool:
        """Whether the host may set the variable ``name``."""
        own = next((var for var in self.env if var.name == name), None)
        return own.from_host is True if own else self.env_from_host_all


def canonical_bytes(manifest: CanonicalManifest) -> bytes:
    """The bytes to store and to measure. Raises ``ManifestError`` when the enclave would refuse them."""
    members = manifest.model_dump(mode="json", exclude_none=True)
    text = json.dumps(members, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    try:
        data = text.encode() + b"\n"
    except UnicodeEncodeError:
        raise ManifestError(
            "the program's arguments or environment hold half a character (an unpaired surrogate)",
            remedy="correct the image's configuration or the manifest",
        ) from None
    _check(data, None)
    return data


def parse_canonical(data: bytes, where: str | None = None) -> CanonicalManifest:
    """Reads canonical bytes, with all the checks that the enclave makes. ``where`` names them in messages."""
    _check(data, where)
    return CanonicalManifest.model_validate_json(data)


def _check(data: bytes, where: str | None) -> None:
    try:
        check_manifest(data)
    except ManifestFormatError as error:
        remedy = "build the image again" if where else "correct the image's configuration or the manifest"
        raise ManifestError(str(error), where=where, remedy=remedy) from None
