"""The SGX extension of PCK certificates.

"Intel SGX PCK Certificate and Certificate Revocation List Profile Specification", section 1.3.5: OIDs under
1.2.840.113741.1.13.1, as they are in certificates of Intel's.
"""

from __future__ import annotations

from dataclasses import dataclass

OID = "1.2.840.113741.1.13.1"
_INTEGER, _OCTETS, _OBJECT, _ENUMERATED, _SEQUENCE = 0x02, 0x04, 0x06, 0x0A, 0x30
_STANDARD_SGX = 0


@dataclass(frozen=True)
class PlatformTcb:
    """A platform's identity and patch level: PPID 16, CPUSVN 16, FMSPC 6, PCEID 2 bytes."""

    ppid: bytes
    cpusvn: bytes
    pce_svn: int
    pce_id: bytes
    fmspc: bytes


def encode(tcb: PlatformTcb) -> bytes:
    """The extension's value, DER."""
    components = [_entry(f"2.{number}", _integer(svn)) for number, svn in enumerate(tcb.cpusvn, 1)]
    components += [_entry("2.17", _integer(tcb.pce_svn)), _entry("2.18", _value(_OCTETS, tcb.cpusvn))]
    return _value(
        _SEQUENCE,
        _entry("1", _value(_OCTETS, tcb.ppid))
        + _entry("2", _value(_SEQUENCE, b"".join(components)))
        + _entry("3", _value(_OCTETS, tcb.pce_id))
        + _entry("4", _value(_OCTETS, tcb.fmspc))
        + _entry("5", _value(_ENUMERATED, bytes([_STANDARD_SGX]))),
    )


def _entry(arc: str, value: bytes) -> bytes:
    return _value(_SEQUENCE, _object(f"{OID}.{arc}") + value)


def _value(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content


def _integer(value: int) -> bytes:
    return _value(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _object(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    content = bytes([40 * first + second])
    for arc in rest:
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(0x80 | arc & 0x7F)
        content += bytes(reversed(digits))
    return _value(_OBJECT, content)
