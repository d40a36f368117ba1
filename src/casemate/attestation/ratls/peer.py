"""Judging a peer: its certificate's evidence, its quote, and that both are about the key of this connection."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from casemate.attestation.ratls.certificate import PeerEvidence, read_evidence
from casemate.attestation.ratls.errors import RaTlsError


class Proven(Protocol):
    """What a judge returns about a quote that it believes; ``casemate.attestation.VerifiedQuote`` is one."""

    @property
    def report_data(self) -> bytes:
        """All 64 bytes."""


T_co = TypeVar("T_co", bound=Proven, covariant=True)
Judge = Callable[[bytes], T_co]
"""Takes a quote; returns what it proves, or raises why it is not believed."""


@dataclass(frozen=True)
class Peer(Generic[T_co]):
    """A peer that proved itself. ``key`` is the SHA-256 of its public key (DER SubjectPublicKeyInfo)."""

    proven: T_co
    evidence: PeerEvidence
    key: bytes


def judge_certificate(
    certificate: bytes, judge: Judge[T_co], *, now: datetime | None = None, nonce: bytes | None = None
) -> Peer[T_co]:
    """Judges the certificate (DER) that a TLS peer has proved to own the key of.

    ``nonce``: the evidence must carry this one, which shows that the quote was made after it was sent.
    """
    evidence = read_evidence(certificate)
    now = now or datetime.now(UTC)
    if not evidence.not_before <= now <= evidence.not_after:
        raise RaTlsError(
            f"the peer's certificate is valid from {evidence.not_before:%Y-%m-%d} to {evidence.not_after:%Y-%m-%d}, "
            f"not on {now:%Y-%m-%d}"
        )
    if nonce is not None and not hmac.compare_digest(evidence.nonce or b"", nonce):
        raise RaTlsError("the peer's evidence is not fresh: its nonce is not the one that was asked for")
    proven = judge(evidence.quote)
    if len(proven.report_data) != 64 or proven.report_data[:32] != evidence.report_data:
        raise RaTlsError("the peer's quote is for another key: its report data is not the hash of the evidence")
    return Peer(proven, evidence, hashlib.sha256(evidence.public_key_info).digest())


def key_fingerprint(certificate: bytes) -> bytes:
    """SHA-256 of a certificate's public key (DER SubjectPublicKeyInfo): what pins name."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
