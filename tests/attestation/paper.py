"""A platform that exists on paper only: quotes made in Python, for tests of what judges them.

It registers with a simulated vendor as a real platform would, and signs whatever it is told to.
"""

from __future__ import annotations

import hashlib
import struct
from datetime import datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from casemate.attestation.simulated.vendor import QE_PROD_ID, Vendor

INTEL_QE_VENDOR = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
DEBUG = 0x2
_AUTH_DATA = bytes(range(32))


def report_body(
    *,
    mrenclave: bytes = bytes(32),
    mrsigner: bytes = bytes(32),
    prod_id: int = 0,
    svn: int = 0,
    report_data: bytes = b"",
    flags: int = 0x5,
    cpusvn: bytes = b"\1" * 16,
) -> bytes:
    """384 bytes (SDM volume 3D, table 35-21)."""
    body = struct.pack(
        "<16sI12x16xQQ32s32x32s32x64xHHH42x16x", cpusvn, 0, flags, 3, mrenclave, mrsigner, prod_id, svn, 0
    )
    return body + report_data.ljust(64, b"\0")


class Platform:
    """A machine with a provisioning key, registered with `vendor`."""

    def __init__(self, vendor: Vendor, at: datetime, *, cpusvn: bytes = b"\1" * 16, seed: int = 1) -> None:
        self.vendor = vendor
        self.cpusvn = cpusvn
        self.ppid = hashlib.sha256(b"ppid %d" % seed).digest()[:16]
        self.pck = ec.derive_private_key(0x1000 + seed, ec.SECP256R1())
        self.attestation_key = ec.derive_private_key(0x2000 + seed, ec.SECP256R1())
        self.chain = vendor.pck_chain(vendor.register(self.registration()), at)

    def registration(self) -> bytes:
        body = struct.pack(
            "<8sIHH16s16s64s16s4s", b"CSMTPLAT", 1, 0, 1, self.ppid, self.cpusvn, point(self.pck), b"", b""
        )
        return body + sign(self.pck, body)

    def quote(self, body: bytes, *, qe_svn: int = 1, qe_flags: int = 0x15) -> bytes:
        """A quote of version 3 over a report body."""
        header = struct.pack("<HHIHH16s20x", 3, 2, 0, qe_svn, 1, INTEL_QE_VENDOR)
        key = point(self.attestation_key)
        qe_report = report_body(
            mrsigner=self.vendor.enclave_signer.mrsigner,
            prod_id=QE_PROD_ID,
            svn=qe_svn,
            flags=qe_flags,
            report_data=hashlib.sha256(key + _AUTH_DATA).digest(),
        )
        chain = self.chain.encode() + b"\0"
        signature = (
            sign(self.attestation_key, header + body)
            + key
            + qe_report
            + sign(self.pck, qe_report)
            + struct.pack("<H", len(_AUTH_DATA))
            + _AUTH_DATA
            + struct.pack("<HI", 5, len(chain))
            + chain
        )
        return header + body + struct.pack("<I", len(signature)) + signature


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    numbers = key.public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


__all__ = ["DEBUG", "Platform", "report_body"]
