"""Shielding an image: scan, index, manifest, one more layer, all written at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from casemate import __version__
from casemate.errors import ImageError
from casemate.image.config import ImageConfig
from casemate.image.descriptors import canonical_json, sha256_digest
from casemate.image.entrypoint import require_startable
from casemate.image.layers import Limits
from casemate.image.references import Reference
from casemate.image.scan import ScannedLayer, scan_layer
from casemate.image.shielded import (
    DIRECTORY,
    ENCLAVE,
    LABEL_INDEX,
    LABEL_MANIFEST,
    LABEL_SOURCE,
    LABEL_VERSION,
    LOADER,
    Bundle,
    shielded_config,
    shielded_layer,
)
from casemate.image.sources import SourceImage, open_source
from casemate.image.view import ImageView
from casemate.image.writers import OutputImage, write_image
from casemate.loader.files import runtime_file
from casemate.manifest import ImageFacts, build_canonical, canonical_bytes, load_user_manifest

DEFAULT_MAX_UNPACKED_BYTES = 64 << 30
DEFAULT_MAX_ENTRIES = 5_000_000

Progress = Callable[[str, int, int], None]
"""Told what is done, how many bytes more of it, and how many there are in all (0: not known)."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    manifest: Path | None = None
    insecure_args: bool = False
    max_unpacked_bytes: int = DEFAULT_MAX_UNPACKED_BYTES
    max_entries: int = DEFAULT_MAX_ENTRIES


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What was made. Digests are ``ALGORITHM:HEX``; ``index_root`` is hex."""

    image: str
    digest: str
    source: str
    source_digest: str
    manifest_digest: str
    index_root: str
    layer_digest: str
    layer_size: int
    files: int
    cached_layers: int
    layers: int
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def build(
    source: Reference,
    destination: Reference,
    options: BuildOptions,
    progress: Progress = lambda _what, _more, _total: None,
) -> BuildResult:
    """Shields ``source`` into ``destination``. The same inputs give the same bytes."""
    bundle_parts = runtime_file(LOADER).read_bytes(), runtime_file(ENCLAVE).read_bytes()
    with open_source(source) as image:
        _require_unshielded(image)
        scanned = _scan(image, options, progress)
        view = ImageView(scanned)
        if view.lookup(f"/{DIRECTORY}", follow=False) is not None:
            raise ImageError(
                f"the image already holds /{DIRECTORY}",
                where=str(source),
                remedy="shielding needs that name: build from the original image, or move what is there",
            )
        index = view.index.to_bytes()
        manifest, warnings = _manifest(view, image.config, options, len(index))
        bundle = Bundle(*bundle_parts, index=index, manifest=manifest)
        layer = shielded_layer(bundle, len(image.layers) + 1)
        labels = {
            LABEL_VERSION: __version__,
            LABEL_MANIFEST: sha256_digest(manifest),
            LABEL_INDEX: view.index.root_digest.hex(),
            LABEL_SOURCE: image.digest,
        }
        output = OutputImage(
            config=canonical_json(shielded_config(image.config, layer, labels)),
            layers=[*image.layers, layer],
            plain_sizes=[*(each.facts.plain_size for each in scanned), layer.descriptor.size],
            annotations=image.annotations,
        )
        total = sum(each.descriptor.size for each in output.layers)
        digest = write_image(destination, output, lambda size: progress("writing", size, total))
        return BuildResult(
            image=str(destination),
            digest=digest,
            source=str(source),
            source_digest=image.digest,
            manifest_digest=labels[LABEL_MANIFEST],
            index_root=labels[LABEL_INDEX],
            layer_digest=layer.descriptor.digest,
            layer_size=layer.descriptor.size,
            files=len(view.index),
            cached_layers=sum(each.cached for each in scanned),
            layers=len(image.layers),
            warnings=warnings,
        )


def _require_unshielded(image: SourceImage) -> None:
    if LABEL_VERSION in image.config.labels:
        raise ImageError(
            "the image is shielded already", where=str(image.reference), remedy="build from the original image"
        )


def _scan(image: SourceImage, options: BuildOptions, progress: Progress) -> list[ScannedLayer]:
    limits = Limits(options.max_unpacked_bytes, options.max_entries)
    done: dict[str, ScannedLayer] = {}
    for layer in image.layers:
        if layer.diff_id not in done:
            done[layer.diff_id] = scan_layer(layer, limits, lambda size: progress("reading", size, 0))
    return [done[layer.diff_id] for layer in image.layers]


def _manifest(view: ImageView, config: ImageConfig, options: BuildOptions, index_size: int) -> tuple[bytes, list[str]]:
    """The canonical manifest: what the image says, and over it what the user says."""
    facts = ImageFacts(
        entrypoint=config.entrypoint,
        cmd=config.cmd,
        env=config.env,
        working_dir=config.working_dir,
        user=config.user,
        lookup=view.lookup,
        read_file=view.content,
    )
    user = load_user_manifest(options.manifest) if options.manifest is not None else None
    warnings: list[str] = []
    manifest = build_canonical(
        facts,
        user,
        insecure_args=options.insecure_args,
        index_root=view.index.root_digest,
        index_size=index_size,
        warn=warnings.append,
    )
    require_startable(view, manifest.program)
    return canonical_bytes(manifest), warnings
