"""Making SIGSTRUCTs: in one step with a key at hand, or in two with the key elsewhere (an HSM)."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from casemate._core import EnclaveLayout, SgxFormatError, SigStruct
from casemate.enclave.errors import SigStructError
from casemate.enclave.keys import SigningKey

SIZE = 1808
TO_BE_SIGNED_SIZE = 256
_ALL_BITS = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class SigningOptions:
    """What the owner states beside the measurement."""

    date: datetime.date
    isv_prod_id: int = 0
    isv_svn: int = 0
    debug: bool = False


def unsigned(layout: EnclaveLayout, options: SigningOptions) -> SigStruct:
    """What is to be signed for this enclave: every attribute and MISCSELECT bit is fixed but the optional XFRM ones."""
    for name, number in (("product number", options.isv_prod_id), ("security version", options.isv_svn)):
        if not 0 <= number <= 0xFFFF:
            raise SigStructError(f"the {name} is {number}", remedy="choose 0 to 65535")
    attributes, mask = layout.attributes(options.debug)
    return SigStruct.unsigned(
        enclave_hash=layout.measure(),
        attributes=attributes,
        attribute_mask=mask,
        miscselect=layout.miscselect,
        miscmask=_ALL_BITS,
        date=to_bcd(options.date),
        isv_prod_id=options.isv_prod_id,
        isv_svn=options.isv_svn,
    )


def sign(unsigned_sigstruct: SigStruct, key: SigningKey) -> SigStruct:
    """The complete SIGSTRUCT, verified as EINIT will."""
    signature = key.sign(unsigned_sigstruct.to_be_signed())
    return unsigned_sigstruct.attach(modulus=key.modulus, signature=signature)


def attach(to_be_signed: bytes, signature: bytes, modulus: bytes) -> SigStruct:
    """Completes what was signed elsewhere. `signature`: 384 bytes as PKCS #1 and every HSM write them, big-endian."""
    if len(to_be_signed) != TO_BE_SIGNED_SIZE:
        raise SigStructError(
            f"what was signed has {len(to_be_signed)} bytes instead of {TO_BE_SIGNED_SIZE}",
            remedy="give the file that `casemate sign --emit` wrote",
        )
    if len(signature) != len(modulus):
        raise SigStructError(
            f"the signature has {len(signature)} bytes instead of {len(modulus)}",
            remedy="give the raw RSA signature, not in PEM or base64",
        )
    try:
        return SigStruct.from_to_be_signed(to_be_signed).attach(modulus=modulus, signature=signature[::-1])
    except SgxFormatError as error:
        raise SigStructError(
            str(error),
            where="the detached signature",
            remedy="sign exactly the emitted bytes with PKCS #1 v1.5, SHA-256 and the private half of this public key",
        ) from None


def to_bcd(date: datetime.date) -> int:
    """DATE: ``yyyymmdd`` as hexadecimal digits."""
    return int(f"{date.year:04d}{date.month:02d}{date.day:02d}", 16)


def from_bcd(value: int) -> datetime.date | None:
    """The inverse; None where the digits are no date."""
    digits = f"{value:08x}"
    try:
        return datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
