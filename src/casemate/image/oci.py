"""OCI image layouts, in a directory or in a tar archive (OCI Image Layout Specification 1.1)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from casemate.errors import CasemateError, ImageError, describe_os_error
from casemate.image.archive import ImageArchive
from casemate.image.config import parse_config
from casemate.image.descriptors import (
    CONFIG_TYPES,
    INDEX_TYPES,
    LAYER_TYPES,
    MANIFEST_TYPES,
    MAX_CONFIG_BYTES,
    MAX_MANIFEST_BYTES,
    ByteStream,
    Descriptor,
    parse_descriptor,
    parse_json_object,
    read_small,
)
from casemate.image.references import Reference
from casemate.image.sources import Layer, SourceImage

REF_NAME = "org.opencontainers.image.ref.name"
_MAX_INDEX_DEPTH = 4
_REMEDY = "fetch or build the image again"


class _Blobs(Protocol):
    """Where a layout's files come from."""

    def open_blob(self, descriptor: Descriptor) -> ByteStream: ...

    def file(self, descriptor: Descriptor) -> Path | None: ...

    def read(self, name: str) -> bytes: ...

    def close(self) -> None: ...


class _DirectoryBlobs:
    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> bytes:
        path = self._root / name
        try:
            with path.open("rb") as file:
                data = file.read(MAX_MANIFEST_BYTES + 1)
        except OSError as error:
            raise _not_a_layout(error, self._root, name) from None
        if len(data) > MAX_MANIFEST_BYTES:
            raise ImageError(f"the file has more than {MAX_MANIFEST_BYTES} bytes", where=str(path))
        return data

    def file(self, descriptor: Descriptor) -> Path:
        return self._root / blob_path(descriptor.digest)

    def open_blob(self, descriptor: Descriptor) -> BinaryIO:
        path = self.file(descriptor)
        try:
            return cast(BinaryIO, path.open("rb", buffering=0))
        except FileNotFoundError:
            raise _missing(descriptor.digest, str(self._root)) from None
        except OSError as error:
            raise describe_os_error(error, "cannot read the blob", str(path)) from None

    def close(self) -> None:
        pass


class _ArchiveBlobs:
    def __init__(self, path: Path) -> None:
        self._archive = ImageArchive(path)

    def read(self, name: str) -> bytes:
        return self._archive.read(name, MAX_MANIFEST_BYTES)

    def file(self, _descriptor: Descriptor) -> None:
        return None

    def open_blob(self, descriptor: Descriptor) -> ByteStream:
        name = blob_path(descriptor.digest)
        if name not in self._archive:
            raise _missing(descriptor.digest, self._archive.where)
        return self._archive.open(name)

    def close(self) -> None:
        self._archive.close()


def blob_path(digest: str) -> str:
    algorithm, _, digits = digest.partition(":")
    return f"blobs/{algorithm}/{digits}"


def open_oci_directory(reference: Reference) -> SourceImage:
    return _open(reference, _DirectoryBlobs(reference.path))


def open_oci_archive(reference: Reference) -> SourceImage:
    return _open(reference, _ArchiveBlobs(reference.path))


def _open(reference: Reference, blobs: _Blobs) -> SourceImage:
    try:
        layout = parse_json_object(blobs.read("oci-layout"), f"{reference.path}/oci-layout")
        if layout.get("imageLayoutVersion") != "1.0.0":
            raise ImageError(
                f"the layout's version is {layout.get('imageLayoutVersion')!r}, not '1.0.0'",
                where=str(reference.path),
                remedy="convert it with a current tool",
            )
        index = parse_json_object(blobs.read("index.json"), f"{reference.path}/index.json")
        descriptor = _find_manifest(reference, index, blobs)
        return _read_image(reference, descriptor, blobs)
    except BaseException:
        blobs.close()
        raise


# --- From the index to one manifest -----------------------------------------------------------------


def _find_manifest(reference: Reference, index: dict[str, Any], blobs: _Blobs) -> Descriptor:
    where = f"{reference.path}/index.json"
    candidates = _manifests(index, where)
    names = sorted({d.annotations[REF_NAME] for d in candidates if REF_NAME in d.annotations})
    if reference.name is not None:
        candidates = [d for d in candidates if d.annotations.get(REF_NAME) == reference.name]
        if not candidates:
            known = ", ".join(names) if names else "no named images"
            raise ImageError(f"there is no image '{reference.name}'", where=where, remedy=f"it has: {known}")
    elif len(candidates) > 1 and len(names) > 1:
        raise ImageError("the layout holds several images", where=where, remedy=f"name one: {', '.join(names)}")
    return _for_this_platform(candidates, where, blobs.open_blob, 0)


