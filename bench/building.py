"""``casemate build`` of a Debian image of 170 MB: time, memory, what it adds."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests import images

from bench.measure import row, time_and_memory

# With the base packages that an ordinary Debian image has.
PACKAGES = f"{images.DEBIAN_PACKAGES},bash,apt,login,mount,perl-base,util-linux,e2fsprogs,python3-pip,libpython3.11"


def main(place: Path) -> None:
    """Rows for the build; `place` is a directory for what it makes."""
    tar = images.debian_tar(PACKAGES, "debian-large.tar")
    source = images.umoci_image("debian-large", tar, entrypoint=["/usr/bin/python3"])
    environment = {**os.environ, "XDG_CACHE_HOME": str(place / "cache")}
    command = [sys.executable, "-m", "casemate", "build", source, "-o"]
    size = tar.stat().st_size / 1e6
    cold, memory = time_and_memory([*command, f"oci:{place}/cold:x"], environment)
    cached, memory_cached = time_and_memory([*command, f"oci:{place}/cached:x"], environment)
    row(f"build, {size:.0f} MB Debian, cold", f"{cold:.2f} s", "≤ 4 s")
    row("the same, cached layers", f"{cached:.2f} s", "≤ 1 s")
    row("peak memory of the two", f"{max(memory, memory_cached):.0f} MB", "≤ 200 MB")
    row("shielded layer", f"{_added_bytes(place / 'cold') / 1e6:.1f} MB", "≤ 12 MB")


def _added_bytes(layout: Path) -> int:
    """Size of the last layer of the one image in an OCI layout."""

    def blob(digest: str) -> dict[str, object]:
        content = json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())
        assert isinstance(content, dict)
        return content

    index = json.loads((layout / "index.json").read_bytes())
    manifest = blob(index["manifests"][0]["digest"])
    layers = manifest["layers"]
    assert isinstance(layers, list)
    return int(layers[-1]["size"])
