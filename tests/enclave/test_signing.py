"""SIGSTRUCTs: signed here, signed elsewhere, and nothing of the key left behind."""

from __future__ import annotations

import base64
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate._core import EnclaveLayout, SgxFormatError, SigStruct
from casemate.enclave.errors import SigStructError
from casemate.enclave.keys import SigningKey, load_signing_key, new_key
from casemate.enclave.signing import SigningOptions, attach, from_bcd, sign, to_bcd, unsigned
from tests.enclave import images

OPTIONS = SigningOptions(datetime.date(2026, 11, 24), isv_prod_id=7, isv_svn=3)


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "key.pem"
    new_key(path)
    return path


@pytest.fixture(scope="module")
def key(key_file: Path) -> SigningKey:
    return load_signing_key(key_file)


def layout(edmm: bool = True, size: int = 256 << 20) -> EnclaveLayout:
    return EnclaveLayout(images.enclave(), images.measured(), enclave_size=size, max_threads=4, edmm=edmm, exinfo=edmm)


def number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def test_a_signature_satisfies_the_equations_of_einit(key: SigningKey) -> None:
    signed = sign(unsigned(layout(), OPTIONS), key).to_bytes()
    modulus, signature = number(signed[128:512]), number(signed[516:900])
    assert number(signed[512:516]) == 3
    q1, q2 = number(signed[1040:1424]), number(signed[1424:1808])
    assert q1 == signature**2 // modulus
    assert q2 == (signature**3 - q1 * signature * modulus) // modulus
    message = pow(signature, 3, modulus).to_bytes(384, "big")
    assert message.startswith(b"\x00\x01" + b"\xff" * 330 + b"\x00")
    public = rsa.RSAPublicNumbers(3, modulus).public_key()
    public.verify(signature.to_bytes(384, "big"), signed[:128] + signed[900:1028], padding.PKCS1v15(), hashes.SHA256())


def test_fields_say_what_was_asked_for(key: SigningKey) -> None:
    it = layout()
    signed = sign(unsigned(it, OPTIONS), key)
    assert signed.mrenclave == it.measure()
    assert signed.mrsigner == key.mrsigner
    assert (signed.isv_prod_id, signed.isv_svn, signed.date, signed.debug) == (7, 3, 0x20261124, False)
    assert signed.attributes == (0b100, 0b11)
    assert signed.attribute_mask == (2**64 - 1, ~0xE4 & (2**64 - 1))
    debug = sign(unsigned(it, SigningOptions(OPTIONS.date, debug=True)), key)
    assert debug.debug
    assert debug.attributes == (0b110, 0b11)
    assert debug.mrenclave == signed.mrenclave


