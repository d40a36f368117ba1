"""Archives of ``docker save`` (Docker Image Specification 1.2: manifest.json, a configuration, layer tars).

The layers are plain tars, which the configuration's diff IDs vouch for. Some tools compress them; such
a layer is read through its decompression, so that everything after here sees plain tars.
"""

from __future__ import annotations

import json
from typing import Any

from casemate.errors import ImageError
from casemate.image.archive import ImageArchive
from casemate.image.config import parse_config
from casemate.image.descriptors import (
    MAX_CONFIG_BYTES,
    MAX_MANIFEST_BYTES,
    OCI_LAYER,
    ByteStream,
    Descriptor,
    sha256_digest,
)
from casemate.image.layers import decompressing, sniff_compression
from casemate.image.references import Reference, full_repo_tag
from casemate.image.sources import Layer, SourceImage

_REMEDY = "write the archive again with docker save or skopeo copy"


def open_docker_archive(reference: Reference) -> SourceImage:
    archive = ImageArchive(reference.path)
    try:
        return _open(reference, archive)
    except BaseException:
        archive.close()
        raise


def _open(reference: Reference, archive: ImageArchive) -> SourceImage:
    item = _choose(reference, _manifest(archive))
    config_name, layer_names = item.get("Config"), item.get("Layers")
    if not isinstance(config_name, str) or not isinstance(layer_names, list):
        raise ImageError("manifest.json names no configuration or layers", where=archive.where, remedy=_REMEDY)
    data = archive.read(config_name, MAX_CONFIG_BYTES)
    digest = sha256_digest(data)
    # The name of the configuration is its digest: "<hex>.json", or "blobs/sha256/<hex>" in newer archives.
    stated = config_name.rsplit("/", 1)[-1].removesuffix(".json")
    if len(stated) == 64 and stated != digest.removeprefix("sha256:"):
        raise ImageError(
            f"the configuration's digest is {digest}, not the sha256:{stated} that it is named after",
            where=archive.where,
            remedy="the archive is corrupt or was changed: fetch or write it again",
        )
    config = parse_config(data, f"{archive.where}: {config_name}")
    if len(layer_names) != len(config.diff_ids):
        raise ImageError(
            f"manifest.json lists {len(layer_names)} layers, the configuration {len(config.diff_ids)}",
            where=archive.where,
            remedy=_REMEDY,
        )
    layers = [
        _layer(archive, number, name, diff_id)
        for number, (name, diff_id) in enumerate(zip(layer_names, config.diff_ids, strict=True), 1)
    ]
    return SourceImage(reference, digest, config, layers, close=archive.close)


def _manifest(archive: ImageArchive) -> list[dict[str, Any]]:
    where = f"{archive.where}: manifest.json"
    try:
        value = json.loads(archive.read("manifest.json", MAX_MANIFEST_BYTES))
    except (ValueError, RecursionError) as error:
        raise ImageError(f"this is not valid JSON ({error})", where=where, remedy=_REMEDY) from None
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        raise ImageError("this is not a list of images", where=where, remedy=_REMEDY)
    return value


def _choose(reference: Reference, items: list[dict[str, Any]]) -> dict[str, Any]:
    tags = [tag for item in items for tag in item.get("RepoTags") or [] if isinstance(tag, str)]
    if reference.name is None:
        if len(items) > 1:
            raise ImageError(
                "the archive holds several images",
                where=str(reference.path),
                remedy=f"name one: {', '.join(tags)}",
            )
        return items[0]
    wanted = full_repo_tag(reference.name)
    for item in items:
        if any(isinstance(tag, str) and full_repo_tag(tag) == wanted for tag in item.get("RepoTags") or []):
            return item
    raise ImageError(
        f"there is no image '{reference.name}'",
        where=str(reference.path),
        remedy=f"it has: {', '.join(tags) or 'no named images'}",
    )


def _layer(archive: ImageArchive, number: int, name: object, diff_id: str) -> Layer:
    if not isinstance(name, str):
        raise ImageError("manifest.json names a layer by something else than text", where=archive.where)
    compression = sniff_compression(archive.open(name))
    if compression == "none":
        size = archive.size(name)

        def open_plain() -> ByteStream:
            return archive.open(name)
    else:

        def open_plain() -> ByteStream:
            return decompressing(archive.open(name), compression, f"layer {number} ({name})")

        size = _length(open_plain())
    return Layer(number, diff_id, "none", Descriptor(OCI_LAYER, diff_id, size), open_plain)


def _length(stream: ByteStream) -> int:
    total = 0
    while data := stream.read(1 << 20):
        total += len(data)
    stream.close()
    return total
