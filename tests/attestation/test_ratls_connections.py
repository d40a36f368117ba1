"""RA-TLS connections: who gets through, and who does not."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL, crypto

from casemate.attestation.ratls import (
    ClientContext,
    Identity,
    PeerRefusedSSLError,
    ServerContext,
    httpx_transport,
    key_fingerprint,
    new_identity,
)
from casemate.attestation.ratls.certificate import EVIDENCE, sign_identity
from casemate.attestation.ratls.client import peer_of
from tests.attestation.simple_quotes import judge, quote_of
from tests.attestation.test_ratls_certificate import VERSION, rewritten

CLIENT, SERVER, OTHER = b"\1" * 32, b"\2" * 32, b"\3" * 32
HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


class Server:
    """Answers one request a connection; what it read and why it refused are kept."""

    def __init__(self, context: ServerContext) -> None:
        self.context, self.read, self.refused = context, [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()

    def run(self) -> None:
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            accepted.settimeout(2)
            try:
                with self.context.wrap_socket(accepted) as connection:
                    self.read.append((connection.recv(65536), connection.ratls_peer.proven.mrenclave))
                    connection.sendall(HTTP)
            except PeerRefusedSSLError as error:
                self.refused.append(str(error))
            except SSL.Error:
                pass


@contextmanager
def serving(identity: Identity, accept: Callable[[bytes], object]) -> Iterator[Server]:
    server = Server(ServerContext(identity=identity, verify=accept))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        thread.join()


def exchange(context: ssl.SSLContext, address: tuple[str, int], timeout_s: float = 5) -> bytes:
    with socket.create_connection(address, timeout=timeout_s) as plain, context.wrap_socket(plain) as secured:
        secured.sendall(b"GET / HTTP/1.1\r\n\r\n")
        return secured.recv(65536)


def nothing_from(context: ssl.SSLContext, address: tuple[str, int]) -> bool:
    """TLS 1.3 tells a client at its first read that it is refused; the end may come as an alert, a reset or a close."""
    try:
        return exchange(context, address) == b""
    except OSError:
        return True


def test_both_sides_prove_themselves() -> None:
    with serving(new_identity(quote_of(SERVER)), judge(CLIENT)) as server:
        context = ClientContext(verify=judge(SERVER), identity=new_identity(quote_of(CLIENT)))
        with socket.create_connection(server.address, timeout=5) as plain, context.wrap_socket(plain) as secured:
            peer = peer_of(secured)
            assert peer is not None
            assert peer.proven.mrenclave == SERVER
            secured.sendall(b"hi")
            assert secured.recv(65536) == HTTP
    assert server.read == [(b"hi", CLIENT)]


def test_httpx_speaks_it() -> None:
    with serving(new_identity(quote_of(SERVER)), judge(CLIENT)) as server:
        context = ClientContext(verify=judge(SERVER), identity=new_identity(quote_of(CLIENT)))
        with httpx.Client(transport=httpx_transport(context)) as client:
            assert client.get(f"https://127.0.0.1:{server.address[1]}/").text == "hello"


def test_asyncio_speaks_it() -> None:
    async def ask(port: int, context: ssl.SSLContext) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(b"hi")
        answer = await reader.read(65536)
        writer.close()
        return answer

    with serving(new_identity(quote_of(SERVER)), judge(CLIENT)) as server:
        context = ClientContext(verify=judge(SERVER), identity=new_identity(quote_of(CLIENT)))
        assert asyncio.run(ask(server.address[1], context)) == HTTP
        wrong = ClientContext(verify=judge(OTHER), identity=new_identity(quote_of(CLIENT)))
        with pytest.raises(ssl.SSLError, match="found 0202"):
            asyncio.run(ask(server.address[1], wrong))


def test_a_client_of_another_enclave_is_refused_before_anything_is_read() -> None:
    with serving(new_identity(quote_of(SERVER)), judge(CLIENT)) as server:
        context = ClientContext(verify=judge(SERVER), identity=new_identity(quote_of(OTHER)))
        assert nothing_from(context, server.address)
    assert server.read == []
    assert "found 0303" in server.refused[0]


OPERATIONS: list[Callable[[ssl.SSLSocket], object]] = [
    lambda secured: secured.send(b"secret"),
    lambda secured: secured.sendall(b"secret"),
    lambda secured: secured.write(b"secret"),
    lambda secured: secured.makefile("wb", buffering=0).write(b"secret"),
    lambda secured: secured.recv(1),
    lambda secured: secured.recv_into(bytearray(1)),
    lambda secured: secured.read(1),
    peer_of,
]


@pytest.mark.parametrize("number", range(len(OPERATIONS)))
def test_without_a_judged_handshake_nothing_passes(number: int) -> None:
    """OpenSSL would make the handshake by itself, and nobody would look at the peer."""
    with serving(new_identity(quote_of(OTHER)), judge(CLIENT)) as server:
        context = ClientContext(verify=judge(SERVER), identity=new_identity(quote_of(CLIENT)))
        with (
            socket.create_connection(server.address, timeout=5) as plain,
            context.wrap_socket(plain, do_handshake_on_connect=False) as secured,
        ):
            with pytest.raises(PeerRefusedSSLError, match="call do_handshake"):
                OPERATIONS[number](secured)
            with pytest.raises(PeerRefusedSSLError, match="found 0303"):
                secured.do_handshake()
            with pytest.raises(PeerRefusedSSLError, match="call do_handshake"):
                OPERATIONS[number](secured)
    assert all(read == b"" for read, _ in server.read)


def test_a_handshake_that_is_made_later_is_judged_then() -> None:
    with serving(new_identity(quote_of(SERVER)), judge(CLIENT)) as server:
        context = ClientContext(verify=judge(SERVER), identity=new_identity(quote_of(CLIENT)))
        with (
            socket.create_connection(server.address, timeout=5) as plain,
            context.wrap_socket(plain, do_handshake_on_connect=False) as secured,
        ):
            secured.do_handshake()
            secured.sendall(b"hi")
            assert secured.recv(65536) == HTTP
            # A later one that is refused takes the earlier judgement away.
            context._verify = judge(OTHER)
            with pytest.raises(PeerRefusedSSLError):
                secured.do_handshake()
            with pytest.raises(PeerRefusedSSLError, match="call do_handshake"):
                secured.sendall(b"more")


def test_tls_over_memory_passes_nothing_before_its_handshake_is_judged() -> None:
    context = ClientContext(verify=judge(SERVER), identity=new_identity(quote_of(CLIENT)))
    secured = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
    for operation in (lambda: secured.write(b"secret"), lambda: secured.read(1), lambda: peer_of(secured)):
        with pytest.raises(PeerRefusedSSLError, match="call do_handshake"):
            operation()


def test_a_server_of_another_enclave_gets_nothing() -> None:
    with serving(new_identity(quote_of(OTHER)), judge(CLIENT)) as server:
        context = ClientContext(verify=judge(SERVER), identity=new_identity(quote_of(CLIENT)))
        with pytest.raises(PeerRefusedSSLError, match="found 0303"):
            exchange(context, server.address)
    assert all(read == b"" for read, _ in server.read)


def test_a_pinned_server_is_known_by_its_key() -> None:
    identity = sign_identity(ec.generate_private_key(ec.SECP256R1()), [])
    with serving(identity, judge(CLIENT)) as server:
        mine = new_identity(quote_of(CLIENT))
        pin = key_fingerprint(identity.certificate)
        assert exchange(ClientContext(pin=pin, identity=mine), server.address) == HTTP
        with pytest.raises(PeerRefusedSSLError, match="not the pinned one"):
            exchange(ClientContext(pin=b"\0" * 32, identity=mine), server.address)
    assert [read for read, _ in server.read if read] == [b"GET / HTTP/1.1\r\n\r\n"]


def test_a_man_in_the_middle_is_refused_by_both() -> None:
    """He ends the TLS of both sides, and can show each only a certificate of his own with the other's evidence."""
    server_identity, client_identity = new_identity(quote_of(SERVER)), new_identity(quote_of(CLIENT))

    def forged(identity: Identity) -> Identity:
        evidence = x509.load_der_x509_certificate(identity.certificate).extensions.get_extension_for_oid(EVIDENCE)
        return sign_identity(ec.generate_private_key(ec.SECP256R1()), [evidence.value])

    with serving(server_identity, judge(CLIENT)) as server:
        assert nothing_from(ClientContext(verify=judge(SERVER), identity=forged(client_identity)), server.address)
        assert server.read == []
        assert "for another key than its certificate's" in server.refused[0]
    with serving(forged(server_identity), judge(CLIENT)) as middle:  # noqa: SIM117 - a client of a server
        with pytest.raises(PeerRefusedSSLError, match="for another key than its certificate's"):
            exchange(ClientContext(verify=judge(SERVER), identity=client_identity), middle.address)


