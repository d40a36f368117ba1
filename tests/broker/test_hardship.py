"""Clients that mean harm, crowds, and a broker that is killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from casemate.attestation.ratls import ClientContext, new_identity
from casemate.broker import wire
from casemate.broker.client import BrokerClient
from casemate.broker.errors import BrokerError
from casemate.broker.journal import verify_chain
from casemate.broker.serve import Address
from casemate.broker.wire import Limits
from tests.attestation.simple_quotes import quote_of
from tests.broker.enclaves import ENCLAVE, OTHER, POLICY, Running, serving, values

SECRET = b"correct horse battery staple"


def until_closed(connection: socket.socket, trickle: bytes = b"") -> None:
    """Sends byte after byte, if any, until the other side has ended the connection."""
    connection.settimeout(0.05)
    for number in range(10_000):
        try:
            if connection.recv(100) == b"":
                return
        except TimeoutError:
            pass
        except OSError:
            return
        try:
            if trickle:
                connection.sendall(trickle[number % len(trickle) :][:1])
        except OSError:
            return
    pytest.fail("the broker did not end the connection")


def plain(address: Address) -> socket.socket:
    return socket.create_connection((address.host, address.port), timeout=20)


def test_clients_that_stall_or_trickle_are_let_go(tmp_path: Path) -> None:
    limits = Limits(handshake_s=0.5, idle_s=0.5)
    with serving(tmp_path / "b", limits=limits) as broker:
        for name in ("enclaves", "admin", "gramine"):
            with plain(broker.addresses[name]) as silent:
                until_closed(silent)
            with plain(broker.addresses[name]) as slow:
                until_closed(slow, b"\x16\x03\x01\x40\x00" + b"\1" * 5000)
        context = ClientContext(pin=broker.home.pin, identity=new_identity(quote_of(ENCLAVE)))
        for name, head in (
            ("enclaves", b"POST /v1/secrets HTTP/1.1\r\nHost: x\r\nX: "),
            ("enclaves", b"POST /v1/secrets HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"),
            ("admin", b"GET /v1/log HTTP/1.1\r\nX: "),
            ("gramine", b""),
        ):
            with context.wrap_socket(plain(broker.addresses[name])) as loris:
                loris.sendall(head)
                until_closed(loris, b"SECRET_PROVISION" if name == "gramine" else b"a")


def test_what_passed_fast_does_not_pay_for_hours_of_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At one byte a second, what either client sends or gets would be worth more time than this test waits."""
    monkeypatch.setattr(wire, "_MAX_SAVED_S", 0.5)
    with serving(tmp_path / "b", limits=Limits(idle_s=0.5, bytes_per_s=1)) as broker:
        context = ClientContext(pin=broker.home.pin, identity=new_identity(quote_of(ENCLAVE)))
        address = broker.addresses["enclaves"]
        with context.wrap_socket(plain(address)) as sender:
            with contextlib.suppress(OSError):
                sender.sendall(b"POST /v1/secrets HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + bytes(50_000))
            until_closed(sender)
        with context.wrap_socket(plain(address)) as reader, contextlib.suppress(OSError):
            reader.sendall(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
            answers = b""
            while answers.count(b"HTTP/1.1 404") < 20 and (more := reader.recv(65536)):
                answers += more
            reader.sendall(b"GET /")
            until_closed(reader)


def test_no_more_connections_are_held_than_the_limit(tmp_path: Path) -> None:
    with serving(tmp_path / "b", limits=Limits(connections=2)) as broker:
        held = [plain(broker.addresses["enclaves"]) for _ in range(2)]
        with plain(broker.addresses["enclaves"]) as third:
            until_closed(third)
        for each in held:
            each.close()
        broker.owner.put_policy("mine", POLICY)
        assert broker.ask(required=["x"]).status_code == 403


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(70_000), bytes(100)])
def test_what_is_not_tls_ends_the_connection(broker: Running, noise: bytes) -> None:
    for address in broker.addresses.values():
        with plain(address) as client:
            client.sendall(noise)
            until_closed(client)


