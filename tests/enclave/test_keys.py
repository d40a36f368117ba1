"""Signing keys: made safely, loaded with errors that help."""

from __future__ import annotations

import os
import pickle
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from casemate.enclave.errors import PassphraseNeededError, SigningKeyError
from casemate.enclave.keys import load_public_modulus, load_signing_key, new_key, read_passphrase
from casemate.errors import CasemateError


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "key.pem"
    new_key(path)
    return path


def test_a_new_key_is_for_sgx_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    old = os.umask(0)
    try:
        key = new_key(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    loaded = load_signing_key(path)
    assert loaded.modulus == key.modulus
    assert loaded.warnings == ()
    assert len(key.modulus) == 384
    assert key.modulus[-1] & 0x80


def test_nothing_is_overwritten_not_even_through_a_link(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("precious")
    with pytest.raises(SigningKeyError, match="already a file"):
        new_key(path)
    assert path.read_text() == "precious"
    link = tmp_path / "link.pem"
    link.symlink_to(tmp_path / "elsewhere.pem")
    with pytest.raises(SigningKeyError, match="already a file"):
        new_key(link)
    assert not (tmp_path / "elsewhere.pem").exists()


def test_a_key_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CasemateError, match="No space left"):
        new_key(tmp_path / "key.pem")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CasemateError, match="check the path"):
        new_key(tmp_path / "absent" / "key.pem")


def test_a_passphrase_is_needed_and_must_be_right(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    key = new_key(path, b"open sesame")
    assert b"ENCRYPTED PRIVATE KEY" in path.read_bytes()
    with pytest.raises(PassphraseNeededError, match="--passphrase-file"):
        load_signing_key(path)
    with pytest.raises(SigningKeyError, match="passphrase is wrong"):
        load_signing_key(path, b"open barley")
    assert load_signing_key(path, b"open sesame").modulus == key.modulus


def test_a_passphrase_file_loses_one_line_break_only(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    for content, expected in [(b"a b\n", b"a b"), (b"a\n\n", b"a\n"), (b"a\r\n", b"a"), (b" a", b" a")]:
        path.write_bytes(content)
        assert read_passphrase(path) == expected
    path.write_bytes(b"\n")
    with pytest.raises(SigningKeyError, match="empty"):
        read_passphrase(path)


def test_keys_that_others_can_read_are_warned_about(tmp_path: Path, key_file: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(key_file.read_bytes())
    path.chmod(0o640)
    (warning,) = load_signing_key(path).warnings
    assert "0640" in warning
    assert "chmod 600" in warning


def test_wrong_keys_are_refused_by_what_is_wrong(tmp_path: Path, key_file: Path) -> None:
    good = key_file.read_bytes()
    cases = [
        (pem(rsa.generate_private_key(3, 2048)), "2048 bits, SGX needs 3072"),
        (pem(rsa.generate_private_key(65537, 3072)), "public exponent is 65537, SGX needs 3"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "not an RSA key"),
        (load_signing_key(key_file).public_pem(), "public key or certificate, signing needs the private key"),
        (b"hello", "no key in PEM format"),
        (good[:1000] + b"!!!!" + good[1004:], "damaged"),
        (bytes(70000), "too large"),
    ]
    path = tmp_path / "key.pem"
    for content, why in cases:
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(SigningKeyError, match=why):
            load_signing_key(path)
    with pytest.raises(SigningKeyError, match="key is not encrypted"):
        load_signing_key(key_file, b"needless")
    with pytest.raises(CasemateError, match="check the path"):
        load_signing_key(tmp_path / "absent.pem")


def test_public_halves_are_read_and_private_ones_stay_in_the_process(tmp_path: Path, key_file: Path) -> None:
    key = load_signing_key(key_file)
    path = tmp_path / "public.pem"
    path.write_bytes(key.public_pem())
    assert load_public_modulus(path) == load_public_modulus(key_file) == key.modulus
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert key.mrsigner.hex() in repr(key)
    path.write_bytes(b"no key")
    with pytest.raises(SigningKeyError, match="not a public key"):
        load_public_modulus(path)
