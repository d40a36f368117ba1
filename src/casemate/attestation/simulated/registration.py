"""What a platform sends to be registered: made and signed by its provisioning certification enclave.

132 bytes little-endian, then a signature by the key that is to be certified (proof that the enclave holds it):

    "CSMTPLAT"  version u32 = 1  PCEID u16  PCESVN u16  PPID 16  CPUSVN 16  PCK public key 64 (x, y big-endian)
    QE identity 16 (zeros)  reserved 4  signature 64 (r, s big-endian; ECDSA P-256 over the 132 bytes)

``runtime/quoting/src/registration.rs`` writes it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from casemate.errors import CasemateError

_BODY = struct.Struct("<8sIHH16s16s64s16s4s")
SIZE = _BODY.size + 64
_MAGIC = b"CSMTPLAT"


class RegistrationError(CasemateError):
    """A registration that is not well-formed or not signed by the key that it asks a certificate for."""


@dataclass(frozen=True)
class Registration:
    """A platform's identity as its provisioning certification enclave states it."""

    pce_id: bytes
    pce_svn: int
    ppid: bytes
    cpusvn: bytes
    public_key: ec.EllipticCurvePublicKey

    @classmethod
    def parse(cls, data: bytes) -> Registration:
        if len(data) != SIZE:
            raise RegistrationError(f"a registration has {SIZE} bytes, this has {len(data)}")
        magic, version, pce_id, pce_svn, ppid, cpusvn, point, reserved1, reserved2 = _BODY.unpack_from(data)
        if magic != _MAGIC or version != 1 or any(reserved1) or any(reserved2):
            raise RegistrationError("this is no registration of version 1")
        try:
            public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + point)
            public.verify(raw_to_der(data[_BODY.size :]), data[: _BODY.size], ec.ECDSA(hashes.SHA256()))
        except (ValueError, InvalidSignature):
            raise RegistrationError("the registration is not signed by the key that it is for") from None
        return cls(pce_id.to_bytes(2, "little"), pce_svn, ppid, cpusvn, public)


def raw_to_der(signature: bytes) -> bytes:
    """r and s, 32 bytes each, as a DER-encoded ECDSA signature."""
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"))