def test_a_replayed_certificate_is_refused() -> None:
    """Its evidence is right and for its key; the one who presents it does not have that key."""
    victim = new_identity(quote_of(CLIENT))
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.use_certificate(x509.load_der_x509_certificate(victim.certificate))
    with pytest.warns(DeprecationWarning, match="PKey"):
        context.use_privatekey(_key_that_claims_to_be(victim.key.public_key()))
    with serving(new_identity(quote_of(SERVER)), judge(CLIENT)) as server:  # noqa: SIM117 - a client of a server
        with socket.create_connection(server.address) as plain:
            connection = SSL.Connection(context, plain)
            connection.set_connect_state()
            with pytest.raises(SSL.Error):  # noqa: PT012 - TLS 1.3 tells the client at its first read
                connection.do_handshake()
                connection.sendall(b"give it to me")
                connection.recv(100)
    assert server.read == []
    assert "signature" in server.refused[0]


def _key_that_claims_to_be(public: ec.EllipticCurvePublicKey) -> crypto.PKey:
    """An EC private key (RFC 5915) of another's public part, which OpenSSL takes at its word."""
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    scalar = (7).to_bytes(32, "big")
    curve = bytes.fromhex("06082a8648ce3d030107")
    bits = b"\0" + point
    body = (
        b"\x02\x01\x01\x04\x20" + scalar + b"\xa0" + bytes([len(curve)]) + curve
        + b"\xa1" + bytes([len(bits) + 2]) + b"\x03" + bytes([len(bits)]) + bits
    )  # fmt: skip
    return crypto.load_privatekey(crypto.FILETYPE_ASN1, b"\x30" + bytes([len(body)]) + body)


