"""Certificate chains as they lie in quotes and collateral: PEM, leaf first, root last.

The same chain has one spelling here. Verifiers look at the certificates that they need and nothing else; with
other spellings, or other certificates beside them, a quote could be changed and still verify.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from casemate.errors import CasemateError

# What cryptography raises for certificates and lists that are not well-formed.
MALFORMED = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
_BEGIN = "-----BEGIN CERTIFICATE-----\n"
_END = "\n-----END CERTIFICATE-----\n"
_MAX_CERTIFICATES = 4


class ChainError(CasemateError):
    """Not a certificate chain in its one spelling."""


@lru_cache(maxsize=256)
def read_chain(text: str, where: str) -> tuple[bytes, ...]:
    """The chain's certificates (DER, unverified). The text is concatenated PEM of RFC 7468's strict form."""
    if not text.startswith(_BEGIN) or not text.endswith(_END):
        raise ChainError("this is not a chain of PEM certificates", where=where)
    bodies = text[len(_BEGIN) : -len(_END)].split(_END + _BEGIN)
    if len(bodies) > _MAX_CERTIFICATES:
        raise ChainError(f"the chain has {len(bodies)} certificates, {_MAX_CERTIFICATES} may be", where=where)
    return tuple(_read_body(body, where) for body in bodies)


def write_chain(*certificates: bytes) -> str:
    """The inverse of `read_chain`."""
    return "".join(f"{_BEGIN}{_wrap(der)}{_END}" for der in certificates)


def rewrite_chain(text: str, where: str) -> str:
    """Any spelling of PEM in the one spelling: servers differ in line ends and in what follows the last line."""
    try:
        certificates = x509.load_pem_x509_certificates(text.encode())
    except MALFORMED:
        raise ChainError("this is not a chain of PEM certificates", where=where) from None
    return write_chain(*(certificate.public_bytes(Encoding.DER) for certificate in certificates))


def _read_body(body: str, where: str) -> bytes:
    try:
        der = base64.b64decode(body.replace("\n", ""), validate=True)
    except (ValueError, binascii.Error):
        raise ChainError("a certificate is not in Base64", where=where) from None
    if _wrap(der) != body:
        raise ChainError("a certificate is not in PEM's strict form: lines of 64 characters", where=where)
    return der


def _wrap(der: bytes) -> str:
    return "\n".join(re.findall(".{1,64}", base64.b64encode(der).decode("ascii")))
