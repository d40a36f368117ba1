"""Measuring a source, and telling whether a shielded image is what it should be."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import pytest

from casemate._core import merge_layers
from casemate.enclave.keys import SigningKey, new_key
from casemate.image import compare
from casemate.image.build import BuildOptions
from casemate.image.layers import Limits
from casemate.image.references import parse_reference
from casemate.image.scan import scan_layer
from casemate.image.shielded import read_bundle
from casemate.image.signed import Choices, measure_image, sign_measured, write_signed
from casemate.image.sources import open_source
from casemate.image.verify import Verdict, measure_source, verify_image
from tests.image.builder import ELF, Layout, entry, hello, tar
from tests.image.shielded import changed_manifest, manifest_file, shielded_image, tampered

pytestmark = pytest.mark.usefixtures("cache", "runtime_files")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return new_key(tmp_path_factory.mktemp("keys") / "key.pem")


def sign(shielded: str, target: str, key: SigningKey, **choices: object) -> dict[str, str]:
    with open_source(parse_reference(shielded)) as image:
        measured = measure_image(image, Choices(**choices))  # type: ignore[arg-type]
        return write_signed(image, measured, sign_measured(measured, key), parse_reference(target)).mrenclave


def verify(shielded: str, source: str, manifest: Path, **options: object) -> Verdict:
    built = BuildOptions(manifest, fill_cache=False, **options)  # type: ignore[arg-type]
    return verify_image(parse_reference(shielded), parse_reference(source), built)


def tree(root: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in root.rglob("*")}


def test_the_source_alone_tells_the_measurement_of_the_signed_image(
    tmp_path: Path, key: SigningKey, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, shielded, manifest = shielded_image(tmp_path)
    signed = sign(shielded, f"oci:{tmp_path}/signed", key)
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(empty))
    before = tree(tmp_path)
    measured = measure_source(parse_reference(source), BuildOptions(manifest, fill_cache=False))
    assert measured.mrenclave == signed
    assert tree(tmp_path) == before
    assert os.listdir(empty) == []
    other = measure_source(parse_reference(source), BuildOptions(manifest, insecure_args=True, fill_cache=False))
    assert other.mrenclave.keys() == signed.keys()
    assert not set(other.mrenclave.values()) & set(signed.values())


def test_what_build_and_sign_made_matches(tmp_path: Path, key: SigningKey) -> None:
    source, shielded, manifest = shielded_image(tmp_path)
    verdict = verify(shielded, source, manifest)
    assert (verdict.difference, verdict.signed, verdict.mrsigner) == (None, [], None)
    for number, transport in enumerate(("oci", "oci-archive", "docker-archive")):
        target = f"{transport}:{tmp_path}/signed{number}:x"
        measured = sign(shielded, target, key, isv_svn=number, debug=True, date=datetime.date(2026, 11, 24))
        verdict = verify(target, source, manifest)
        assert (verdict.difference, verdict.mrenclave) == (None, measured)
        assert (verdict.signed, verdict.mrsigner) == (["edmm", "static"], key.mrsigner.hex())


def test_another_manifest_is_named_by_its_first_key(tmp_path: Path) -> None:
    source, shielded, manifest = shielded_image(tmp_path)
    assert verify(shielded, source, manifest, insecure_args=True).difference == (
        "/casemate/manifest.json: 'args_from_host' is false instead of true"
    )
    other = manifest_file(tmp_path, "debug = true\n")
    assert verify(shielded, source, other).difference == "/casemate/manifest.json: 'debug' is false instead of true"
    env = manifest_file(tmp_path, '[loader.env]\nMODE = "x"\n')
    assert verify(shielded, source, env).difference == "/casemate/manifest.json: 'env' has 2 items instead of 3"


def test_another_source_is_named_by_its_layer(tmp_path: Path) -> None:
    _, shielded, manifest = shielded_image(tmp_path)
    other = Layout([tar((entry("hello"), ELF + b"\0"))]).write(tmp_path / "other")
    difference = verify(shielded, other, manifest).difference
    assert difference is not None
    assert difference.startswith("layer 1 is sha256:")
    more = Layout([hello(), hello()]).write(tmp_path / "more")
    assert "2 layers; the source's 2 and one more" in str(verify(shielded, more, manifest).difference)


def test_a_layer_whose_bytes_were_changed_under_their_name_is_found(tmp_path: Path) -> None:
    source, shielded, manifest = shielded_image(tmp_path)
    with open_source(parse_reference(shielded)) as image:
        blob = image.layers[0].file
    assert blob is not None
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.unlink()  # it is a link to the source's
    blob.write_bytes(data)
    assert "layer 1" in str(verify(shielded, source, manifest).difference)


def files_of(reference: str) -> dict[str, bytes]:
    with open_source(parse_reference(reference)) as image:
        return read_bundle(image)


def test_every_changed_file_of_the_shielded_layer_is_named(tmp_path: Path, key: SigningKey) -> None:
    source, shielded, manifest = shielded_image(tmp_path)
    files = files_of(shielded)
    index = bytearray(files["index"])
    index[-1] ^= 1
    cases: list[tuple[dict[str, bytes | None], str]] = [
        ({"casemate-host": files["casemate-host"] + b"\0"}, "/casemate/casemate-host, the loader, is sha256:"),
        ({"enclave": files["enclave"] + b"\0"}, "/casemate/enclave, the library OS, is sha256:"),
        ({"index": bytes(index)}, "/casemate/index: "),
        ({"manifest.json": changed_manifest(shielded, uid=1)}, "/casemate/manifest.json: 'uid' is 1 instead of 0"),
        ({"manifest.json": files["manifest.json"][:-1]}, "/casemate/manifest.json: it is written differently"),
        ({"manifest.json": b"{"}, "/casemate/manifest.json: it is not valid JSON"),
        ({}, "the shielded layer is sha256:"),
        ({"index": None}, "its shielded layer lacks index"),
    ]
    for number, (changes, why) in enumerate(cases):
        changed = tampered(tmp_path / f"changed{number}", shielded, changes)
        assert str(verify(changed, source, manifest).difference).startswith(why)


def test_every_changed_signature_is_named(tmp_path: Path, key: SigningKey) -> None:
    source, shielded, manifest = shielded_image(tmp_path)
    (tmp_path / "other").mkdir()
    _, other, _ = shielded_image(tmp_path / "other", "debug = true\n")
    signed, foreign = f"oci:{tmp_path}/signed", f"oci:{tmp_path}/foreign"
    sign(shielded, signed, key)
    sign(other, foreign, key)
    good, wrong = files_of(signed), files_of(foreign)
    damaged = bytearray(good["sigstruct.edmm"])
    damaged[960] ^= 1
    second = sign_elsewhere(shielded, tmp_path)
    cases: list[tuple[dict[str, bytes | None], str]] = [
        ({"sigstruct.edmm": bytes(damaged)}, "/casemate/sigstruct.edmm: the signature does not belong"),
        ({"sigstruct.edmm": wrong["sigstruct.edmm"]}, "/casemate/sigstruct.edmm: its MRENCLAVE is "),
        ({"sigstruct.edmm": good["sigstruct.static"]}, "/casemate/sigstruct.edmm: its MRENCLAVE is "),
        ({"sigstruct.static": second}, "/casemate/sigstruct.static is signed by another key"),
    ]
    for number, (changes, why) in enumerate(cases):
        changed = tampered(tmp_path / f"changed{number}", signed, changes)
        assert str(verify(changed, source, manifest).difference).startswith(why)


def sign_elsewhere(shielded: str, place: Path) -> bytes:
    sign(shielded, f"oci:{place}/second", new_key(place / "second.pem"))
    return files_of(f"oci:{place}/second")["sigstruct.static"]


def test_a_signature_that_the_manifest_does_not_allow_is_named(tmp_path: Path, key: SigningKey) -> None:
    source, shielded, manifest = shielded_image(tmp_path, "edmm_enable = true\n")
    sign(shielded, f"oci:{tmp_path}/signed", key)
    added = tampered(
        tmp_path / "added", shielded, {"sigstruct.static": files_of(f"oci:{tmp_path}/signed")["sigstruct.edmm"]}
    )
    assert "allows no such enclave" in str(verify(added, source, manifest).difference)


def test_a_changed_configuration_is_named_by_its_key(tmp_path: Path, key: SigningKey) -> None:
    source, shielded, manifest = shielded_image(tmp_path)
    sign(shielded, f"oci:{tmp_path}/signed:x", key)
    for number, reference in enumerate((shielded, f"oci:{tmp_path}/signed:x")):
        with open_source(parse_reference(reference)) as image:
            config = json.loads(json.dumps(image.config.raw))
            layers = image.layers
        config["config"]["Env"] = ["LD_PRELOAD=/x"]
        changed = rewritten(tmp_path / f"changed{number}", reference, config, len(layers))
        difference = verify(changed, source, manifest).difference
        assert difference == "the image's configuration: 'config.Env' is [\"LD_PRELOAD=/x\"] and should not be there"


def rewritten(place: Path, reference: str, config: dict[str, object], layers: int) -> str:
    from casemate.image.descriptors import canonical_json
    from casemate.image.writers import OutputImage, write_image

    with open_source(parse_reference(reference)) as image:
        assert len(image.layers) == layers
        write_image(parse_reference(f"oci:{place}"), OutputImage(canonical_json(config), image.layers))
    return f"oci:{place}"


def test_the_first_path_that_two_indexes_disagree_on_is_told(tmp_path: Path) -> None:
    def index(name: str, *members: object):  # type: ignore[no-untyped-def]
        reference = Layout([tar(*members)]).write(tmp_path / name)  # type: ignore[arg-type]
        with open_source(parse_reference(reference)) as image:
            return merge_layers([scan_layer(layer, Limits(1 << 30, 100)).table for layer in image.layers])

    base = index("base", (entry("a"), b"1"), (entry("b"), b"2"))
    cases = [
        (index("mode", (entry("a", mode=0o600), b"1"), (entry("b"), b"2")), "'/a': its mode is 0600 instead of 0755"),
        (index("data", (entry("a"), b"1"), (entry("b"), b"3")), "'/b': its content (fs-verity digest) is "),
        (index("less", (entry("a"), b"1")), "'/b' is missing"),
        (index("more", (entry("a"), b"1"), (entry("b"), b"2"), (entry("c"), b"")), "'/c' should not be there"),
    ]
    for other, why in cases:
        assert str(compare.index_difference(other, base)).startswith(why)
    assert compare.index_difference(base, base) is None


def test_json_values_are_compared_key_by_key() -> None:
    difference = compare.json_difference
    assert difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}) is None
    assert difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == "'a[1].b' is 2 instead of 3"
    assert difference({"a": 1}, {"a": True}) == "'a' is 1 instead of true"
    assert difference({}, {"a": "x"}) == "'a' is missing, it should be \"x\""
    assert str(difference({"a": "x" * 500}, {"a": ""})).endswith('… instead of ""')