def test_a_client_without_a_certificate_is_refused() -> None:
    with serving(new_identity(quote_of(SERVER)), judge(CLIENT)) as server:
        assert nothing_from(ClientContext(verify=judge(SERVER)), server.address)
    assert server.read == []
    assert server.refused


def test_a_client_whose_certificate_openssl_takes_and_nobody_else_is_refused(tmp_path: Path) -> None:
    mine = new_identity(quote_of(CLIENT))
    odd = ssl.DER_cert_to_PEM_cert(rewritten(mine, VERSION))
    (tmp_path / "identity.pem").write_bytes(mine.key_pem() + odd.encode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(tmp_path / "identity.pem")
    with serving(new_identity(quote_of(SERVER)), judge(CLIENT)) as server:
        assert nothing_from(context, server.address)
    assert server.read == []
    assert "certificate is malformed" in server.refused[0]


def test_a_client_that_says_nothing_is_let_go() -> None:
    with serving(new_identity(quote_of(SERVER)), judge(CLIENT)) as server:  # noqa: SIM117 - a client of a server
        with socket.create_connection(server.address, timeout=20) as silent:
            assert silent.recv(1) == b""
    assert "did not answer" in server.refused[0]


def test_a_context_knows_its_server_in_exactly_one_way() -> None:
    for settings in ({}, {"verify": judge(SERVER), "pin": b"\0" * 32}):
        with pytest.raises(ValueError, match="either by its evidence or by its key"):
            ClientContext(**settings)