def test_a_detached_signature_gives_the_same_bytes(key: SigningKey, key_file: Path) -> None:
    it = unsigned(layout(), OPTIONS)
    emitted = it.to_be_signed()
    private = serialization.load_pem_private_key(key_file.read_bytes(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    signature = private.sign(emitted, padding.PKCS1v15(), hashes.SHA256())
    assert attach(emitted, signature, key.modulus).to_bytes() == sign(it, key).to_bytes()


def test_a_detached_signature_that_does_not_fit_is_refused(key: SigningKey) -> None:
    emitted = unsigned(layout(), OPTIONS).to_be_signed()
    good = key.sign(emitted)[::-1]
    with pytest.raises(SigStructError, match="does not belong"):
        attach(emitted, key.sign(b"other")[::-1], key.modulus)
    with pytest.raises(SigStructError, match="does not belong"):
        attach(emitted, good[::-1], key.modulus)
    with pytest.raises(SigStructError, match="383 bytes instead of 384"):
        attach(emitted, good[1:], key.modulus)
    with pytest.raises(SigStructError, match="255 bytes instead of 256"):
        attach(emitted[1:], good, key.modulus)
    with pytest.raises(SigStructError, match="HEADER"):
        attach(b"\xff" + emitted[1:], good, key.modulus)


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(SigStructError, match="product number is 65536"):
        unsigned(layout(), SigningOptions(OPTIONS.date, isv_prod_id=65536))
    with pytest.raises(SigStructError, match="security version is -1"):
        unsigned(layout(), SigningOptions(OPTIONS.date, isv_svn=-1))


@settings(derandomize=True)
@given(st.dates())
def test_dates_survive(date: datetime.date) -> None:
    assert from_bcd(to_bcd(date)) == date


@settings(max_examples=60, deadline=None, derandomize=True)
@given(position=st.integers(0, 1807), bit=st.integers(0, 7))
def test_no_bit_of_a_sigstruct_can_be_changed(position: int, bit: int, key: SigningKey) -> None:
    data = bytearray(sign(unsigned(layout(), OPTIONS), key).to_bytes())
    data[position] ^= 1 << bit
    with pytest.raises(SgxFormatError):
        SigStruct.from_bytes(bytes(data)).verify()


SIGNER = """
import datetime, json, logging, os, sys
logging.basicConfig(level=logging.DEBUG, filename="log.txt")
events = []
def hook(event, arguments):
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        events.append(["open", os.fspath(arguments[0]) if not isinstance(arguments[0], int) else arguments[0]])
    elif event.startswith(("os.putenv", "subprocess.", "os.exec", "os.posix_spawn", "os.fork", "socket.", "tempfile.",
                           "os.link", "os.symlink", "os.rename", "shutil.")):
        events.append([event, repr(arguments)])
sys.path.insert(0, sys.argv[1])
from tests.enclave import images
from casemate._core import EnclaveLayout
from casemate.enclave.keys import load_signing_key, read_passphrase
from casemate.enclave.signing import SigningOptions, sign, unsigned
from pathlib import Path
sys.addaudithook(hook)
key = load_signing_key(Path(sys.argv[2]), read_passphrase(Path(sys.argv[3])))
logging.debug("signing with %r %s", key, key)
layout = EnclaveLayout(images.enclave(), images.measured(), enclave_size=1 << 28, max_threads=2, edmm=True, exinfo=True)
signed = sign(unsigned(layout, SigningOptions(datetime.date(2026, 11, 24))), key)
Path("out.sig").write_bytes(signed.to_bytes())
print(json.dumps({"events": events, "environment": dict(os.environ)}))
"""


def secrets_of(private: rsa.RSAPrivateKey, pem: bytes, passphrase: bytes) -> list[bytes]:
    """Every private number in every usual notation, in pieces short enough to find cut-off copies."""
    numbers = private.private_numbers()
    found = [passphrase, passphrase.hex().encode(), base64.b64encode(passphrase).rstrip(b"=")]
    for value in (numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp):
        raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
        for start in range(0, len(raw) - 31, 32):
            piece = raw[start : start + 32]
            found += [piece, piece[::-1], piece.hex().encode(), piece.hex().upper().encode()]
        found.append(str(value).encode()[:60])
    found += [line for line in pem.splitlines() if len(line) == 64]
    return found


def test_nothing_written_while_signing_holds_anything_of_the_key(tmp_path: Path) -> None:
    passphrase = b"correct horse battery staple"
    keys, work = tmp_path / "keys", tmp_path / "work"
    keys.mkdir()
    work.mkdir()
    new_key(keys / "key.pem", passphrase)
    (keys / "passphrase").write_bytes(passphrase + b"\n")
    encrypted = (keys / "key.pem").read_bytes()
    private = serialization.load_pem_private_key(encrypted, passphrase)
    assert isinstance(private, rsa.RSAPrivateKey)
    root = Path(__file__).parents[2]
    environment = {**os.environ, "TMPDIR": str(work), "HOME": str(work), "XDG_CACHE_HOME": str(work)}
    result = subprocess.run(
        [sys.executable, "-B", "-c", SIGNER, str(root), str(keys / "key.pem"), str(keys / "passphrase")],
        cwd=work,
        env=environment,
        capture_output=True,
        check=True,
    )
    report = json.loads(result.stdout)
    assert report["events"] == [["open", "out.sig"]]
    written = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}
    assert {path.name for path in written} == {"out.sig", "log.txt"}
    assert b"signing with" in written[work / "log.txt"]
    everything = b"\n".join([*written.values(), result.stdout, result.stderr])
    secrets = secrets_of(private, encrypted, passphrase)
    assert len(secrets) > 200
    for secret in secrets:
        assert secret not in everything
    # The search finds what it looks for.
    assert any(secret in everything + str(private.private_numbers().d).encode() for secret in secrets)
