"""Certificates with evidence: made inside, read outside. Nothing here judges a quote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from casemate._core import Evidence, EvidenceFormatError, evidence_claims, evidence_extension, evidence_report_data
from casemate.attestation.chains import MALFORMED
from casemate.attestation.ratls.errors import RaTlsError
from casemate.errors import describe_os_error

QuoteSource = Callable[[bytes], bytes]
"""Makes a quote over 64 bytes of report data."""

# tcg-dice-tagged-evidence; what Gramine's mis-encoded identifier spells when read as it is written.
EVIDENCE: Final = x509.ObjectIdentifier("2.23.133.5.4.9")
LEGACY: Final = x509.ObjectIdentifier("0.6.9.42.840.113741.1337.6")
# Gramine's carry two quotes and have under 11 KB.
MAX_CERTIFICATE_BYTES = 160 << 10
_MAX_QUOTE_BYTES = 64 << 10
_MIN_RSA_BITS = 2048
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Casemate RA-TLS")])
_DEVICE = "/dev/attestation"


@dataclass(frozen=True)
class Identity:
    """A key pair and the certificate (DER) that presents it."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: bytes

    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def certificate_pem(self) -> bytes:
        return x509.load_der_x509_certificate(self.certificate).public_bytes(Encoding.PEM)


@dataclass(frozen=True)
class PeerEvidence:
    """What a certificate presents. The quote is not verified; ``report_data`` (32 bytes) is what it must start with."""

    quote: bytes
    report_data: bytes
    public_key_info: bytes
    nonce: bytes | None
    legacy: bool
    not_before: datetime
    not_after: datetime


def device_quote(report_data: bytes) -> bytes:
    """A quote from the enclave that this process runs in, over 64 bytes."""
    try:
        with open(f"{_DEVICE}/user_report_data", "wb", buffering=0) as device:
            device.write(report_data)
        with open(f"{_DEVICE}/quote", "rb", buffering=0) as device:
            return device.read(_MAX_QUOTE_BYTES)
    except OSError as error:
        raise describe_os_error(error, "no quote is to be had here", _DEVICE) from None


def new_identity(
    quote_over: QuoteSource,
    *,
    nonce: bytes | None = None,
    lifetime: timedelta = timedelta(days=365),
    now: datetime | None = None,
) -> Identity:
    """A new P-256 key with a quote over it. The clock may be the host's: the judge of the quote decides on time."""
    key = ec.generate_private_key(ec.SECP256R1())
    claims = evidence_claims(public_key_info(key.public_key()), nonce)
    value = evidence_extension(quote_over(evidence_report_data(claims)), claims)
    return sign_identity(key, [x509.UnrecognizedExtension(EVIDENCE, value)], lifetime=lifetime, now=now)


def sign_identity(
    key: ec.EllipticCurvePrivateKey,
    extensions: list[x509.ExtensionType],
    *,
    name: x509.Name = _NAME,
    lifetime: timedelta = timedelta(days=365),
    now: datetime | None = None,
) -> Identity:
    """A self-signed certificate of a TLS client and server, with these extensions."""
    now = now or datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return Identity(key, builder.sign(key, SHA256()).public_bytes(Encoding.DER))


def public_key_info(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey) -> bytes:
    """DER SubjectPublicKeyInfo."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def read_evidence(certificate: bytes) -> PeerEvidence:
    """What a certificate (DER) presents: self-signed, with evidence that is for its own key."""
    if len(certificate) > MAX_CERTIFICATE_BYTES:
        raise RaTlsError(f"the peer's certificate has more than {MAX_CERTIFICATE_BYTES >> 10} KiB")
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        key = parsed.public_key()
        extensions = parsed.extensions
        not_before, not_after = parsed.not_valid_before_utc, parsed.not_valid_after_utc
    except MALFORMED:
        raise RaTlsError("the peer's certificate is not a certificate in DER") from None
    if parsed.serial_number <= 0:
        raise RaTlsError("the peer's certificate has a serial number that is not positive (RFC 5280, 4.1.2.2)")
    if not _is_usable(key):
        raise RaTlsError(
            "the peer's key is of a kind that is not accepted", remedy="use ECDSA (P-256, P-384, P-521), RSA or Ed25519"
        )
    try:
        parsed.verify_directly_issued_by(parsed)
    except (InvalidSignature, *MALFORMED):
        raise RaTlsError("the peer's certificate is not signed by its own key") from None
    # The bytes that were signed, not another encoding of the same key.
    info = parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if info not in parsed.tbs_certificate_bytes:
        raise RaTlsError("the peer's key is not in its usual encoding")
    quote, report_data, nonce, legacy = _evidence(extensions, info)
    return PeerEvidence(quote, report_data, info, nonce, legacy, not_before, not_after)


def _is_usable(key: object) -> bool:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, _CURVES)
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= _MIN_RSA_BITS
    return isinstance(key, ed25519.Ed25519PublicKey)


def _evidence(extensions: x509.Extensions, info: bytes) -> tuple[bytes, bytes, bytes | None, bool]:
    """Quote, the first 32 bytes of its report data, nonce, and whether it came in the older extension."""
    found = {extension.oid: extension.value for extension in extensions}
    for extension in extensions:
        if extension.critical and isinstance(extension.value, x509.UnrecognizedExtension):
            raise RaTlsError(f"the peer's certificate has the critical extension {extension.oid.dotted_string}")
    value = found.get(EVIDENCE)
    if isinstance(value, x509.UnrecognizedExtension):
        try:
            evidence = Evidence(value.value)
        except EvidenceFormatError as error:
            raise RaTlsError(str(error), where="the peer's certificate") from None
        if not evidence.binds(info):
            raise RaTlsError("the peer's evidence is for another key than its certificate's")
        return evidence.quote, evidence.report_data[:32], evidence.nonce, False
    value = found.get(LEGACY)
    if isinstance(value, x509.UnrecognizedExtension):
        if len(value.value) > _MAX_QUOTE_BYTES:
            raise RaTlsError("the evidence has more bytes than a quote", where="the peer's certificate")
        digest = Hash(SHA256())
        digest.update(info)
        return value.value, digest.finalize(), None, True
    raise RaTlsError(
        "the peer's certificate carries no evidence", remedy="it must come from inside an enclave that makes RA-TLS"
    )
