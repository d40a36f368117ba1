"""The simulated platform whole: registered, served over AESM's protocol, its quotes verified.

Its two architectural enclaves run on the software SGX device; the attested enclave is played by `machine.report`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from casemate.attestation import QuoteRefusedError, read_quote, roots, verify
from casemate.attestation.simulated.enclaves import layout
from casemate.attestation.simulated.platform import Platform, PlatformError
from casemate.attestation.simulated.vendor import Vendor
from casemate.loader.files import runtime_file
from tests.attestation.machine import AesmClient, fields, report
from tests.attestation.paper import report_body

BODY = report_body(mrenclave=b"\7" * 32, mrsigner=b"\10" * 32, prod_id=3, svn=4, report_data=b"hello")


@dataclass
class Running:
    vendor: Vendor
    platform: Platform
    client: AesmClient

    def report(self, body: bytes = BODY) -> bytes:
        return report(self.platform.fuses, self.client.target_info(), body)

    def judge(self, quote: bytes) -> None:
        at = datetime.now(UTC)
        verify(quote, self.vendor.collateral(at), at, roots.simulated(self.vendor.path / "root.pem"))


@pytest.fixture
def running(live_vendor: tuple[Vendor, str], tmp_path: Path) -> Iterator[Running]:
    vendor, url = live_vendor
    platform = Platform(tmp_path / "platform", tmp_path / "fuses")
    platform.register(url)
    socket = tmp_path / "aesm.socket"
    with Served(platform, socket):
        yield Running(vendor, platform, AesmClient(socket))


class Served:
    def __init__(self, platform: Platform, socket: Path) -> None:
        self.command = platform.command(socket)

    def __enter__(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdout is not None
        assert self.process.stdout.readline(), "the service did not start"

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def test_a_report_becomes_a_quote_that_verifies(running: Running) -> None:
    response = running.client.quote(running.report())
    assert response[1] == 0
    quote = bytes(response[2])  # type: ignore[arg-type]
    body = read_quote(quote)
    assert body.mrenclave == b"\7" * 32
    assert body.report_data[:5] == b"hello"
    assert body.certification_type == 5
    running.judge(quote)
    # The quoting enclave is the measured one, and not the provisioning certification enclave.
    image = runtime_file("quoting-enclave").read_bytes()
    assert body.qe_mrenclave == layout(image, "qe").measure() != layout(image, "pce").measure()
    assert body.qe_mrsigner == running.vendor.enclave_signer.mrsigner
    with pytest.raises(QuoteRefusedError):
        running.judge(quote[:200] + bytes([quote[200] ^ 1]) + quote[201:])


def test_the_attestation_key_is_sealed_and_outlives_the_service(running: Running, tmp_path: Path) -> None:
    def attestation_key(client: AesmClient) -> bytes:
        quote = bytes(client.quote(running.report())[2])  # type: ignore[arg-type]
        return quote[436 + 64 : 436 + 128]

    first = attestation_key(running.client)
    stored = (running.platform.state / "attestation_key").read_bytes()
    other = tmp_path / "other.socket"
    with Served(running.platform, other):
        assert attestation_key(AesmClient(other)) == first
    # Moved to another machine, or changed, it opens no more.
    for change in (stored[:-1] + bytes([stored[-1] ^ 1]), stored[:-60] + bytes(60), stored[:100]):
        (running.platform.state / "attestation_key").write_bytes(change)
        assert running.client.quote(running.report())[1] != 0 or attestation_key(running.client) != first


def test_a_report_that_was_not_made_here_for_the_quoting_enclave_is_refused(running: Running, tmp_path: Path) -> None:
    good = running.report()
    for place in (0, 100, 383, 400, 431):
        changed = bytearray(good)
        changed[place] ^= 1
        assert running.client.quote(bytes(changed))[1] != 0
    other = tmp_path / "other-fuses"
    other.write_bytes(os.urandom(112))
    assert running.client.quote(report(other, running.client.target_info(), BODY))[1] != 0
    for size in (0, 431, 433):
        assert running.client.quote(good.ljust(size, b"\0")[:size])[1] != 0


def test_a_report_about_the_quote_is_made_when_asked(running: Running) -> None:
    # For the quoting enclave itself as the target: whoever has its report key could check it.
    nonce, target = bytes(range(16)), running.client.target_info()
    response = running.client.quote(running.report(), nonce + target + bytes(432))
    quote, info = bytes(response[2]), bytes(response[3])  # type: ignore[arg-type]
    about = info[16 + 512 :]
    assert info[: 16 + 512] == nonce + target
    assert about[320:352] == hashlib.sha256(nonce + quote).digest()
    key_id, mac = about[384:416], about[416:]
    assert report(running.platform.fuses, target, about[:384], key_id)[416:] == mac
    assert running.client.quote(running.report(), bytes(5))[1] != 0


def test_a_quote_that_does_not_fit_is_not_cut_off(running: Running) -> None:
    assert running.client.quote(running.report(), room=100)[1] != 0


@pytest.mark.parametrize("request_", [b"", b"\x0a\x00", b"\xff" * 40, b"\x8a\x01\x02\x0a"])
def test_nonsense_gets_an_error_and_the_service_goes_on(running: Running, request_: bytes) -> None:
    answer = fields(running.client.exchange(request_))
    assert all(fields(bytes(value))[1] != 0 for value in answer.values())  # type: ignore[arg-type]
    assert running.client.quote(running.report())[1] == 0


def test_a_platform_keeps_its_name_and_key_when_it_registers_again(running: Running) -> None:
    chain = (running.platform.state / "pck_chain.pem").read_bytes()
    running.platform.register(running.vendor.state.url)
    assert (running.platform.state / "pck_chain.pem").read_bytes() == chain


def test_an_unregistered_platform_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="casemate platform register"):
        Platform(tmp_path / "p", tmp_path / "f").command(tmp_path / "s")
    with pytest.raises(PlatformError, match="casemate vendor serve"):
        Platform(tmp_path / "p", tmp_path / "f").register("http://127.0.0.1:1")
