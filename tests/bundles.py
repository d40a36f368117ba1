"""The bundle of a shielded image, where the loader can be started on it directly."""

from __future__ import annotations

from pathlib import Path

from casemate.image.references import parse_reference
from casemate.image.shielded import LOADER, read_bundle
from casemate.image.sources import open_source


def unpack_bundle(image: str, bundle: Path) -> None:
    """Writes the files of /casemate/ to a directory, which is made."""
    bundle.mkdir()
    with open_source(parse_reference(image)) as shielded:
        for name, data in read_bundle(shielded).items():
            (bundle / name).write_bytes(data)
    (bundle / LOADER).chmod(0o755)
