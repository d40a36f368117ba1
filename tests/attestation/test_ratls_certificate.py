"""Certificates with evidence, as bytes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate._core import evidence_claims, evidence_extension, evidence_report_data
from casemate.attestation.ratls import (
    ClientContext,
    Identity,
    PeerRefusedSSLError,
    RaTlsError,
    judge_certificate,
    new_identity,
    read_evidence,
)
from casemate.attestation.ratls.certificate import EVIDENCE, LEGACY, public_key_info, sign_identity
from casemate.errors import CasemateError
from tests.attestation.simple_quotes import judge, quote_of

ENCLAVE, OTHER = b"\1" * 32, b"\2" * 32


def with_extension(oid: x509.ObjectIdentifier, value: bytes, key: ec.EllipticCurvePrivateKey) -> Identity:
    return sign_identity(key, [x509.UnrecognizedExtension(oid, value)])


def legacy_identity() -> Identity:
    """As Gramine 1.3 and older write it."""
    key = ec.generate_private_key(ec.SECP384R1())
    digest = hashlib.sha256(public_key_info(key.public_key())).digest()
    return with_extension(LEGACY, quote_of(ENCLAVE)(digest + bytes(32)), key)


def test_a_new_identity_proves_its_enclave() -> None:
    identity = new_identity(quote_of(ENCLAVE))
    peer = judge_certificate(identity.certificate, judge(ENCLAVE))
    assert peer.proven.mrenclave == ENCLAVE
    assert peer.key == hashlib.sha256(public_key_info(identity.key.public_key())).digest()
    assert not peer.evidence.legacy


def test_the_key_of_an_identity_is_not_in_its_repr() -> None:
    assert repr(new_identity(quote_of(ENCLAVE))).startswith("Identity(certificate=")


def test_gramines_older_extension_is_read() -> None:
    peer = judge_certificate(legacy_identity().certificate, judge(ENCLAVE))
    assert peer.evidence.legacy
    # The encoded identifier, tag and length included, lies where its value should be.
    assert bytes.fromhex("060b06092a864886f84d8a3906") in legacy_identity().certificate


def test_another_enclave_is_the_judges_to_refuse() -> None:
    with pytest.raises(CasemateError, match="found 0202"):
        judge_certificate(new_identity(quote_of(OTHER)).certificate, judge(ENCLAVE))


def test_evidence_of_another_certificate_is_refused() -> None:
    """Whoever sees an enclave's certificate has its quote and claims, but not its key."""
    key, mine = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    claims = evidence_claims(public_key_info(key.public_key()))
    stolen = evidence_extension(quote_of(ENCLAVE)(evidence_report_data(claims)), claims)
    with pytest.raises(RaTlsError, match="for another key than its certificate's"):
        judge_certificate(with_extension(EVIDENCE, stolen, mine).certificate, judge(ENCLAVE))


def test_a_stolen_quote_with_claims_of_ones_own_is_refused() -> None:
    key, mine = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    stolen = quote_of(ENCLAVE)(evidence_report_data(evidence_claims(public_key_info(key.public_key()))))
    value = evidence_extension(stolen, evidence_claims(public_key_info(mine.public_key())))
    with pytest.raises(RaTlsError, match="quote is for another key"):
        judge_certificate(with_extension(EVIDENCE, value, mine).certificate, judge(ENCLAVE))


def test_a_stolen_quote_in_the_older_extension_is_refused() -> None:
    quote = read_evidence(legacy_identity().certificate).quote
    mine = with_extension(LEGACY, quote, ec.generate_private_key(ec.SECP384R1()))
    with pytest.raises(RaTlsError, match="quote is for another key"):
        judge_certificate(mine.certificate, judge(ENCLAVE))


def test_a_nonce_shows_that_evidence_is_fresh() -> None:
    identity = new_identity(quote_of(ENCLAVE), nonce=b"asked now")
    assert judge_certificate(identity.certificate, judge(ENCLAVE), nonce=b"asked now").evidence.nonce == b"asked now"
    for certificate in (identity.certificate, new_identity(quote_of(ENCLAVE)).certificate):
        with pytest.raises(RaTlsError, match="not fresh"):
            judge_certificate(certificate, judge(ENCLAVE), nonce=b"asked later")


