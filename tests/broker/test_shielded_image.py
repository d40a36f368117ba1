"""Images whose manifest names a broker: what building puts into them, and how they start where there is no SGX."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from casemate.image import shielded
from casemate.image.references import parse_reference
from casemate.image.sources import open_source
from casemate.loader.files import runtime_file
from tests.run.test_first_program import casemate

MANIFEST = """
[libos]
entrypoint = "/bin/busybox"
[loader]
argv = ["sh", "-c", "echo started"]
[secrets]
broker = "127.0.0.1:9"
broker_key = "sha256:{pin}"
required = ["db"]
timeout = 1
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, busybox_rootfs: Path) -> str:
    place = tmp_path_factory.mktemp("shielded")
    (place / "manifest.toml").write_text(MANIFEST.format(pin="ab" * 32))
    reference = f"oci:{place}/shielded:test"
    done = casemate("build", f"dir:{busybox_rootfs}", "-o", reference, "--manifest", str(place / "manifest.toml"))
    assert done.returncode == 0, done.stderr
    return reference


def test_the_shielded_layer_holds_init_and_the_index_vouches_for_it(image: str) -> None:
    with open_source(parse_reference(image)) as source:
        files = shielded.read_bundle(source)
        assert source.layers[-1].descriptor.size < 12 << 20
    assert files["init"] == runtime_file("init").read_bytes()
    manifest = json.loads(files["manifest.json"])
    assert manifest["secrets"]["required"] == ["db"]
    from casemate._core import Index, verity_digest

    index = Index.from_bytes(files["index"], bytes.fromhex(manifest["index"]["root"]))
    found = index.lookup(b"/casemate/init", follow=False)
    assert found is not None
    assert (found.digest, found.mode) == (verity_digest(files["init"]), 0o755)


def test_an_image_without_a_broker_holds_no_init(tmp_path: Path, busybox_rootfs: Path) -> None:
    (tmp_path / "manifest.toml").write_text(MANIFEST.partition("[secrets]")[0])
    reference = f"oci:{tmp_path}/shielded:test"
    assert (
        casemate(
            "build", f"dir:{busybox_rootfs}", "-o", reference, "--manifest", str(tmp_path / "manifest.toml")
        ).returncode
        == 0
    )
    with open_source(parse_reference(reference)) as source:
        assert "init" not in shielded.read_bundle(source)


def test_where_there_is_no_quote_the_program_does_not_start(image: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "casemate", "run", "--platform", "direct", image], capture_output=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (71, b""), done.stderr
    assert b"casemate-init: this enclave cannot prove itself" in done.stderr
