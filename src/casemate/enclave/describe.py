"""What a SIGSTRUCT says, for people and for scripts."""

from __future__ import annotations

from typing import Any

from casemate._core import SgxFormatError, SigStruct
from casemate.enclave.errors import SigStructError
from casemate.enclave.signing import SIZE, from_bcd

_FLAGS = {
    0: "INIT",
    1: "DEBUG",
    2: "MODE64BIT",
    4: "PROVISIONKEY",
    5: "EINITTOKEN_KEY",
    6: "CET",
    7: "KSS",
    10: "AEXNOTIFY",
}
_XFRM = {
    0: "X87",
    1: "SSE",
    2: "AVX",
    3: "BNDREGS",
    4: "BNDCSR",
    5: "OPMASK",
    6: "ZMM_HI256",
    7: "HI16_ZMM",
    9: "PKRU",
    17: "TILECFG",
    18: "TILEDATA",
}
_MISC = {0: "EXINFO", 1: "CPINFO"}
_VENDORS = {0: "not Intel", 0x8086: "Intel"}


def read_sigstruct(data: bytes, where: str) -> SigStruct:
    """A SIGSTRUCT from a file's bytes; whether it is valid is for `describe` to say."""
    if len(data) != SIZE:
        raise SigStructError(
            f"a SIGSTRUCT has {SIZE} bytes, this has {len(data)}", where=where, remedy="give a .sig file"
        )
    return SigStruct.from_bytes(data)


def describe(sigstruct: SigStruct) -> dict[str, Any]:
    """Everything that it says, as ``--json`` prints it. ``problem`` is None when EINIT would accept the signature."""
    date = from_bcd(sigstruct.date)
    flags, xfrm = sigstruct.attributes
    flags_mask, xfrm_mask = sigstruct.attribute_mask
    try:
        sigstruct.verify()
        problem = None
    except SgxFormatError as error:
        problem = str(error)
    return {
        "mrenclave": sigstruct.mrenclave.hex(),
        "mrsigner": sigstruct.mrsigner.hex(),
        "isv_prod_id": sigstruct.isv_prod_id,
        "isv_svn": sigstruct.isv_svn,
        "debug": sigstruct.debug,
        "date": date.isoformat() if date else None,
        "vendor": sigstruct.vendor,
        "attributes": {
            "flags": f"{flags:#x}",
            "flags_mask": f"{flags_mask:#x}",
            "flags_names": _names(flags, _FLAGS),
            "xfrm": f"{xfrm:#x}",
            "xfrm_mask": f"{xfrm_mask:#x}",
            "xfrm_names": _names(xfrm, _XFRM),
            "xfrm_optional_names": _names(~xfrm_mask & ~xfrm, _XFRM, known_only=True),
        },
        "miscselect": f"{sigstruct.miscselect:#x}",
        "miscselect_names": _names(sigstruct.miscselect, _MISC),
        "miscmask": f"{sigstruct.miscmask:#x}",
        "problem": problem,
    }


def rows(value: dict[str, Any]) -> list[tuple[str, str]]:
    """The same as labels and texts for a table."""
    attributes = value["attributes"]
    optional = attributes["xfrm_optional_names"]
    features = " ".join(attributes["xfrm_names"]) + (f", if there: {' '.join(optional)}" if optional else "")
    return [
        ("measurement", value["mrenclave"]),
        ("signer", value["mrsigner"]),
        ("product", str(value["isv_prod_id"])),
        ("security version", str(value["isv_svn"])),
        ("debug", "yes: the host can read and change everything inside" if value["debug"] else "no"),
        ("signed on", value["date"] or "no date"),
        ("vendor", _VENDORS.get(value["vendor"], f"{value['vendor']:#x}")),
        ("attributes", f"{attributes['flags']} {' '.join(attributes['flags_names'])}"),
        ("processor state", features),
        ("reported exits", " ".join(value["miscselect_names"]) or "none beyond the usual"),
        ("signature", f"INVALID: {value['problem']}" if value["problem"] else "valid"),
    ]


def _names(bits: int, names: dict[int, str], *, known_only: bool = False) -> list[str]:
    found = [name for bit, name in names.items() if bits >> bit & 1]
    rest = bits & ~sum(1 << bit for bit in names)
    if rest and not known_only:
        found.append(f"{rest:#x}")
    return found