def _for_this_platform(
    candidates: list[Descriptor], where: str, open_blob: Callable[[Descriptor], ByteStream], depth: int
) -> Descriptor:
    """Picks linux/amd64; a descriptor without a platform counts when it is the only one."""
    images = [d for d in candidates if d.media_type in MANIFEST_TYPES + INDEX_TYPES]
    if not images:
        kinds = ", ".join(sorted({d.media_type for d in candidates})) or "nothing"
        raise ImageError(
            f"there is no image manifest here, only {kinds}",
            where=where,
            remedy="use an OCI or Docker (schema 2) image",
        )
    fitting = [d for d in images if d.platform is not None and _is_amd64(d.platform)]
    if not fitting:
        fitting = [d for d in images if d.platform is None]
    if not fitting:
        offered = ", ".join(sorted(_platform_name(d.platform) for d in images))
        raise ImageError("the image has no linux/amd64 variant", where=where, remedy=f"it has: {offered}")
    if len({d.digest for d in fitting}) > 1 and fitting[0].platform is None:
        raise ImageError("several images fit", where=where, remedy="name one by its tag")
    chosen = fitting[0]
    if chosen.media_type in MANIFEST_TYPES:
        return chosen
    if depth >= _MAX_INDEX_DEPTH:
        raise ImageError("indexes are nested too deeply", where=where, remedy="refuse the image")
    inside = f"index {chosen.digest}"
    nested = parse_json_object(read_small(open_blob, chosen, MAX_MANIFEST_BYTES, inside), inside)
    return _for_this_platform(_manifests(nested, inside), inside, open_blob, depth + 1)


def _is_amd64(platform: dict[str, Any]) -> bool:
    variant = platform.get("variant") or "v1"
    return (platform.get("os"), platform.get("architecture"), variant) == ("linux", "amd64", "v1")


def _platform_name(platform: dict[str, Any] | None) -> str:
    platform = platform or {}
    parts = [platform.get("os"), platform.get("architecture"), platform.get("variant")]
    return "/".join(str(part) for part in parts if part) or "unknown"


def _manifests(index: dict[str, Any], where: str) -> list[Descriptor]:
    manifests = index.get("manifests")
    if not isinstance(manifests, list) or not manifests:
        raise ImageError("the index lists no manifests", where=where, remedy=_REMEDY)
    return [parse_descriptor(value, where) for value in manifests]


# --- From the manifest to the layers ------------------------------------------------------------------


def _read_image(reference: Reference, descriptor: Descriptor, blobs: _Blobs) -> SourceImage:
    where = f"manifest {descriptor.digest}"
    data = read_small(blobs.open_blob, descriptor, MAX_MANIFEST_BYTES, where)
    manifest = parse_json_object(data, where)
    if manifest.get("schemaVersion") != 2:
        raise ImageError(
            f"schema version {manifest.get('schemaVersion')!r} is not supported", where=where, remedy=_REMEDY
        )
    config_descriptor = parse_descriptor(manifest.get("config"), where)
    if config_descriptor.media_type not in CONFIG_TYPES:
        raise ImageError(
            f"the configuration has the media type '{config_descriptor.media_type}'",
            where=where,
            remedy="this is an artifact, not a container image: name an image",
        )
    config_where = f"config {config_descriptor.digest}"
    config = parse_config(read_small(blobs.open_blob, config_descriptor, MAX_CONFIG_BYTES, config_where), config_where)
    listed = manifest.get("layers")
    if not isinstance(listed, list):
        raise ImageError("the manifest lists no layers", where=where, remedy=_REMEDY)
    descriptors = [parse_descriptor(value, where) for value in listed]
    layers = [
        _layer(number, layer, diff_id, blobs)
        for number, (layer, diff_id) in enumerate(zip(descriptors, config.diff_ids, strict=False), 1)
    ]
    if len(descriptors) != len(config.diff_ids):
        raise ImageError(
            f"the manifest lists {len(descriptors)} layers, the configuration {len(config.diff_ids)}",
            where=where,
            remedy=_REMEDY,
        )
    annotations = parse_descriptor({**config_descriptor.to_json(), "annotations": manifest.get("annotations")}, where)
    return SourceImage(
        reference, descriptor.digest, config, layers, annotations=annotations.annotations, close=blobs.close
    )


def _layer(number: int, descriptor: Descriptor, diff_id: str, blobs: _Blobs) -> Layer:
    if descriptor.media_type not in LAYER_TYPES:
        raise ImageError(
            f"the media type '{descriptor.media_type}' is not supported",
            where=f"layer {number} ({descriptor.digest})",
            remedy="convert the image to tar layers (plain, gzip or zstd), for example with skopeo copy",
        )
    compression, media_type = LAYER_TYPES[descriptor.media_type]
    stored = Descriptor(media_type, descriptor.digest, descriptor.size, descriptor.annotations)
    return Layer(number, diff_id, compression, stored, lambda: blobs.open_blob(stored), file=blobs.file(stored))


def _missing(digest: str, where: str) -> ImageError:
    return ImageError(f"the blob {digest} is missing", where=where, remedy="fetch the image again, with all its layers")


def _not_a_layout(error: OSError, root: Path, name: str) -> CasemateError:
    if isinstance(error, FileNotFoundError) and root.is_dir():
        return ImageError(
            f"there is no {name}", where=str(root), remedy="name a directory that holds an OCI image layout"
        )
    return describe_os_error(error, f"cannot read {name}", str(root))
