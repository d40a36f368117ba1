"""Shielded images for tests of signing: small enclaves, and ones whose shielded layer somebody tampered with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from casemate.image.build import BuildOptions, build
from casemate.image.descriptors import sha256_digest
from casemate.image.references import parse_reference
from casemate.image.shielded import LABEL_MANIFEST, MANIFEST, MEASURED, measured_block, read_bundle
from casemate.image.sources import open_source
from tests.image.builder import Layout, entry, hello, tar

# An enclave that is measured at once.
SMALL = '[sgx]\nenclave_size = "256M"\nmax_threads = 4\nisvprodid = 7\nisvsvn = 3\n'


def manifest_file(place: Path, more: str = "") -> Path:
    path = place / f"manifest-{abs(hash(more))}.toml"
    path.write_text(SMALL + more)
    return path


def shielded_image(
    place: Path, more: str = "", config: dict[str, Any] | None = None, history: list[dict[str, Any]] | None = None
) -> tuple[str, str, Path]:
    """References of a source and of what it was built into, and the manifest's file."""
    layout = Layout([hello()], config=config or {"Entrypoint": ["/hello"]}, history=history)
    source = layout.write(place / "source")
    manifest = manifest_file(place, more)
    target = f"oci:{place}/shielded:{len(list(place.iterdir()))}"
    build(parse_reference(source), parse_reference(target), BuildOptions(manifest))
    return source, target, manifest


def tampered(place: Path, shielded: str, changes: dict[str, bytes | None], *, consistent: bool = True) -> str:
    """A copy whose shielded layer holds other files (None: lacks them), with measured block and label to match."""
    with open_source(parse_reference(shielded)) as image:
        files: dict[str, bytes | None] = {**read_bundle(image), **changes}
        labels = dict(image.config.labels)
        config = image.config.raw["config"]
    manifest = files[MANIFEST]
    if consistent and manifest is not None:
        files[MEASURED] = measured_block(manifest)
        labels[LABEL_MANIFEST] = sha256_digest(manifest)
    members = [entry("casemate", b"5")]
    layer = tar(*members, *((entry(f"casemate/{name}"), data) for name, data in files.items() if data is not None))
    return Layout([hello(), layer], "none", config={**config, "Labels": labels}).write(place)


def changed_manifest(shielded: str, **changes: Any) -> bytes:
    """The image's manifest with other values, in the canonical form."""
    with open_source(parse_reference(shielded)) as image:
        value = json.loads(read_bundle(image)[MANIFEST])
    return json.dumps({**value, **changes}, sort_keys=True, separators=(",", ":")).encode() + b"\n"
