"""Whether collateral is what a vendor's root vouches for, without any quote: checked before it is stored."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from casemate.attestation.chains import MALFORMED, read_chain
from casemate.attestation.collateral import Collateral
from casemate.attestation.errors import CollateralError
from casemate.attestation.evidence import stamp
from casemate.attestation.roots import Root


def appraise(collateral: Collateral, root: Root, at: datetime) -> None:
    """Raises unless every part is signed under this root, valid at this time, and its signers are not revoked."""
    for part, start, end in collateral.validity:
        if not start <= at <= end:
            raise CollateralError(
                f"the {part} is valid from {stamp(start)} to {stamp(end)}, not at {stamp(at)}",
                remedy="fetch newer collateral, or check the clock",
            )
    try:
        _check_signatures(collateral, root)
    except (InvalidSignature, *MALFORMED) as error:
        raise CollateralError(f"a certificate in the collateral is not acceptable: {error}") from None


def _check_signatures(collateral: Collateral, root: Root) -> None:
    anchor = x509.load_der_x509_certificate(root.der)
    root_crl = _crl(collateral.root_ca_crl, anchor, "root CA's revocation list")
    _signer(collateral.pck_crl_issuer_chain, anchor, root_crl, root, "PCK authority")
    authority = x509.load_der_x509_certificate(read_chain(collateral.pck_crl_issuer_chain, "PCK CRL's issuers")[0])
    _crl(collateral.pck_crl, authority, "PCK authority's revocation list")
    for what, chain, text, signature in (
        ("TCB info", collateral.tcb_info_issuer_chain, collateral.tcb_info, collateral.tcb_info_signature),
        ("QE identity", collateral.qe_identity_issuer_chain, collateral.qe_identity, collateral.qe_identity_signature),
    ):
        signer = _signer(chain, anchor, root_crl, root, f"{what}'s signer")
        _check_text(what, text, signature, signer)


def _signer(
    chain: str, anchor: x509.Certificate, root_crl: x509.CertificateRevocationList, root: Root, what: str
) -> x509.Certificate:
    """The first certificate of a chain of two, issued by the root and not revoked by it."""
    certificates = read_chain(chain, what)
    if len(certificates) != 2 or certificates[1] != root.der:
        raise CollateralError(f"the chain of the {what} does not end at the root '{root.name}'")
    signer = x509.load_der_x509_certificate(certificates[0])
    try:
        signer.verify_directly_issued_by(anchor)
    except (InvalidSignature, ValueError, TypeError):
        raise CollateralError(f"the certificate of the {what} was not issued by the root '{root.name}'") from None
    if root_crl.get_revoked_certificate_by_serial_number(signer.serial_number) is not None:
        raise CollateralError(f"the certificate of the {what} is revoked")
    return signer


def _crl(der: bytes, issuer: x509.Certificate, what: str) -> x509.CertificateRevocationList:
    crl = x509.load_der_x509_crl(der)
    key = issuer.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or crl.issuer != issuer.subject:
        raise CollateralError(f"the {what} is another issuer's")
    if not crl.is_signature_valid(key):
        raise CollateralError(f"the {what} is not signed by its issuer")
    return crl


def _check_text(what: str, text: str, signature: bytes, signer: x509.Certificate) -> None:
    key = signer.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or len(signature) != 64:
        raise CollateralError(f"the {what} is not signed with ECDSA P-256")
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    try:
        key.verify(encode_dss_signature(r, s), text.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise CollateralError(f"the signature of the {what} is not valid") from None
