"""Shielding an image: scan, index, manifest, one more layer, all written at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from casemate import __version__
from casemate._core import Index
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
    INIT,
    LABEL_INDEX,
    LABEL_MANIFEST,
    LABEL_SOURCE,
    LABEL_VERSION,
    LOADER,
    Bundle,
    init_table,
    offered_volumes,
    shielded_config,
    shielded_layer,
)
from casemate.image.sources import Layer, SourceImage, open_source
from casemate.image.view import ImageView
from casemate.image.writers import OutputImage, write_image
from casemate.loader.files import runtime_file
from casemate.manifest import ImageFacts, UserManifest, build_canonical, canonical_bytes, load_user_manifest

DEFAULT_MAX_UNPACKED_BYTES = 64 << 30
DEFAULT_MAX_ENTRIES = 5_000_000

Progress = Callable[[str, int, int], None]
"""Told what is done, how many bytes more of it, and how many there are in all (0: not known)."""


def quiet(_what: str, _more: int, _total: int) -> None:
    """No progress."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    manifest: Path | None = None
    insecure_args: bool = False
    max_unpacked_bytes: int = DEFAULT_MAX_UNPACKED_BYTES
    max_entries: int = DEFAULT_MAX_ENTRIES
    fill_cache: bool = True
    """Whether scanned layers are kept for later builds; without it nothing at all is written."""


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


@dataclass(frozen=True, slots=True)
class Shielded:
    """What a source becomes, before anything of it is written."""

    bundle: Bundle
    layer: Layer
    labels: dict[str, str]
    config: dict[str, Any]
    scanned: list[ScannedLayer]
    index: Index
    warnings: list[str]


def shield(image: SourceImage, options: BuildOptions, progress: Progress = quiet) -> Shielded:
    """Scans a source and makes its bundle, layer and configuration. The same inputs give the same bytes."""
    loader, enclave = runtime_file(LOADER).read_bytes(), runtime_file(ENCLAVE).read_bytes()
    user = load_user_manifest(options.manifest) if options.manifest is not None else None
    init = runtime_file(INIT).read_bytes() if user is not None and user.secrets.broker is not None else None
    _require_unshielded(image)
    scanned = _scan(image, options, progress)
    view = ImageView(scanned)
    if view.lookup(f"/{DIRECTORY}", follow=False) is not None:
        raise ImageError(
            f"the image already holds /{DIRECTORY}",
            where=str(image.reference),
            remedy="shielding needs that name: build from the original image, or move what is there",
        )
    if init is not None:
        view = ImageView(scanned, [init_table(init)])
    index = view.index.to_bytes()
    manifest, warnings = _manifest(view, image.config, user, options, len(index))
    bundle = Bundle(loader, enclave, index=index, manifest=manifest, volumes=offered_volumes(manifest), init=init)
    layer = shielded_layer(bundle, len(image.layers) + 1)
    labels = {
        LABEL_VERSION: __version__,
        LABEL_MANIFEST: sha256_digest(manifest),
        LABEL_INDEX: view.index.root_digest.hex(),
        LABEL_SOURCE: image.digest,
    }
    return Shielded(bundle, layer, labels, shielded_config(image.config, layer, labels), scanned, view.index, warnings)


def build(source: Reference, destination: Reference, options: BuildOptions, progress: Progress = quiet) -> BuildResult:
    """Shields ``source`` into ``destination``."""
    with open_source(source) as image:
        made = shield(image, options, progress)
        output = OutputImage(
            config=canonical_json(made.config),
            layers=[*image.layers, made.layer],
            plain_sizes={each.layer.diff_id: each.facts.plain_size for each in made.scanned},
            annotations=image.annotations,
        )
        total = sum(each.descriptor.size for each in output.layers)
        digest = write_image(destination, output, lambda size: progress("writing", size, total))
        return BuildResult(
            image=str(destination),
            digest=digest,
            source=str(source),
            source_digest=image.digest,
            manifest_digest=made.labels[LABEL_MANIFEST],
            index_root=made.labels[LABEL_INDEX],
            layer_digest=made.layer.descriptor.digest,
            layer_size=made.layer.descriptor.size,
            files=len(made.index),
            cached_layers=sum(each.cached for each in made.scanned),
            layers=len(image.layers),
            warnings=made.warnings,
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
            done[layer.diff_id] = scan_layer(
                layer, limits, lambda size: progress("reading", size, 0), fill_cache=options.fill_cache
            )
    return [done[layer.diff_id] for layer in image.layers]


def _manifest(
    view: ImageView, config: ImageConfig, user: UserManifest | None, options: BuildOptions, index_size: int
) -> tuple[bytes, list[str]]:
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