def test_a_thousand_clients_at_once_are_all_served(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip("fewer than 4096 open files are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    body = json.dumps({"required": ["db"]}).encode()
    request = (
        b"POST /v1/secrets HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    identities = [new_identity(quote_of(ENCLAVE)) for _ in range(10)]

    async def ask(address: Address, context: ssl.SSLContext) -> bytes:
        reader, writer = await asyncio.open_connection(
            address.host, address.port, ssl=context, ssl_handshake_timeout=200
        )
        writer.write(request)
        answer = await reader.read()
        writer.transport.abort()
        return answer

    async def crowd(broker: Running) -> list[bytes]:
        contexts = [ClientContext(pin=broker.home.pin, identity=identity) for identity in identities]
        return await asyncio.gather(*(ask(broker.addresses["enclaves"], contexts[n % 10]) for n in range(1000)))

    try:
        with serving(tmp_path / "b", limits=Limits(handshake_s=200, idle_s=200)) as broker:
            broker.owner.put_policy("mine", POLICY)
            broker.owner.put_secret("db", "env", "mine", SECRET)
            answers = asyncio.run(crowd(broker))
            assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
            last = verify_chain(broker.owner.log())
            assert last is not None
            assert last.number == 1002
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_log_and_no_answer_to_others_holds_a_secret(broker: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    broker.owner.put_policy("mine", POLICY)
    broker.owner.put_secret("db", "env", "mine", SECRET)
    broker.owner.rotate_secret("db", SECRET + b"2")
    with pytest.raises(BrokerError) as refused:
        broker.owner.put_secret("key", "key", "mine", SECRET)
    assert values(broker.ask(required=["db"])) == {"db": SECRET + b"2"}
    told = [broker.ask(OTHER, required=["db"]).text, str(refused.value), broker.owner.metrics(), caplog.text]
    told += [entry.record for entry in broker.owner.log()]
    text = "\n".join(told)
    for form in (SECRET.decode(), SECRET.hex(), "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZ"):
        assert form not in text
    assert broker.home.token not in text


def test_a_killed_broker_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    """Killed at another moment each time, while a client writes as fast as it can."""
    directory, acknowledged = tmp_path / "b", {}
    for round_ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.broker.process", directory], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline()
        with BrokerClient.at(directory) as owner:
            if not acknowledged:
                owner.put_policy("mine", POLICY)
            assert {each["name"] for each in owner.secrets()} >= acknowledged.keys()
            killer = threading.Timer(0.15 + 0.1 * round_, process.send_signal, [signal.SIGKILL])
            killer.start()
            try:
                for number in range(10_000):
                    name = f"s-{round_}-{number}"
                    owner.put_secret(name, "file", "mine", name.encode())
                    acknowledged[name] = name.encode()
            except BrokerError:
                pass
            killer.join()
        process.wait()
        process.stdout.close()
    assert acknowledged
    with serving(directory) as broker:
        assert verify_chain(broker.owner.log()) is not None
        names = sorted(acknowledged)
        for start in range(0, len(names), 64):
            some = names[start : start + 64]
            assert values(broker.ask(required=some)) == {name: acknowledged[name] for name in some}


def test_requests_in_flight_are_answered_at_the_end(tmp_path: Path) -> None:
    started = threading.Event()

    def slow_judge(quote: bytes) -> object:
        from tests.broker.enclaves import simple_judge

        started.set()
        time.sleep(0.5)
        return simple_judge(quote)

    answers: list[int] = []
    with serving(tmp_path / "b", judge=slow_judge) as broker:  # type: ignore[arg-type]
        broker.owner.put_policy("mine", POLICY)
        broker.owner.put_secret("db", "env", "mine", SECRET)
        asking = threading.Thread(target=lambda: answers.append(broker.ask(required=["db"]).status_code))
        asking.start()
        assert started.wait(20)
    asking.join()
    assert answers == [200]
