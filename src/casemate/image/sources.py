"""Opening an image, whatever it comes in: the four transports behind one ``SourceImage``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from casemate.errors import ImageError
from casemate.image.config import ImageConfig
from casemate.image.descriptors import ByteStream, Descriptor
from casemate.image.references import Reference


@dataclass(slots=True)
class Layer:
    """One layer as its source stores it. ``open_stored`` gives unverified bytes; see ``layers``."""

    number: int
    """Counted from 1, the lowest layer first."""
    diff_id: str
    compression: str
    """``none``, ``gzip`` or ``zstd``."""
    descriptor: Descriptor
    open_stored: Callable[[], ByteStream]
    file: Path | None = None
    """Where the blob lies as a file of its own, if it does."""

    @property
    def where(self) -> str:
        algorithm, _, digits = self.descriptor.digest.partition(":")
        return f"layer {self.number} ({algorithm}:{digits[:12]}…)"


@dataclass(slots=True)
class SourceImage:
    """An image ready to be read: its configuration is checked, its layers are not yet read."""

    reference: Reference
    digest: str
    """Of the manifest; of the configuration where the transport has no manifest."""
    config: ImageConfig
    layers: list[Layer]
    annotations: dict[str, str] = field(default_factory=dict)
    close: Callable[[], None] = lambda: None

    def __enter__(self) -> SourceImage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_source(reference: Reference) -> SourceImage:
    """Opens an image for reading. Raises ``ImageError`` when its manifest or configuration is unsound."""
    # Imported here so that `casemate run` loads only the transport that it reads.
    if reference.transport == "oci":
        from casemate.image.oci import open_oci_directory

        image = open_oci_directory(reference)
    elif reference.transport == "oci-archive":
        from casemate.image.oci import open_oci_archive

        image = open_oci_archive(reference)
    elif reference.transport == "docker-archive":
        from casemate.image.docker import open_docker_archive

        image = open_docker_archive(reference)
    else:
        from casemate.image.rootfs import open_rootfs

        return open_rootfs(reference)
    if len(image.layers) != len(image.config.diff_ids):
        raise ImageError(
            f"the manifest lists {len(image.layers)} layers, the configuration {len(image.config.diff_ids)}",
            where=str(reference),
            remedy="fetch or build the image again",
        )
    return image
