"""`/dev/attestation/quote` with a quoting service that the test plays, honestly and not (AESM's protocol, linux-sgx's ``messages.proto``).

That a real quote verifies is shown by ``tests/broker/test_end_to_end.py``.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.attestation.machine import bytes_field, fields, varint_field
from tests.run.test_softsgx import Signed, make_signed

INIT_QUOTE, QUOTE_SIZE, GET_QUOTE = 15, 16, 17
READ = "echo -n mine > /dev/attestation/user_report_data; exec cat /dev/attestation/quote"
EIO, ENOENT, EREMOTEIO = map(os.strerror, (errno.EIO, errno.ENOENT, errno.EREMOTEIO))


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return make_signed(tmp_path_factory.mktemp("quote"))


def quote_over(body: bytes) -> bytes:
    """A quote of version 3 as far as its shape goes; nobody signed it."""
    signature = bytes(576) + struct.pack("<HHI", 0, 5, 4) + b"PEM\n"
    return struct.pack("<HHIHH", 3, 2, 0, 0, 0) + bytes(36) + body + struct.pack("<I", len(signature)) + signature


def answered(number: int, message: bytes) -> bytes:
    return bytes_field(number, message)


@dataclass
class Service:
    """Answers each kind of request with what `lies` makes of it, or honestly."""

    path: Path
    lies: dict[int, Callable[[bytes], bytes]] = field(default_factory=dict)
    reports: list[bytes] = field(default_factory=list)
    # The length in front of a response, made from the honest one.
    length: Callable[[int], int] = lambda length: length
    piece: int = 1 << 20

    def answer(self, request: bytes) -> bytes:
        ((number, value),) = fields(request).items()
        asked = fields(bytes(value))  # type: ignore[arg-type]
        if number == INIT_QUOTE:
            honest = varint_field(1, 0) + bytes_field(2, bytes(range(256)) * 2) + varint_field(3, 32)
        elif number == QUOTE_SIZE:
            honest = varint_field(1, 0) + varint_field(2, 8192)
        else:
            report = bytes(asked[1])  # type: ignore[arg-type]
            self.reports.append(report)
            honest = varint_field(1, 0) + bytes_field(2, quote_over(report[:384]))
        lie = self.lies.get(number)
        return answered(number, honest) if lie is None else lie(honest)

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                (length,) = struct.unpack("<I", connection.recv(4, socket.MSG_WAITALL))
                response = self.answer(connection.recv(length, socket.MSG_WAITALL))
                data = struct.pack("<I", self.length(len(response))) + response
                for at in range(0, len(data), self.piece):
                    connection.sendall(data[at : at + self.piece])

    @contextmanager
    def listening(self) -> Iterator[None]:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            listener.listen()
            thread = threading.Thread(target=self.serve, args=(listener,))
            thread.start()
            try:
                yield
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()
                self.path.unlink()


def read_quote(signed: Signed, service: Path) -> subprocess.CompletedProcess[bytes]:
    command = [str(signed.bundle / "casemate-host"), "--bundle", str(signed.bundle), "--root", str(signed.root)]
    command += ["--platform", "softsgx", "--fuses", str(signed.bundle.parent / "fuses"), "--aesm", str(service)]
    return subprocess.run(
        [*command, "--", "sh", "-c", READ], input=b"", capture_output=True, check=False, timeout=120, env={}
    )


def test_the_report_in_the_quote_is_this_enclaves_with_the_programs_data(signed: Signed, tmp_path: Path) -> None:
    service = Service(tmp_path / "aesm", piece=100)
    with service.listening():
        done = read_quote(signed, service.path)
    (report,) = service.reports
    assert done.stdout == quote_over(report[:384]), done.stderr
    assert report[64:96] == signed.mrenclave["edmm"]
    assert report[320:384] == b"mine".ljust(64, b"\0")
    assert len(report) == 432


def other_body(honest: bytes) -> bytes:
    quote = bytearray(bytes(fields(honest)[2]))  # type: ignore[arg-type]
    quote[48 + 64] ^= 1
    return answered(GET_QUOTE, varint_field(1, 0) + bytes_field(2, bytes(quote)))


LIES: dict[str, tuple[int, Callable[[bytes], bytes], str, str]] = {
    "the quote of another enclave": (GET_QUOTE, other_body, EIO, ""),
    "half a quote": (
        GET_QUOTE,
        lambda honest: answered(GET_QUOTE, varint_field(1, 0) + bytes_field(2, bytes(fields(honest)[2])[:500])),  # type: ignore[arg-type]
        EIO,
        "",
    ),
    "no quote": (GET_QUOTE, lambda _: answered(GET_QUOTE, varint_field(1, 0)), EIO, "answered with something else"),
    "a refusal": (GET_QUOTE, lambda _: answered(GET_QUOTE, varint_field(1, 24)), EREMOTEIO, "refused with error 24"),
    "not supported": (INIT_QUOTE, lambda _: answered(20, varint_field(1, 3)), EREMOTEIO, "refused with error 3"),
    "a target of half the size": (
        INIT_QUOTE,
        lambda _: answered(INIT_QUOTE, varint_field(1, 0) + bytes_field(2, bytes(256)) + varint_field(3, 32)),
        EIO,
        "answered with something else",
    ),
    "a huge quote": (
        QUOTE_SIZE,
        lambda _: answered(QUOTE_SIZE, varint_field(1, 0) + varint_field(2, 1 << 31)),
        EIO,
        "",
    ),
    "nonsense": (INIT_QUOTE, lambda _: b"\xff" * 40, EIO, "answered with something else"),
    "nothing": (INIT_QUOTE, lambda _: b"", EIO, "answered with something else"),
}


@pytest.mark.parametrize("name", LIES)
def test_what_is_no_quote_over_this_enclave_is_an_error(signed: Signed, tmp_path: Path, name: str) -> None:
    number, lie, error, sentence = LIES[name]
    with (service := Service(tmp_path / "aesm", {number: lie})).listening():
        done = read_quote(signed, service.path)
    assert (done.returncode, done.stdout) == (1, b""), done.stderr
    assert f"cat: read error: {error}" in done.stderr.decode()
    assert sentence in done.stderr.decode()
    assert (b"no quote: " in done.stderr) == bool(sentence or name == "a huge quote")


@pytest.mark.parametrize("length", [0xFFFF_FFFF, 200_000])
def test_a_response_that_is_longer_than_any_is_not_read(signed: Signed, tmp_path: Path, length: int) -> None:
    with (service := Service(tmp_path / "aesm", length=lambda _: length)).listening():
        done = read_quote(signed, service.path)
    assert f"cat: read error: {EIO}" in done.stderr.decode()


def test_a_response_that_ends_early_is_an_error(signed: Signed, tmp_path: Path) -> None:
    with (service := Service(tmp_path / "aesm", length=lambda length: length + 1)).listening():
        done = read_quote(signed, service.path)
    assert f"cat: read error: {EIO}" in done.stderr.decode()


def test_without_a_service_it_is_said_where_it_was_looked_for(signed: Signed, tmp_path: Path) -> None:
    done = read_quote(signed, tmp_path / "nobody")
    assert f"cat: read error: {ENOENT}" in done.stderr.decode()
    assert f"no quote: {tmp_path / 'nobody'}: the quoting service cannot be reached" in done.stderr.decode()
    assert b"--aesm" in done.stderr
