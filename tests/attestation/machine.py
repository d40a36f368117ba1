"""A machine with software SGX as the tests see it: its fuse file, and reports as its processor would make them.

The key derivation is that of ``runtime/sgx/src/keys.rs`` (``KeyDependencies``), written a second time on purpose.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.cmac import CMAC

_PADDING = bytes.fromhex("0001" + "ff" * 330 + "00" + "3031300d060960864801650304020105000420")[:352]


def cmac(key: bytes, message: bytes) -> bytes:
    mac = CMAC(AES128(key))
    mac.update(message)
    return mac.finalize()


def report(fuses: Path, target_info: bytes, body: bytes, key_id: bytes = b"\5" * 32) -> bytes:
    """A REPORT over a body, for the enclave with this TARGETINFO (SDM volume 3D, EREPORT)."""
    root, seal_fuses, owner_epoch, cpusvn = (fuses.read_bytes()[at : at + 16] for at in (16, 32, 48, 64))
    measurement, attributes = target_info[:32], target_info[32:48]
    config_svn, miscselect, config_id = target_info[50:52], target_info[52:56], target_info[64:128]
    dependencies = (
        struct.pack("<HHH", 3, 0, 0)
        + config_svn
        + bytes(32)
        + owner_epoch
        + attributes
        + bytes(16)
        + measurement
        + bytes(32)
        + key_id
        + seal_fuses
        + cpusvn
        + miscselect
        + bytes(4 + 2 + 2 + 4)
        + config_id
        + _PADDING
    )
    assert len(dependencies) == 648
    key = cmac(root, b"\1casemate softsgx\0" + dependencies + b"\0\x80")
    return body + key_id + cmac(key, body)


class AesmClient:
    """The client's half of AESM's protocol, by the field numbers of linux-sgx's ``messages.proto``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def target_info(self) -> bytes:
        """InitQuoteEx, twice."""
        first = self._ask(15, varint_field(3, 0))
        return bytes(self._ask(15, varint_field(3, 1) + varint_field(4, int(first[3])))[2])  # type: ignore[arg-type]

    def quote(self, report: bytes, info: bytes | None = None, *, room: int | None = None) -> dict[int, int | bytes]:
        """GetQuoteSizeEx, then GetQuoteEx: the response's fields."""
        size = int(self._ask(16, b"")[2])
        request = bytes_field(1, report) + (bytes_field(3, info) if info else b"") + varint_field(4, room or size)
        return self._ask(17, request, check=False)

    def _ask(self, number: int, message: bytes, *, check: bool = True) -> dict[int, int | bytes]:
        answer = fields(self.exchange(bytes_field(number, message)))
        found = fields(bytes(answer[number]))  # type: ignore[arg-type]
        assert not check or found[1] == 0, found
        return found

    def exchange(self, request: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.path))
            connection.sendall(struct.pack("<I", len(request)) + request)
            data = b""
            while part := connection.recv(65536):
                data += part
        (length,) = struct.unpack_from("<I", data)
        assert length == len(data) - 4
        return data[4:]


def _varint(value: int) -> bytes:
    digits = []
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def fields(message: bytes) -> dict[int, int | bytes]:
    """A protocol buffer's fields by number; varints and length-delimited ones."""
    found: dict[int, int | bytes] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        value = varint()
        if key & 7 == 2:
            found[key >> 3] = message[at : at + value]
            at += value
        else:
            assert key & 7 == 0
            found[key >> 3] = value
    return found
