"""REPORT, TARGETINFO and KEYREQUEST against a second description of them: the offsets of the SDM's tables."""

from __future__ import annotations

import struct

import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from casemate._core import KeyRequest, Report, SgxFormatError, TargetInfo

Fields = dict[str, tuple[int, str]]

# Offset and format, little-endian. SDM volume 3D: table 35-21; 35-22; 35-24.
REPORT: Fields = {
    "cpusvn": (0, "16s"),
    "miscselect": (16, "I"),
    "cet_attributes": (20, "B"),
    "isv_ext_prod_id": (32, "16s"),
    "attributes": (48, "QQ"),
    "mrenclave": (64, "32s"),
    "mrsigner": (128, "32s"),
    "config_id": (192, "64s"),
    "isv_prod_id": (256, "H"),
    "isv_svn": (258, "H"),
    "config_svn": (260, "H"),
    "isv_family_id": (304, "16s"),
    "report_data": (320, "64s"),
    "key_id": (384, "32s"),
    "mac": (416, "16s"),
}
TARGETINFO: Fields = {
    "mrenclave": (0, "32s"),
    "attributes": (32, "QQ"),
    "cet_attributes": (48, "B"),
    "config_svn": (50, "H"),
    "miscselect": (52, "I"),
    "config_id": (64, "64s"),
}
KEYREQUEST: Fields = {
    "policy": (2, "H"),
    "isv_svn": (4, "H"),
    "cet_attributes_mask": (6, "B"),
    "cpusvn": (8, "16s"),
    "attribute_mask": (24, "QQ"),
    "key_id": (40, "32s"),
    "misc_mask": (72, "I"),
    "config_svn": (76, "H"),
}
KEYREQUEST_RESERVED = [7, *range(78, 512)]
KEY_NAMES = ["einittoken", "provision", "provision_seal", "report", "seal"]
STRUCTURES = [(Report, 432, REPORT), (TargetInfo, 512, TARGETINFO), (KeyRequest, 512, KEYREQUEST)]


def field(data: bytes, fields: Fields, name: str) -> object:
    offset, form = fields[name]
    values = struct.unpack_from(f"<{form}", data, offset)
    return values if len(values) > 1 else values[0]


@pytest.mark.parametrize(("structure", "size", "fields"), STRUCTURES)
@given(data=st.data())
def test_any_bytes_of_the_right_size_are_read_field_by_field(
    structure: type[Report | TargetInfo | KeyRequest], size: int, fields: Fields, data: st.DataObject
) -> None:
    encoded = data.draw(st.binary(min_size=size, max_size=size))
    read = structure.from_bytes(encoded)
    assert read.to_bytes() == encoded
    assert {name: getattr(read, name) for name in fields} == {name: field(encoded, fields, name) for name in fields}


@pytest.mark.parametrize(("structure", "size", "fields"), STRUCTURES)
@given(data=st.binary(max_size=600))
def test_other_sizes_are_refused(
    structure: type[Report | TargetInfo | KeyRequest], size: int, fields: Fields, data: bytes
) -> None:
    if len(data) != size:
        with pytest.raises(SgxFormatError, match=str(size)):
            structure.from_bytes(data)


@given(
    body=st.binary(min_size=416, max_size=416), key=st.binary(min_size=16, max_size=16), bit=st.integers(0, 384 * 8 - 1)
)
def test_a_report_is_verified_by_the_cmac_of_its_body(body: bytes, key: bytes, bit: int) -> None:
    cmac = CMAC(AES(key))
    cmac.update(body[:384])
    genuine = body + cmac.finalize()
    assert Report.from_bytes(genuine).verify(key)
    changed = bytearray(genuine)
    changed[bit // 8] ^= 1 << bit % 8
    assert not Report.from_bytes(bytes(changed)).verify(key)
    assert not Report.from_bytes(genuine).verify(bytes([key[0] ^ 1]) + key[1:])


@given(data=st.binary(min_size=432, max_size=432))
def test_the_target_of_a_report_is_its_maker(data: bytes) -> None:
    report = Report.from_bytes(data)
    target = report.target_info()
    for name in TARGETINFO:
        assert getattr(target, name) == getattr(report, name), name
    known = {at for offset, form in TARGETINFO.values() for at in range(offset, offset + struct.calcsize(f"<{form}"))}
    assert all(byte == 0 for at, byte in enumerate(target.to_bytes()) if at not in known)


@given(
    name=st.sampled_from(KEY_NAMES),
    policy=st.integers(0, 63),
    numbers=st.tuples(st.integers(0, 65535), st.integers(0, 255), st.integers(0, 2**32 - 1), st.integers(0, 65535)),
    mask=st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)),
    cpusvn=st.binary(min_size=16, max_size=16),
    key_id=st.binary(min_size=32, max_size=32),
)
def test_requests_are_made_of_their_fields(
    name: str, policy: int, numbers: tuple[int, int, int, int], mask: tuple[int, int], cpusvn: bytes, key_id: bytes
) -> None:
    isv_svn, cet, misc, config_svn = numbers
    request = KeyRequest(
        name,  # type: ignore[arg-type]
        policy=policy,
        isv_svn=isv_svn,
        cpusvn=cpusvn,
        attribute_mask=mask,
        cet_attributes_mask=cet,
        key_id=key_id,
        misc_mask=misc,
        config_svn=config_svn,
    )
    encoded = bytearray(512)
    struct.pack_into("<H", encoded, 0, KEY_NAMES.index(name))
    values = (policy, isv_svn, cet, cpusvn, mask, key_id, misc, config_svn)
    for (offset, form), value in zip(KEYREQUEST.values(), values, strict=True):
        struct.pack_into(f"<{form}", encoded, offset, *(value if isinstance(value, tuple) else (value,)))
    assert request.to_bytes() == bytes(encoded)
    assert (request.name, request.reserved_is_zero) == (name, True)


@given(data=st.binary(min_size=512, max_size=512))
def test_names_and_reserved_bytes_of_any_request(data: bytes) -> None:
    request = KeyRequest.from_bytes(data)
    number, policy = struct.unpack_from("<HH", data)
    assert request.name == (KEY_NAMES[number] if number < len(KEY_NAMES) else None)
    clean = policy < 64 and all(data[at] == 0 for at in KEYREQUEST_RESERVED)
    assert request.reserved_is_zero == clean


@pytest.mark.parametrize("at", [7, 78, 511])
def test_each_reserved_byte_of_a_request_counts(at: int) -> None:
    data = bytearray(512)
    assert KeyRequest.from_bytes(bytes(data)).reserved_is_zero
    data[at] = 1
    assert not KeyRequest.from_bytes(bytes(data)).reserved_is_zero


def test_what_no_request_can_hold_is_refused() -> None:
    with pytest.raises(SgxFormatError, match="'launch' is no key's name"):
        KeyRequest("launch")  # type: ignore[arg-type]
    with pytest.raises(SgxFormatError, match="KEYPOLICY 0x40"):
        KeyRequest("seal", policy=64)
    with pytest.raises(SgxFormatError, match="KEYID needs 32 bytes, 31 are there"):
        KeyRequest("seal", key_id=bytes(31))
