"""The certificates at which trust in a quote ends: Intel's, or that of a simulated vendor.

A simulated root is never trusted unless someone names its file, and everything verified by it says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from casemate.attestation.chains import MALFORMED
from casemate.attestation.errors import RootError
from casemate.errors import UsageError, describe_os_error


@dataclass(frozen=True)
class Root:
    """A vendor's root certificate (DER). ``simulated``: it vouches for no hardware."""

    der: bytes
    simulated: bool
    name: str

    @property
    def not_after(self) -> datetime:
        return x509.load_der_x509_certificate(self.der).not_valid_after_utc


@cache
def intel() -> Root:
    """The "Intel SGX Root CA", as Intel publishes it for the Provisioning Certification Service."""
    pem = files("casemate.attestation").joinpath("intel_sgx_root_ca.pem").read_bytes()
    return Root(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER), simulated=False, name="intel")


def simulated(path: Path) -> Root:
    """The root of a simulated vendor, from a PEM or DER file that holds one certificate."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise describe_os_error(error, "cannot read the root certificate", str(path)) from None
    return simulated_from_bytes(data, str(path))


def simulated_from_bytes(data: bytes, where: str) -> Root:
    try:
        if b"-----BEGIN" in data:
            (certificate,) = x509.load_pem_x509_certificates(data)
        else:
            certificate = x509.load_der_x509_certificate(data)
        key = certificate.public_key()
    except MALFORMED:
        raise RootError(
            "this is not one X.509 certificate", where=where, remedy="give the root certificate's PEM or DER file"
        ) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RootError("the certificate's key is not on the curve P-256", where=where)
    if certificate.subject != certificate.issuer:
        raise RootError("the certificate is no root: another issued it", where=where)
    der = certificate.public_bytes(Encoding.DER)
    if der == intel().der:
        raise RootError("this is Intel's root, not a simulated one", where=where, remedy="say --root intel")
    return Root(der, simulated=True, name=f"simulated:{where}")


def from_option(option: str) -> Root:
    """``intel`` or ``simulated:FILE``."""
    kind, _, path = option.partition(":")
    if option == "intel":
        return intel()
    if kind == "simulated" and path:
        return simulated(Path(path))
    raise UsageError(f"there is no root '{option}'", where="--root", remedy="say intel or simulated:FILE")
