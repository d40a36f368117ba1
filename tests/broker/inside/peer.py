"""What runs in an enclave (``tests/broker/test_mutual.py``): one side of a connection in which both prove themselves.

``ROLE`` (the host may choose it): ``serve`` answers one client, ``ask`` is one, ``gramine`` gets a secret as Gramine's client does.
Everything by which the other side is judged lies in the image, so it is measured.
"""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import struct
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from casemate.attestation import Collateral, VerifiedQuote, read_policy, roots, verify
from casemate.attestation.ratls import ClientContext, PeerRefusedSSLError, ServerContext, device_quote, new_identity
from casemate.attestation.ratls.certificate import LEGACY, public_key_info, sign_identity
from casemate.attestation.ratls.client import peer_of

PLACE = Path("/app")
PORT = int(os.environ["PORT"])


def judge(quote: bytes) -> VerifiedQuote:
    collateral = Collateral.from_json((PLACE / "collateral.json").read_bytes())
    root, policy = roots.simulated(PLACE / "root.pem"), read_policy(PLACE / "peers.toml")
    return verify(quote, collateral, datetime.now(UTC), root, policy)


def serve() -> None:
    context = ServerContext(identity=new_identity(device_quote), verify=judge)
    with socket.create_server(("127.0.0.1", PORT)) as listener:
        print("listening", flush=True)
        plain, _ = listener.accept()
        with context.wrap_socket(plain) as connection:
            print(f"{connection.recv(100).decode()} from {connection.ratls_peer.proven.mrenclave.hex()}")  # type: ignore[attr-defined]
            connection.sendall(b"welcome")
            connection.recv(1)


def ask() -> None:
    context = ClientContext(verify=judge, identity=new_identity(device_quote))
    with (
        socket.create_connection(("127.0.0.1", PORT)) as plain,
        context.wrap_socket(plain) as connection,
    ):
        connection.sendall(b"hello")
        peer = peer_of(connection)
        assert peer is not None
        print(f"{connection.recv(100).decode()} from {peer.proven.mrenclave.hex()}")  # type: ignore[attr-defined]


def gramine() -> None:
    """As Gramine's ``secret_prov`` and its RA-TLS library do it: P-384, the quote over the key's hash, the older extension."""
    key = ec.generate_private_key(ec.SECP384R1())
    quote = device_quote(hashlib.sha256(public_key_info(key.public_key())).digest() + bytes(32))
    identity = sign_identity(key, [x509.UnrecognizedExtension(LEGACY, quote)])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(PLACE / "broker.pem")
    with open(os.memfd_create("identity"), "wb") as file:
        file.write(identity.key_pem() + identity.certificate_pem())
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    with (
        socket.create_connection(("127.0.0.1", PORT)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
        connection.makefile("rb") as answer,
    ):
        connection.sendall(b"SECRET_PROVISION_RA_TLS_REQUEST_V1\0")
        head = answer.read(37)
        if head != b"SECRET_PROVISION_RA_TLS_RESPONSE_V1:\0":
            raise SystemExit("no secret")
        (size,) = struct.unpack("!I", answer.read(4))
        print(answer.read(size).rstrip(b"\0").decode())


try:
    {"serve": serve, "ask": ask, "gramine": gramine}[os.environ["ROLE"]]()
except PeerRefusedSSLError as error:
    raise SystemExit(f"refused: {error.reason_error}") from None