def test_a_certificate_outside_its_validity_is_refused() -> None:
    identity = new_identity(quote_of(ENCLAVE), lifetime=timedelta(days=2))
    for now in (datetime.now(UTC) + timedelta(days=3), datetime.now(UTC) - timedelta(days=3)):
        with pytest.raises(RaTlsError, match="is valid from"):
            judge_certificate(identity.certificate, judge(ENCLAVE), now=now)


def test_a_certificate_without_evidence_is_refused() -> None:
    bare = sign_identity(ec.generate_private_key(ec.SECP256R1()), [])
    with pytest.raises(RaTlsError, match="carries no evidence"):
        read_evidence(bare.certificate)


def test_a_certificate_signed_by_another_key_is_refused() -> None:
    identity, other = new_identity(quote_of(ENCLAVE)), ec.generate_private_key(ec.SECP256R1())
    parsed = x509.load_der_x509_certificate(identity.certificate)
    builder = x509.CertificateBuilder(
        parsed.issuer, parsed.subject, identity.key.public_key(), parsed.serial_number,
        parsed.not_valid_before_utc.replace(tzinfo=None), parsed.not_valid_after_utc.replace(tzinfo=None),
        list(parsed.extensions),
    )  # fmt: skip
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    forged = builder.sign(other, SHA256()).public_bytes(Encoding.DER)
    with pytest.raises(RaTlsError, match="not signed by its own key"):
        read_evidence(forged)


@pytest.mark.parametrize("curve", [ec.SECP224R1(), ec.SECP256K1()])
def test_keys_of_other_kinds_are_refused(curve: ec.EllipticCurve) -> None:
    with pytest.raises(RaTlsError, match="of a kind that is not accepted"):
        read_evidence(sign_identity(ec.generate_private_key(curve), []).certificate)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_no_certificate_with_a_changed_byte_is_accepted() -> None:
    """Every byte in turn; one bit of it, chosen by its place."""
    for certificate in (new_identity(quote_of(ENCLAVE), nonce=b"n").certificate, legacy_identity().certificate):
        for at in range(len(certificate)):
            changed = bytearray(certificate)
            changed[at] ^= 1 << at % 8
            with pytest.raises(CasemateError):
                pytest.fail(f"byte {at}: {judge_certificate(bytes(changed), judge(ENCLAVE))}")


def rewritten(identity: Identity, *changes: tuple[bytes, bytes]) -> bytes:
    """The certificate with bytes exchanged for as many others, signed again."""
    signed = x509.load_der_x509_certificate(identity.certificate).tbs_certificate_bytes
    algorithm = ECDSA_SHA256
    for old, new in changes:
        assert old in signed
        signed, algorithm = signed.replace(old, new), algorithm.replace(old, new)
    signature = b"\0" + identity.key.sign(signed, ec.ECDSA(hashes.SHA256()))
    return sequence(signed + algorithm + bytes([3, len(signature)]) + signature)


def sequence(body: bytes) -> bytes:
    return b"\x30\x82" + len(body).to_bytes(2, "big") + body


ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
VERSION = (bytes.fromhex("a003020102"), bytes.fromhex("a003020103"))
ALGORITHM = (ECDSA_SHA256[2:], bytes.fromhex("06082a8648ce3d04037f"))


@pytest.mark.parametrize("change", [VERSION, ALGORITHM], ids=["version", "algorithm"])
def test_certificates_of_unknown_versions_and_algorithms_are_refused(change: tuple[bytes, bytes]) -> None:
    identity = new_identity(quote_of(ENCLAVE))
    judge_certificate(rewritten(identity), judge(ENCLAVE))
    with pytest.raises(RaTlsError, match="certificate is not"):
        read_evidence(rewritten(identity, change))


def test_a_malformed_certificate_of_a_pinned_server_is_refused() -> None:
    context = ClientContext(pin=bytes(32))
    for certificate in (b"junk", rewritten(new_identity(quote_of(ENCLAVE)), VERSION)):
        with pytest.raises(PeerRefusedSSLError, match="malformed"):
            context.check(certificate)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_bytes_are_refused_as_a_certificate(data: bytes) -> None:
    with pytest.raises(RaTlsError):
        read_evidence(data)


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_bytes_are_refused_as_an_extension(data: bytes) -> None:
    key = ec.derive_private_key(7, ec.SECP256R1())
    with pytest.raises(CasemateError):
        judge_certificate(with_extension(EVIDENCE, data, key).certificate, judge(ENCLAVE))
    with pytest.raises(CasemateError):
        judge_certificate(with_extension(LEGACY, data, key).certificate, judge(ENCLAVE))
