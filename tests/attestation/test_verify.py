"""Verification of the genuine quote: its status, its validity, and every way in which it can be wrong."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.attestation import QuoteFormatError, QuoteRefusedError, RootError, read_quote, roots, verify
from casemate.attestation.policy import MinSvn, MrEnclave
from tests.attestation import vectors
from tests.attestation.vectors import needs_vectors


def judge(quote: bytes, at: datetime = vectors.WITHIN) -> None:
    verify(quote, vectors.collateral(), at, roots.intel())


@needs_vectors
def test_the_genuine_quote_verifies_with_the_status_its_readme_states() -> None:
    found = verify(vectors.quote(), vectors.collateral(), vectors.WITHIN, roots.intel())
    assert found.mrenclave == vectors.MRENCLAVE
    assert found.tcb_status == vectors.STATUS
    assert found.advisories == vectors.ADVISORIES
    assert not found.debug
    assert not found.simulated
    assert found.report_data == b"Hello, world!".ljust(64, b"\0")
    assert found.collateral_expires == vectors.VALID_UNTIL


@needs_vectors
@pytest.mark.parametrize("at", [vectors.VALID_FROM, vectors.VALID_UNTIL])
def test_the_genuine_quote_verifies_at_both_ends_of_its_validity(at: datetime) -> None:
    judge(vectors.quote(), at)


@needs_vectors
@pytest.mark.parametrize(
    ("at", "part"),
    [
        (vectors.VALID_FROM - timedelta(seconds=1), "validity of the TCB info"),
        (vectors.VALID_UNTIL + timedelta(seconds=1), "validity of the QE identity"),
        (datetime(2026, 11, 27, tzinfo=UTC), "validity of the root CA's revocation list"),
        (datetime(1960, 1, 1, tzinfo=UTC), "validity of the TCB info"),
    ],
)
def test_outside_its_validity_the_refusal_names_the_part_that_is_not_valid(at: datetime, part: str) -> None:
    with pytest.raises(QuoteRefusedError) as refusal:
        judge(vectors.quote(), at)
    (failure,) = [failure for failure in refusal.value.failures if failure.claim == part]
    assert failure.found == at.strftime("%Y-%m-%dT%H:%M:%SZ")


@needs_vectors
def test_a_time_without_zone_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="time zone"):
        judge(vectors.quote(), datetime(2025, 7, 1))  # noqa: DTZ001


@needs_vectors
def test_a_quote_with_one_bit_changed_in_any_byte_is_refused() -> None:
    quote = vectors.quote()
    choose = random.Random(5)
    for place in range(len(quote)):
        changed = bytearray(quote)
        changed[place] ^= 1 << choose.randrange(8)
        with pytest.raises((QuoteRefusedError, QuoteFormatError)):
            judge(bytes(changed))


@needs_vectors
@pytest.mark.long
def test_a_quote_with_any_bit_changed_is_refused() -> None:
    quote = vectors.quote()
    for bit in range(8 * len(quote)):
        changed = bytearray(quote)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((QuoteRefusedError, QuoteFormatError)):
            judge(bytes(changed))


@needs_vectors
def test_every_shortened_quote_is_refused() -> None:
    size = read_quote(vectors.quote()).size
    for length in range(size):
        with pytest.raises((QuoteRefusedError, QuoteFormatError)):
            judge(vectors.quote()[:length])


@needs_vectors
def test_zeros_after_a_quote_are_padding_and_anything_else_is_refused() -> None:
    judge(vectors.quote() + bytes(100))
    with pytest.raises(QuoteFormatError):
        judge(vectors.quote() + bytes(100) + b"\1")


@needs_vectors
@pytest.mark.parametrize("name", ["tcb_info_signature", "qe_identity_signature", "root_ca_crl", "pck_crl"])
def test_collateral_with_one_bit_changed_in_a_binary_part_is_refused(name: str) -> None:
    good = vectors.collateral()
    choose = random.Random(7)
    for place in range(len(getattr(good, name))):
        changed = bytearray(getattr(good, name))
        changed[place] ^= 1 << choose.randrange(8)
        with pytest.raises(QuoteRefusedError):
            verify(vectors.quote(), replace(good, **{name: bytes(changed)}), vectors.WITHIN, roots.intel())


@needs_vectors
@pytest.mark.parametrize("name", ["tcb_info", "qe_identity"])
def test_collateral_with_one_character_changed_in_a_signed_text_is_refused(name: str) -> None:
    good = vectors.collateral()
    text = getattr(good, name)
    for place in range(0, len(text), max(1, len(text) // 500)):
        changed = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        with pytest.raises(QuoteRefusedError):
            verify(vectors.quote(), replace(good, **{name: changed}), vectors.WITHIN, roots.intel())


def a_root(path: Path) -> Path:
    """A root of the same name as Intel's, with another key."""
    key = ec.derive_private_key(5, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Intel SGX Root CA")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2049, 1, 1))  # noqa: DTZ001
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return path


@needs_vectors
def test_the_genuine_quote_is_refused_with_a_simulated_root_and_the_refusal_says_so(tmp_path: Path) -> None:
    root = roots.simulated(a_root(tmp_path / "root.pem"))
    assert root.simulated
    with pytest.raises(QuoteRefusedError) as refusal:
        verify(vectors.quote(), vectors.collateral(), vectors.WITHIN, root)
    assert refusal.value.simulated
    assert refusal.value.failures[0].claim == "root"
    assert "simulated vendor root" in str(refusal.value)


def test_intels_root_cannot_pass_for_a_simulated_one(tmp_path: Path) -> None:
    (tmp_path / "root.der").write_bytes(roots.intel().der)
    with pytest.raises(RootError, match="Intel's root"):
        roots.simulated(tmp_path / "root.der")


@pytest.mark.parametrize(
    "data", [b"", b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", b"\x30\x03abc"]
)
def test_what_is_no_certificate_is_no_root(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "root").write_bytes(data)
    with pytest.raises(RootError):
        roots.simulated(tmp_path / "root")


@needs_vectors
def test_a_refusal_by_policy_names_each_claim_that_failed() -> None:
    from casemate.attestation.policy import AllOf

    policy = AllOf([MrEnclave(frozenset({bytes(32)})), MinSvn(3)])
    with pytest.raises(QuoteRefusedError) as refusal:
        verify(vectors.quote(), vectors.collateral(), vectors.WITHIN, roots.intel(), policy)
    assert [(f.claim, f.expected, f.found) for f in refusal.value.failures] == [
        ("mrenclave", "00" * 32, vectors.MRENCLAVE.hex()),
        ("min_svn", "3 or more", "0"),
    ]


@given(st.binary(max_size=2000))
@settings(max_examples=200, derandomize=True)
def test_arbitrary_bytes_are_no_quote(data: bytes) -> None:
    with pytest.raises(QuoteFormatError):
        read_quote(data)
