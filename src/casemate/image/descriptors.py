"""OCI descriptors: media types, digests, and readers that check what they hand out.

Sources: OCI Image Format Specification 1.1 (descriptor, manifest, index); Docker Image Manifest V2,
Schema 2. Only SHA-256 and SHA-512 digests exist in both.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from casemate.errors import ImageError

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"

INDEX_TYPES = (OCI_INDEX, DOCKER_LIST)
MANIFEST_TYPES = (OCI_MANIFEST, DOCKER_MANIFEST)
CONFIG_TYPES = (OCI_CONFIG, DOCKER_CONFIG)

# Layer media type -> (compression, the OCI media type of the same bytes).
LAYER_TYPES = {
    OCI_LAYER: ("none", OCI_LAYER),
    f"{OCI_LAYER}+gzip": ("gzip", f"{OCI_LAYER}+gzip"),
    f"{OCI_LAYER}+zstd": ("zstd", f"{OCI_LAYER}+zstd"),
    "application/vnd.oci.image.layer.nondistributable.v1.tar": ("none", OCI_LAYER),
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": ("gzip", f"{OCI_LAYER}+gzip"),
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": ("zstd", f"{OCI_LAYER}+zstd"),
    "application/vnd.docker.image.rootfs.diff.tar": ("none", OCI_LAYER),
    "application/vnd.docker.image.rootfs.diff.tar.gzip": ("gzip", f"{OCI_LAYER}+gzip"),
    "application/vnd.docker.image.rootfs.diff.tar.zstd": ("zstd", f"{OCI_LAYER}+zstd"),
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": ("gzip", f"{OCI_LAYER}+gzip"),
}

# A manifest or an index is at most 4 MiB (the distribution specification's limit); configs carry histories.
MAX_MANIFEST_BYTES = 4 << 20
MAX_CONFIG_BYTES = 16 << 20

_REMEDY = "fetch or build the image again"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


class ByteStream(Protocol):
    """What every blob is read through: up to ``size`` bytes, none at the end."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob's type, digest and size in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] = field(default_factory=dict)
    platform: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.platform is not None:
            value["platform"] = self.platform
        if self.annotations:
            value["annotations"] = self.annotations
        return value


def parse_digest(text: object, where: str) -> str:
    if not isinstance(text, str) or not _DIGEST.fullmatch(text):
        raise ImageError(f"{text!r} is not a digest", where=where, remedy=_REMEDY)
    return text


def sha256_digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def parse_descriptor(value: object, where: str) -> Descriptor:
    """Checks one descriptor of a manifest or index; unknown members are ignored, as the specification asks."""
    if not isinstance(value, dict):
        raise ImageError("a descriptor is not an object", where=where, remedy=_REMEDY)
    size = value.get("size")
    media_type = value.get("mediaType")
    if not isinstance(media_type, str):
        raise ImageError("a descriptor has no media type", where=where, remedy=_REMEDY)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ImageError(f"a descriptor's size is {size!r}", where=where, remedy=_REMEDY)
    annotations = value.get("annotations")
    platform = value.get("platform")
    return Descriptor(
        media_type=media_type,
        digest=parse_digest(value.get("digest"), where),
        size=size,
        annotations=string_map(annotations, where) if annotations is not None else {},
        platform=platform if isinstance(platform, dict) else None,
    )


def canonical_json(value: object) -> bytes:
    """The same value, the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def string_map(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise ImageError("annotations are not strings", where=where, remedy=_REMEDY)
    return cast(dict[str, str], value)


def parse_json_object(data: bytes, where: str) -> dict[str, Any]:
    """Reads a JSON object; duplicate members are refused, because readers disagree on them."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"this is not valid JSON ({error})", where=where, remedy=_REMEDY) from None
    if not isinstance(value, dict):
        raise ImageError("this is not a JSON object", where=where, remedy=_REMEDY)
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a member occurs twice")
    return value


class VerifyingReader:
    """Passes a blob through and raises at its end unless size and digest are the descriptor's."""

    def __init__(self, stream: ByteStream, descriptor: Descriptor, where: str) -> None:
        algorithm, _, self._expected = descriptor.digest.partition(":")
        self._stream = stream
        self._hash = hashlib.new(algorithm, usedforsecurity=True)
        self._left = descriptor.size
        self._size = descriptor.size
        self._where = where
        self.verified = False

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        if len(data) > self._left:
            raise ImageError(
                f"the blob is larger than the {self._size} bytes its descriptor states",
                where=self._where,
                remedy=_REMEDY,
            )
        if data:
            self._left -= len(data)
            self._hash.update(data)
        else:
            self._check_end()
        return data

    def _check_end(self) -> None:
        if self._left:
            raise ImageError(
                f"the blob is truncated: {self._left} of {self._size} bytes are missing",
                where=self._where,
                remedy=_REMEDY,
            )
        if self._hash.hexdigest() != self._expected:
            raise ImageError(
                f"the blob's digest is {self._hash.name}:{self._hash.hexdigest()}, "
                f"not the {self._hash.name}:{self._expected} that refers to it",
                where=self._where,
                remedy="the image is corrupt or was changed: fetch or build it again",
            )
        self.verified = True

    def drain(self) -> None:
        """Reads what is left, so that the digest is known to be right."""
        while not self.verified:
            self.read(1 << 20)

    def close(self) -> None:
        self._stream.close()


def read_small(open_blob: Callable[[Descriptor], ByteStream], descriptor: Descriptor, limit: int, where: str) -> bytes:
    """The whole of a verified blob that must not exceed ``limit`` bytes."""
    if descriptor.size > limit:
        raise ImageError(
            f"the blob has {descriptor.size} bytes, more than the {limit} allowed for it",
            where=where,
            remedy="refuse the image",
        )
    reader = VerifyingReader(open_blob(descriptor), descriptor, where)
    try:
        parts = []
        while data := reader.read(1 << 20):
            parts.append(data)
    finally:
        reader.close()
    return b"".join(parts)
