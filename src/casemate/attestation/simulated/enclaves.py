"""The simulated vendor's architectural enclaves: one image, signed once for each of its two roles.

`runtime/quoting-host/src/enclave.rs` lays them out in the same way.
"""

from __future__ import annotations

import datetime
from typing import Literal

from casemate._core import EnclaveLayout, SigStruct
from casemate.enclave.keys import SigningKey
from casemate.enclave.signing import sign, to_bcd

Role = Literal["pce", "qe"]
ROLES: tuple[Role, ...] = ("pce", "qe")
# The first byte of the measured block; ISVPRODID.
_BLOCKS = {"pce": 1, "qe": 2}
_PRODUCTS = {"pce": 0, "qe": 1}
_SVN = 1
_SIZE = 64 << 20
_MODE64BIT, _PROVISION_KEY = 1 << 2, 1 << 4
_LEGACY = 3
_ALL = (1 << 64) - 1


def layout(image: bytes, role: Role) -> EnclaveLayout:
    """The enclave with this role."""
    return EnclaveLayout(
        image,
        bytes([_BLOCKS[role]]).ljust(64, b"\0"),
        enclave_size=_SIZE,
        max_threads=1,
        edmm=True,
        exinfo=False,
        required_xfrm=_LEGACY,
        optional_xfrm=0,
    )


def sigstruct(image: bytes, role: Role, key: SigningKey) -> bytes:
    """Its SIGSTRUCT, 1808 bytes: allowed provisioning keys, never in debug mode."""
    unsigned = SigStruct.unsigned(
        enclave_hash=layout(image, role).measure(),
        attributes=(_MODE64BIT | _PROVISION_KEY, _LEGACY),
        attribute_mask=(_ALL, _ALL),
        miscselect=0,
        miscmask=0xFFFF_FFFF,
        date=to_bcd(datetime.date(2026, 1, 1)),
        isv_prod_id=_PRODUCTS[role],
        isv_svn=_SVN,
    )
    return sign(unsigned, key).to_bytes()
