"""Signing an image: what comes in, what stays, and what the owner decides."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from casemate._core import SigStruct
from casemate.enclave.errors import LayoutError, SigStructError
from casemate.enclave.keys import SigningKey, new_key
from casemate.errors import CasemateError, ImageError
from casemate.image.config import ImageConfig
from casemate.image.references import parse_reference
from casemate.image.shielded import SIGNING_LABELS, read_bundle
from casemate.image.signed import (
    Choices,
    SignResult,
    attach_measured,
    created_on,
    measure_image,
    sign_measured,
    write_signed,
)
from casemate.image.sources import open_source
from tests.image.shielded import changed_manifest, shielded_image, tampered

pytestmark = pytest.mark.usefixtures("cache", "runtime_files")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return new_key(tmp_path_factory.mktemp("keys") / "key.pem")


def sign(shielded: str, target: str, key: SigningKey, choices: Choices = Choices()) -> SignResult:  # noqa: B008
    with open_source(parse_reference(shielded)) as image:
        measured = measure_image(image, choices)
        return write_signed(image, measured, sign_measured(measured, key), parse_reference(target))


def sigstructs(reference: str) -> dict[str, SigStruct]:
    with open_source(parse_reference(reference)) as image:
        files = read_bundle(image)
    return {name: SigStruct.from_bytes(data) for name, data in files.items() if name.startswith("sigstruct.")}


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "docker-archive"])
def test_signing_changes_the_shielded_layer_and_nothing_else(tmp_path: Path, key: SigningKey, transport: str) -> None:
    _, shielded, _ = shielded_image(tmp_path, history=[{"created_by": "the source"}])
    target = f"{transport}:{tmp_path}/signed:x"
    result = sign(shielded, target, key)
    with open_source(parse_reference(shielded)) as before, open_source(parse_reference(target)) as after:
        assert [layer.diff_id for layer in after.layers[:-1]] == [layer.diff_id for layer in before.layers[:-1]]
        assert after.layers[-1].diff_id == result.layer_digest
        was, is_ = read_bundle(before), read_bundle(after)
        config, labels = dict(after.config.raw["config"]), after.config.labels
        assert {**config, "Labels": before.config.labels} == before.config.raw["config"]
        history = after.config.raw["history"]
        assert history == before.config.raw["history"]
        assert (len(history), history[0]) == (2, {"created_by": "the source"})
    assert is_.keys() - was.keys() == {"sigstruct.edmm", "sigstruct.static"}
    assert all(is_[name] == was[name] for name in was)
    found = sigstructs(target)
    for each in found.values():
        each.verify()
        assert (each.mrsigner, each.isv_prod_id, each.isv_svn, each.debug) == (key.mrsigner, 7, 3, False)
    edmm, static = (found[f"sigstruct.{name}"].mrenclave.hex() for name in ("edmm", "static"))
    assert result.mrenclave == {"edmm": edmm, "static": static}
    assert {name: labels[name] for name in SIGNING_LABELS} == {
        "io.casemate.mrenclave": edmm,
        "io.casemate.mrenclave.static": static,
        "io.casemate.mrsigner": key.mrsigner.hex(),
        "io.casemate.isv-prod-id": "7",
        "io.casemate.isv-svn": "3",
        "io.casemate.debug": "false",
        "io.casemate.signed-on": "1970-01-01",
    }


@pytest.mark.parametrize(("edmm", "variant"), [("true", "edmm"), ("false", "static")])
def test_a_manifest_that_decides_on_dynamic_memory_has_one_enclave(
    tmp_path: Path, key: SigningKey, edmm: str, variant: str
) -> None:
    _, shielded, _ = shielded_image(tmp_path, f"edmm_enable = {edmm}\n")
    result = sign(shielded, f"oci:{tmp_path}/signed", key)
    assert list(sigstructs(f"oci:{tmp_path}/signed")) == [f"sigstruct.{variant}"]
    assert list(result.mrenclave) == [variant]


def test_the_same_choices_give_the_same_bytes_and_signing_again_replaces(tmp_path: Path, key: SigningKey) -> None:
    _, shielded, _ = shielded_image(tmp_path)
    place = f"oci:{tmp_path}/shielded:signed"
    first = sign(shielded, place, key)
    assert sign(shielded, f"oci:{tmp_path}/other:x", key).digest == first.digest
    assert sign(place, place, key).digest == first.digest
    other = new_key(tmp_path / "other.pem")
    second = sign(place, place, other, Choices(isv_svn=9))
    assert {each.mrsigner for each in sigstructs(place).values()} == {other.mrsigner}
    assert second.isv_svn == 9
    assert sign(place, place, key).digest == first.digest


def test_the_owner_overrules_the_manifest(tmp_path: Path, key: SigningKey) -> None:
    _, shielded, _ = shielded_image(tmp_path, "debug = true\n")
    result = sign(shielded, f"oci:{tmp_path}/a", key)
    assert (result.debug, result.isv_prod_id, result.isv_svn) == (True, 7, 3)
    assert any("debug enclave" in warning for warning in result.warnings)
    choices = Choices(datetime.date(2026, 11, 24), isv_prod_id=1, isv_svn=0, debug=False)
    result = sign(shielded, f"oci:{tmp_path}/b", key, choices)
    assert (result.debug, result.isv_prod_id, result.isv_svn, result.date) == (False, 1, 0, "2026-11-24")
    assert result.warnings == []
    assert {each.date for each in sigstructs(f"oci:{tmp_path}/b").values()} == {0x20261124}


@pytest.mark.parametrize(
    ("created", "day"),
    [
        ("2024-02-29T23:59:59.123456789Z", "2024-02-29"),
        ("2024-02-30T00:00:00Z", None),
        ("0000-01-01T00:00:00Z", None),
        ("yesterday", None),
        (17, None),
        (None, None),
    ],
)
def test_the_date_is_the_images_and_never_the_clocks(created: object, day: str | None) -> None:
    found = created_on(ImageConfig(raw={"created": created}))
    assert (found.isoformat() if found else None) == day


def test_an_image_of_another_library_os_is_signed_with_a_warning(tmp_path: Path, key: SigningKey) -> None:
    _, shielded, _ = shielded_image(tmp_path)
    with open_source(parse_reference(shielded)) as image:
        enclave = read_bundle(image)["enclave"]
    other = tampered(tmp_path / "other", shielded, {"enclave": enclave + b"\0"})
    assert any("not the one of this installation" in each for each in sign(other, f"oci:{tmp_path}/x", key).warnings)


# --- Signatures made elsewhere -----------------------------------------------------------------------------


def elsewhere(private: rsa.RSAPrivateKey, to_be_signed: bytes) -> bytes:
    """What ``openssl dgst -sha256 -sign`` writes."""
    return private.sign(to_be_signed, padding.PKCS1v15(), hashes.SHA256())


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> rsa.RSAPrivateKey:
    path = tmp_path_factory.mktemp("hsm") / "key.pem"
    new_key(path)
    loaded = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    return loaded


def modulus(private: rsa.RSAPrivateKey) -> bytes:
    return private.public_key().public_numbers().n.to_bytes(384, "little")


def test_detached_signatures_find_their_enclaves_and_give_the_same_image(
    tmp_path: Path, private: rsa.RSAPrivateKey
) -> None:
    _, shielded, _ = shielded_image(tmp_path)
    with open_source(parse_reference(shielded)) as image:
        measured = measure_image(image, Choices())
        emitted = [each.sigstruct.to_be_signed() for each in measured.enclaves]
        made = {str(number): elsewhere(private, data) for number, data in reversed(list(enumerate(emitted)))}
        signed = attach_measured(measured, made, modulus(private))
        assert [each.variant for each in signed] == ["edmm", "static"]
        detached = write_signed(image, measured, signed, parse_reference(f"oci:{tmp_path}/detached"))
    assert sign(shielded, f"oci:{tmp_path}/direct", SigningKey(private)).digest == detached.digest


def test_one_of_two_detached_signatures_is_enough_and_the_other_is_missed(
    tmp_path: Path, private: rsa.RSAPrivateKey
) -> None:
    _, shielded, _ = shielded_image(tmp_path)
    with open_source(parse_reference(shielded)) as image:
        measured = measure_image(image, Choices())
        signature = elsewhere(private, measured.enclaves[1].sigstruct.to_be_signed())
        signed = attach_measured(measured, {"sig": signature}, modulus(private))
        result = write_signed(image, measured, signed, parse_reference(f"oci:{tmp_path}/x"))
        assert list(result.mrenclave) == ["static"]
        assert "the enclave 'edmm' is not signed" in result.warnings[0]
        with pytest.raises(SigStructError, match=r"b: two of the signatures are for the enclave 'static'"):
            attach_measured(measured, {"a": signature, "b": signature}, modulus(private))


def test_a_detached_signature_over_something_else_is_refused(
    tmp_path: Path, key: SigningKey, private: rsa.RSAPrivateKey
) -> None:
    _, shielded, _ = shielded_image(tmp_path)
    with open_source(parse_reference(shielded)) as image:
        measured = measure_image(image, Choices())
        emitted = measured.enclaves[0].sigstruct.to_be_signed()
        other_date = measure_image(image, Choices(datetime.date(2026, 11, 24))).enclaves[0].sigstruct.to_be_signed()
        for signature, public in (
            (elsewhere(private, b"other"), modulus(private)),
            (elsewhere(private, other_date), modulus(private)),
            (elsewhere(private, emitted), key.modulus),
            (elsewhere(private, emitted)[::-1], modulus(private)),
            (b"\xff" * 384, modulus(private)),
            (bytes(384), modulus(private)),
        ):
            with pytest.raises(SigStructError, match=r"^sig: .*the same --date"):
                attach_measured(measured, {"sig": signature}, public)


# --- Images that mean harm ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"version":1}\n',
        b'{"enclave_size":1e999}\n',
    ],
    ids=lambda data: repr(data[:12]),
)
def test_a_manifest_that_is_none_is_refused_in_a_sentence(tmp_path: Path, manifest: bytes) -> None:
    _, shielded, _ = shielded_image(tmp_path)
    refuse(tampered(tmp_path / "bad", shielded, {"manifest.json": manifest}))


@pytest.mark.parametrize(
    "changes",
    [
        {"edmm": "perhaps"},
        {"enclave_size": 3},
        {"enclave_size": 1 << 63},
        {"enclave_size": -1},
        {"max_threads": 0},
        {"max_threads": 1 << 40},
        {"isv_svn": 1 << 16},
        {"debug": "no"},
        {"more": 1},
    ],
    ids=str,
)
def test_values_that_no_enclave_has_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    _, shielded, _ = shielded_image(tmp_path)
    refuse(tampered(tmp_path / "bad", shielded, {"manifest.json": changed_manifest(shielded, **changes)}))


def refuse(reference: str) -> None:
    with open_source(parse_reference(reference)) as image, pytest.raises(CasemateError):
        measure_image(image, Choices())


def test_an_enclave_that_is_none_or_does_not_fit_is_refused(tmp_path: Path) -> None:
    _, shielded, _ = shielded_image(tmp_path)
    for number, enclave in enumerate((b"", b"\x7fELF", bytes(5000))):
        with (
            open_source(parse_reference(tampered(tmp_path / str(number), shielded, {"enclave": enclave}))) as image,
            pytest.raises(LayoutError, match="no enclave image"),
        ):
            measure_image(image, Choices())
    many = changed_manifest(shielded, max_threads=60_000)
    with (
        open_source(parse_reference(tampered(tmp_path / "many", shielded, {"manifest.json": many}))) as image,
        pytest.raises(LayoutError, match="too small"),
    ):
        measure_image(image, Choices())


def test_layers_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    _, shielded, _ = shielded_image(tmp_path)
    for number, (changes, why) in enumerate(
        [
            ({"sigstruct.edmm": b"short"}, "sigstruct.edmm is not 1808 bytes long"),
            ({"sigstruct.static": bytes(1809)}, "holds 'sigstruct.static'"),
            ({"sigstruct.other": bytes(1808)}, "holds 'sigstruct.other'"),
            ({"index": None}, "lacks index"),
        ]
    ):
        reference = tampered(tmp_path / str(number), shielded, changes)
        with open_source(parse_reference(reference)) as image, pytest.raises(ImageError, match=why):
            measure_image(image, Choices())
    reference = tampered(tmp_path / "measured", shielded, {"measured": bytes(64)}, consistent=False)
    with open_source(parse_reference(reference)) as image, pytest.raises(ImageError, match="measured block"):
        measure_image(image, Choices())
