"""The store that ``casemate run`` reads: every file under its digest, each once, only what is missing extracted."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from casemate._core import Index, verity_digest
from casemate.errors import CasemateError, ImageError
from casemate.image.build import BuildOptions, build
from casemate.image.references import parse_reference
from casemate.image.sources import open_source
from casemate.image.store import Placed, place, placed_before
from tests.image.builder import ELF, Layout, entry, hello, tar

pytestmark = pytest.mark.usefixtures("runtime_files")


def shielded(layers: list[bytes], at: Path, transport: str = "oci") -> str:
    source = parse_reference(Layout(layers, "gzip").write(at / "in"))
    target = f"{transport}:{at}/out"
    build(source, parse_reference(target), BuildOptions())
    return target


def place_image(reference: str) -> Placed:
    with open_source(parse_reference(reference)) as image:
        return place(image)


def was_placed(reference: str) -> Placed | None:
    with open_source(parse_reference(reference)) as image:
        return placed_before(image)


def stored(placed: Placed) -> dict[str, Path]:
    return {path.name: path for path in placed.store.glob("??/*")}


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "docker-archive"])
def test_every_file_of_the_image_is_there_under_its_digest(
    debian_image: str, cache: Path, tmp_path: Path, transport: str
) -> None:
    target = f"{transport}:{tmp_path}/out"
    build(parse_reference(debian_image), parse_reference(target), BuildOptions())
    assert was_placed(target) is None
    placed = place_image(target)
    assert was_placed(target) == placed
    manifest = json.loads((placed.bundle / "manifest.json").read_bytes())
    index = Index.from_bytes((placed.bundle / "index").read_bytes(), bytes.fromhex(manifest["index"]["root"]))
    wanted = {info.digest.hex() for _, info in index.walk() if info.digest is not None}
    files = stored(placed)
    assert set(files) == wanted
    for name, path in files.items():
        assert path.parent.name == name[:2]
        assert path.stat().st_mode & 0o7777 == 0o400
        assert verity_digest(path.read_bytes()).hex() == name
    assert (cache / "casemate").stat().st_mode & 0o7777 == 0o700
    assert not list(placed.store.glob(".tmp-*"))


def test_files_that_upper_layers_hide_are_not_extracted(cache: Path, tmp_path: Path) -> None:
    lower = tar((entry("hello"), ELF), (entry("a"), b"first"), (entry("gone"), b"gone"), (entry("same"), b"x"))
    upper = tar((entry("a"), b"other"), entry(".wh.gone"), entry("link", tarfile.LNKTYPE, linkname="same"))
    placed = place_image(shielded([lower, upper], tmp_path))
    contents = {path.read_bytes() for path in stored(placed).values()}
    assert contents == {ELF, b"other", b"x"}


def test_a_second_image_adds_only_what_is_new(cache: Path, tmp_path: Path) -> None:
    first = tar((entry("hello"), ELF), (entry("data"), b"1" * 10_000_000))
    placed = place_image(shielded([first], tmp_path / "one"))
    before = {name: path.stat().st_mtime_ns for name, path in stored(placed).items()}
    second = place_image(shielded([first, tar((entry("more"), b"2"))], tmp_path / "two"))
    after = {name: path.stat().st_mtime_ns for name, path in stored(second).items()}
    assert len(after) == len(before) + 1
    assert before.items() <= after.items()
    assert second.bundle != placed.bundle


def test_what_was_removed_from_the_cache_is_put_back(cache: Path, tmp_path: Path) -> None:
    import shutil

    target = shielded([hello()], tmp_path)
    placed = place_image(target)
    shutil.rmtree(cache / "casemate/store")
    assert was_placed(target) is None
    assert place_image(target) == placed
    shutil.rmtree(placed.bundle)
    assert was_placed(target) is None
    assert len(stored(place_image(target))) == 1


def test_a_corrupt_layer_leaves_no_file_and_no_marker(cache: Path, tmp_path: Path) -> None:
    target = shielded([hello(), tar((entry("data"), os.urandom(50_000)))], tmp_path)
    with open_source(parse_reference(target)) as image:
        blob = image.layers[1].file
    assert blob is not None
    blob.chmod(0o644)
    data = bytearray(blob.read_bytes())
    data[-100] ^= 1
    blob.write_bytes(data)
    with pytest.raises(ImageError, match="layer 2"):
        place_image(target)
    assert was_placed(target) is None
    assert {path.read_bytes() for path in (cache / "casemate/store").glob("??/*")} == {ELF}


@pytest.mark.parametrize("name", ["manifest.json", "index", "measured", "enclave"])
def test_a_changed_shielded_layer_is_refused(cache: Path, tmp_path: Path, name: str) -> None:
    """Even when its digests were made to fit."""
    target = shielded([hello()], tmp_path)
    files = {}
    with open_source(parse_reference(target)) as image:
        path = image.layers[-1].file
        labels = image.config.labels
    assert path is not None
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            if member.isfile():
                files[member.name] = archive.extractfile(member).read()  # type: ignore[union-attr]
    changed = bytearray(files[f"casemate/{name}"])
    changed[len(changed) // 2] ^= 1
    files[f"casemate/{name}"] = bytes(changed)
    layer = tar(entry("casemate", tarfile.DIRTYPE), *((entry(key), data) for key, data in files.items()))
    config = {"Entrypoint": ["/casemate/casemate-host"], "Labels": labels}
    forged = Layout([hello(), layer], "none", config=config).write(tmp_path / "forged")
    if name == "enclave":
        place_image(forged)  # vouched for by the measurement, not by the manifest
    else:
        with pytest.raises(ImageError, match=r"measured block|manifest|index"):
            place_image(forged)


def test_an_image_that_is_not_shielded(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(CasemateError, match="not shielded; make it so with casemate build"):
        place_image(Layout([hello()]).write(tmp_path))
