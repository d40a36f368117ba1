"""The simulated vendor's certificates and revocation lists, shaped like Intel's.

Names say "Simulated" where Intel's say "Intel" except in the common names of PCK certificate and authority: clients
find the authority by those (``Intel SGX PCK Processor CA`` means ``ca=processor``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from casemate.attestation.simulated.extension import OID, PlatformTcb, encode

Key = ec.EllipticCurvePrivateKey

_YEAR = timedelta(days=365)
ORGANIZATION = "Casemate Simulated Vendor"
ROOT_NAME = "Simulated SGX Root CA"
AUTHORITY_NAME = "Intel SGX PCK Processor CA"
PCK_NAME = "Intel SGX PCK Certificate"
TCB_SIGNER_NAME = "Simulated SGX TCB Signing"


def name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, common), x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION)]
    )


def root(key: Key, at: datetime, crl_url: str) -> x509.Certificate:
    builder = _builder(name(ROOT_NAME), name(ROOT_NAME), key.public_key(), key.public_key(), at, 30 * _YEAR, crl_url)
    return _authority(builder, 1).sign(key, hashes.SHA256())


def authority(public: ec.EllipticCurvePublicKey, root_key: Key, at: datetime, crl_url: str) -> x509.Certificate:
    """The issuer of PCK certificates."""
    issuer = root_key.public_key()
    builder = _builder(name(AUTHORITY_NAME), name(ROOT_NAME), public, issuer, at, 15 * _YEAR, crl_url)
    return _authority(builder, 0).sign(root_key, hashes.SHA256())


def tcb_signer(public: ec.EllipticCurvePublicKey, root_key: Key, at: datetime, crl_url: str) -> x509.Certificate:
    """The signer of TCB info and QE identity."""
    issuer = root_key.public_key()
    builder = _builder(name(TCB_SIGNER_NAME), name(ROOT_NAME), public, issuer, at, 7 * _YEAR, crl_url)
    return _leaf(builder).sign(root_key, hashes.SHA256())


def pck(
    public: ec.EllipticCurvePublicKey, tcb: PlatformTcb, authority_key: Key, at: datetime, crl_url: str
) -> x509.Certificate:
    """A platform's certificate: its provisioning key at one patch level."""
    issuer = authority_key.public_key()
    builder = _builder(name(PCK_NAME), name(AUTHORITY_NAME), public, issuer, at, 7 * _YEAR, crl_url)
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(OID), encode(tcb))
    return _leaf(builder).add_extension(extension, critical=False).sign(authority_key, hashes.SHA256())


def revocation_list(
    issuer: str, key: Key, at: datetime, valid_for: timedelta, number: int, revoked: Iterable[int]
) -> bytes:
    """A CRL in DER. ``revoked``: serial numbers."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(name(issuer))
    builder = builder.last_update(at).next_update(at + valid_for)
    builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    for serial in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    issuer_public: ec.EllipticCurvePublicKey,
    at: datetime,
    valid_for: timedelta,
    crl_url: str,
) -> x509.CertificateBuilder:
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl_url)], None, None, None)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at)
        .not_valid_after(at + valid_for)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), critical=False)
        .add_extension(x509.CRLDistributionPoints([point]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _authority(builder: x509.CertificateBuilder, path_length: int) -> x509.CertificateBuilder:
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)


def _leaf(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    return builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=not signs_certificates,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
