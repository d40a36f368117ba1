"""The server's side. Clients present self-signed certificates, which the standard library refuses before anyone can
look at them; hence pyOpenSSL, which asks.

OpenSSL proves that the client owns its certificate's key. The evidence is judged when the handshake is over and
before the application reads a byte: judging a quote takes longer than a handshake, and whoever is refused is told
why.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from casemate.attestation.chains import MALFORMED
from casemate.attestation.ratls.certificate import MAX_CERTIFICATE_BYTES, Identity
from casemate.attestation.ratls.client import PeerRefusedSSLError
from casemate.attestation.ratls.errors import RaTlsError
from casemate.attestation.ratls.peer import Judge, Peer, Proven, judge_certificate
from casemate.errors import CasemateError

# Of X509_V_ERR_*: a self-signed certificate as the only one, and its issuer not known.
_SELF_SIGNED = (18, 19, 20, 21)
_SESSION = b"casemate RA-TLS"


def server_context(identity: Identity, *, tls12: bool = False) -> SSL.Context:
    """A pyOpenSSL context that asks for a client certificate and lets any self-signed one through the handshake.

    Whoever uses it judges the certificate (`peer_certificate`) before anything else. ``tls12``: for clients that do
    not speak TLS 1.3.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION if tls12 else SSL.TLS1_3_VERSION)
    context.use_privatekey(identity.key)
    context.use_certificate(x509.load_der_x509_certificate(identity.certificate))
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _admit)
    context.set_verify_depth(0)
    # No session outlives its connection: every one proves the key anew.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(_SESSION)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    return context


def _admit(_connection: object, _certificate: object, error: int, depth: int, _ok: int) -> bool:
    return depth == 0 and (error == 0 or error in _SELF_SIGNED)


def peer_certificate(connection: SSL.Connection) -> bytes:
    """The client's certificate (DER), whose key it has proved to own."""
    try:
        certificate = connection.get_peer_certificate(as_cryptography=True)
    except MALFORMED:
        raise RaTlsError("the client's certificate is malformed") from None
    if certificate is None:
        raise RaTlsError("the client presents no certificate")
    der = certificate.public_bytes(Encoding.DER)
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise RaTlsError("the client's certificate is too long")
    return der


class ServerContext:
    """What ``ssl.SSLContext`` is to a server, for clients that present evidence."""

    def __init__(self, *, identity: Identity, verify: Judge[Proven], tls12: bool = False) -> None:
        self._context = server_context(identity, tls12=tls12)
        self._verify = verify

    def wrap_socket(self, sock: socket.socket, *, server_side: bool = True) -> ServerSocket:
        """Handshakes on a connected, blocking socket and judges the client; raises ``ssl.SSLError``.

        A time-out of the socket bounds each read of the handshake.
        """
        if not server_side:
            raise ValueError("this is the server's side; a client takes a ClientContext")
        # With a time-out of Python's the descriptor does not block, and pyOpenSSL would have to be asked again.
        _kernel_timeouts(sock)
        connection = SSL.Connection(self._context, sock)
        connection.set_accept_state()
        try:
            connection.do_handshake()
            peer = judge_certificate(peer_certificate(connection), self._verify)
        except CasemateError as error:
            _end(connection, sock)
            raise PeerRefusedSSLError(error) from None
        except SSL.Error as error:
            _end(connection, sock)
            raise PeerRefusedSSLError(RaTlsError(f"the handshake failed: {describe(error)}")) from None
        return ServerSocket(connection, sock, peer)


def describe(error: SSL.Error) -> str:
    """OpenSSL's own words for a failure."""
    match error.args:
        case (list() as reasons, *_) if reasons:
            return str(reasons[-1][-1])
        case (int(), str(text)):
            return text
    return "the client went away or did not answer"


def _kernel_timeouts(sock: socket.socket) -> None:
    timeout = sock.gettimeout()
    if timeout is not None:
        value = struct.pack("ll", int(timeout), int(timeout % 1 * 1e6))
        sock.setblocking(True)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)


def _end(connection: SSL.Connection, sock: socket.socket) -> None:
    with contextlib.suppress(SSL.Error):
        connection.shutdown()
    sock.close()


class ServerSocket:
    """An accepted connection, with ``ssl.SSLSocket``'s names. ``ratls_peer`` is the judged client."""

    def __init__(self, connection: SSL.Connection, sock: socket.socket, peer: Peer[Proven]) -> None:
        self._connection, self._socket, self.ratls_peer = connection, sock, peer

    def recv(self, size: int) -> bytes:
        try:
            return self._connection.recv(size)
        except (SSL.ZeroReturnError, SSL.SysCallError):
            return b""

    def sendall(self, data: bytes) -> None:
        self._connection.sendall(data)

    def getpeercert(self, binary_form: bool = True) -> bytes:
        if not binary_form:
            raise ValueError("only the DER form is there")
        return peer_certificate(self._connection)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        _end(self._connection, self._socket)

    def __enter__(self) -> ServerSocket:
        return self

    def __exit__(self, *_exception: Any) -> None:
        self.close()
