"""The client's side, as an ``ssl.SSLContext``: what takes one (sockets, asyncio, httpx) speaks RA-TLS with it.

The standard library cannot ask Python about a certificate during the handshake. It need not: a client's handshake
ends before anything of the application is sent, and the check comes then. TLS has proved by then that the peer
owns the key of the certificate that is judged.
"""

from __future__ import annotations

import hmac
import os
import ssl
from typing import Any

from casemate.attestation.chains import MALFORMED
from casemate.attestation.ratls.certificate import Identity
from casemate.attestation.ratls.errors import RaTlsError
from casemate.attestation.ratls.peer import Judge, Peer, Proven, judge_certificate, key_fingerprint
from casemate.errors import CasemateError


class PeerRefusedSSLError(ssl.SSLError):
    """The peer is not who it must be; ``reason_error`` says why. An ``OSError``, as all of TLS raises."""

    def __init__(self, reason: CasemateError) -> None:
        super().__init__(ssl.SSL_ERROR_SSL, str(reason))
        self.reason_error = reason


class _CheckedSocket(ssl.SSLSocket):
    """Nothing of the application passes before the peer is judged: OpenSSL handshakes by itself at a first read or write.

    What is not here (``sendall``, ``recv``, ``recv_into``, ``sendfile``, ``makefile``) goes through these.
    """

    def do_handshake(self, block: bool = False) -> None:
        _forget(self)
        super().do_handshake(block)
        _check(self)

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002 - the standard library's name
        peer_of(self)
        return super().read(len, buffer)

    def write(self, data: Any) -> int:
        peer_of(self)
        return super().write(data)

    def send(self, data: Any, flags: int = 0) -> int:
        peer_of(self)
        return super().send(data, flags)


class _CheckedObject(ssl.SSLObject):
    def do_handshake(self) -> None:
        _forget(self)
        super().do_handshake()
        _check(self)

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002 - the standard library's name
        peer_of(self)
        return super().read(len, buffer)

    def write(self, data: Any) -> int:
        peer_of(self)
        return super().write(data)


class ClientContext(ssl.SSLContext):
    """A client's context: TLS 1.3, the server judged by its evidence (``verify``) or by its key (``pin``, SHA-256 of the
    DER SubjectPublicKeyInfo). ``identity`` is this side's own certificate. Names play no part.

    After the handshake, ``peer_of(socket)`` gives the judged peer.
    """

    sslsocket_class = _CheckedSocket
    sslobject_class = _CheckedObject
    _verify: Judge[Proven] | None
    _pin: bytes | None

    def __new__(cls, **_settings: Any) -> ClientContext:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(
        self,
        *,
        verify: Judge[Proven] | None = None,
        pin: bytes | None = None,
        identity: Identity | None = None,
    ) -> None:
        if (verify is None) == (pin is None):
            raise ValueError("a server is known either by its evidence or by its key")
        self.check_hostname = False
        self.verify_mode = ssl.CERT_NONE
        self.minimum_version = ssl.TLSVersion.TLSv1_3
        self._verify, self._pin = verify, pin
        if identity is not None:
            _load_identity(self, identity)

    def check(self, certificate: bytes | None) -> Peer[Proven] | None:
        """Judges a server's certificate; raises `PeerRefusedSSLError`."""
        try:
            if not certificate:
                raise RaTlsError("the server presents no certificate")
            if self._verify is not None:
                return judge_certificate(certificate, self._verify)
            found, expected = key_fingerprint(certificate), self._pin or b""
            if not hmac.compare_digest(found, expected):
                raise RaTlsError(
                    f"the server's key is not the pinned one: expected sha256:{expected.hex()}, found "
                    f"sha256:{found.hex()}",
                    remedy="check that this is the right server; nothing was sent to it",
                )
        except CasemateError as error:
            raise PeerRefusedSSLError(error) from None
        except MALFORMED:
            raise PeerRefusedSSLError(RaTlsError("the server's certificate is malformed")) from None
        return None


def _forget(connection: ssl.SSLSocket | ssl.SSLObject) -> None:
    vars(connection).pop("ratls_peer", None)


def _check(connection: ssl.SSLSocket | ssl.SSLObject) -> None:
    context = connection.context
    assert isinstance(context, ClientContext)
    # A resumed session has the certificate that was judged at its start; it is judged again.
    connection.ratls_peer = context.check(connection.getpeercert(binary_form=True))  # type: ignore[union-attr]


def peer_of(connection: ssl.SSLSocket | ssl.SSLObject) -> Peer[Proven] | None:
    """The judged peer of a connection made with a `ClientContext`; None where it was pinned.

    Raises `PeerRefusedSSLError` where no handshake was judged: none was made, or the peer was refused.
    """
    try:
        peer: Peer[Proven] | None = vars(connection)["ratls_peer"]
    except KeyError:
        reason = RaTlsError("the server has not proved who it is", remedy="call do_handshake before anything else")
        raise PeerRefusedSSLError(reason) from None
    return peer


def _load_identity(context: ssl.SSLContext, identity: Identity) -> None:
    """The standard library reads keys from files only: this one is anonymous, in memory."""
    with open(os.memfd_create("identity", os.MFD_CLOEXEC), "wb") as file:
        file.write(identity.key_pem() + identity.certificate_pem())
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
