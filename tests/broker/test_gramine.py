"""Gramine's secret-provisioning protocol, spoken by a client written from ``docs/formats/secret-prov.md``."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from casemate.attestation.ratls import Identity
from casemate.attestation.ratls.certificate import EVIDENCE, LEGACY, public_key_info, sign_identity
from casemate.broker.provisioning import REQUEST
from tests.attestation.simple_quotes import quote_of
from tests.broker.enclaves import ENCLAVE, OTHER, POLICY, Running, policy_of

SECRET = b"ffeeddccbbaa99887766554433221100\0"


def gramine_identity(mrenclave: bytes, oid: x509.ObjectIdentifier = LEGACY) -> Identity:
    """As its RA-TLS library makes it: P-384, the quote over the hash of the key."""
    key = ec.generate_private_key(ec.SECP384R1())
    digest = hashlib.sha256(public_key_info(key.public_key())).digest()
    quote = quote_of(mrenclave)(digest + bytes(32))
    return sign_identity(key, [x509.UnrecognizedExtension(oid, quote)])


@contextmanager
def connected(broker: Running, identity: Identity, version: ssl.TLSVersion) -> Iterator[ssl.SSLSocket]:
    """The client trusts the broker's certificate (SECRET_PROVISION_CA_CHAIN_PATH) and checks its name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(broker.home.certificate_path)
    context.minimum_version = context.maximum_version = version
    with open(os.memfd_create("identity"), "wb") as file:
        file.write(identity.key_pem() + identity.certificate_pem())
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    address = broker.addresses["gramine"]
    with (
        socket.create_connection((address.host, address.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        yield secured


def received(connection: ssl.SSLSocket) -> bytes:
    data = b""
    try:
        while piece := connection.recv(4096):
            data += piece
    except OSError:
        pass
    return data


def provision(broker: Running, mrenclave: bytes, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> bytes | None:
    """The secret, or None when the broker hangs up."""
    with connected(broker, gramine_identity(mrenclave), version) as connection:
        connection.sendall(b"SECRET_PROVISION_RA_TLS_REQUEST_V1\0")
        answer = received(connection)
    if not answer:
        return None
    head = b"SECRET_PROVISION_RA_TLS_RESPONSE_V1:\0"
    assert answer.startswith(head)
    (size,) = struct.unpack_from("!I", answer, len(head))
    secret = answer[len(head) + 4 :]
    assert len(secret) == size
    return secret


@pytest.fixture(autouse=True)
def secrets(broker: Running) -> None:
    broker.owner.put_policy("mine", POLICY)
    broker.owner.put_secret("key", "file", "mine", SECRET, gramine=True)
    broker.owner.put_secret("other", "file", "mine", b"not for Gramine")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_gramine_client_gets_its_secret(broker: Running, version: ssl.TLSVersion) -> None:
    assert provision(broker, ENCLAVE, version) == SECRET
    assert json.loads(broker.owner.log()[-1].record)["secrets"] == {"key": 1}


def test_another_enclave_gets_nothing_and_the_log_says_why(broker: Running) -> None:
    assert provision(broker, OTHER) is None
    record = json.loads(broker.owner.log()[-1].record)
    assert record["outcome"] == "refused"
    assert record["failures"][0]["claim"] == "mrenclave"


def test_the_policy_chooses_among_secrets_and_must_choose_one(broker: Running) -> None:
    broker.owner.put_policy("theirs", policy_of(OTHER))
    broker.owner.put_secret("their-key", "file", "theirs", b"theirs", gramine=True)
    assert provision(broker, ENCLAVE) == SECRET
    assert provision(broker, OTHER) == b"theirs"
    broker.owner.put_policy("theirs", policy_of(ENCLAVE, OTHER))
    assert provision(broker, ENCLAVE) is None
    assert "more than one" in json.loads(broker.owner.log()[-1].record)["why"]


def test_a_request_may_come_in_pieces(broker: Running) -> None:
    with connected(broker, gramine_identity(ENCLAVE), ssl.TLSVersion.TLSv1_2) as connection:
        for byte in REQUEST:
            connection.sendall(bytes([byte]))
        assert received(connection).endswith(SECRET)


@pytest.mark.parametrize(
    "request_", [b"SECRET_PROVISION_RA_TLS_REQUEST_V2\0", REQUEST + b"x", b"GET / HTTP/1.1\r\n\r\n"]
)
def test_anything_else_ends_the_connection(broker: Running, request_: bytes) -> None:
    with connected(broker, gramine_identity(ENCLAVE), ssl.TLSVersion.TLSv1_2) as connection:
        connection.sendall(request_)
        assert SECRET not in received(connection)


def test_a_quote_alone_is_no_evidence_in_the_newer_extension(broker: Running) -> None:
    with connected(broker, gramine_identity(ENCLAVE, EVIDENCE), ssl.TLSVersion.TLSv1_2) as connection:
        connection.sendall(REQUEST)
        assert received(connection) == b""
