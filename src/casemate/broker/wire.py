"""TLS for asyncio with limits that no client can stretch.

asyncio's own TLS cannot let self-signed client certificates in to be judged; this can (pyOpenSSL over memory). A
connection has a budget of time that grows only with the bytes that really pass, so a client that trickles bytes, or
never reads, is gone when its budget is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL

from casemate.attestation.ratls.server import describe, peer_certificate
from casemate.broker.metrics import METRICS
from casemate.errors import CasemateError

LOG = logging.getLogger("casemate.broker")
_CHUNK = 64 << 10
# How far ahead a connection's deadline may be moved by bytes that passed.
_MAX_SAVED_S = 120

InnerFactory = Callable[[bytes | None], asyncio.Protocol]
"""Makes the protocol over TLS; is given the client's certificate (DER), or None where none is asked for."""


@dataclass(frozen=True)
class Limits:
    """``handshake_s``: until TLS stands. ``idle_s``: a connection's budget at its start; each byte that passes adds
    ``1 / bytes_per_s``. ``connections``: open at a time."""

    handshake_s: float = 30
    idle_s: float = 20
    bytes_per_s: int = 16 << 10
    connections: int = 4096


class Port:
    """One listening port."""

    def __init__(
        self, name: str, context: SSL.Context, limits: Limits, inner: InnerFactory, *, asks_certificate: bool = True
    ) -> None:
        self.name, self.context, self.limits, self.inner = name, context, limits, inner
        self.asks_certificate = asks_certificate
        self.open: set[TlsConnection] = set()
        METRICS.connections.labels(name).set(0)

    def protocol(self) -> asyncio.Protocol:
        return TlsConnection(self)

    def note_end(self, reason: str) -> None:
        METRICS.ended.labels(self.name, reason).inc()


class TlsConnection(asyncio.Protocol):
    """Below: a TCP transport. Above: the inner protocol, which sees `TlsTransport`."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._tls = SSL.Connection(port.context, None)
        self._tls.set_accept_state()
        self._transport: asyncio.Transport | None = None
        self._inner: asyncio.Protocol | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._closing = False

    # --- From below ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if len(self._port.open) >= self._port.limits.connections:
            self._port.note_end("too many")
            transport.abort()
            return
        self._port.open.add(self)
        METRICS.connections.labels(self._port.name).set(len(self._port.open))
        self._deadline = self._loop.time() + self._port.limits.handshake_s
        self._watch()

    def data_received(self, data: bytes) -> None:
        self._earn(len(data))
        self._tls.bio_write(data)
        if self._inner is None and not self._handshake():
            return
        self._read()

    def eof_received(self) -> bool | None:
        if self._inner is not None:
            self._inner.eof_received()
        return None

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        self._port.open.discard(self)
        METRICS.connections.labels(self._port.name).set(len(self._port.open))
        if self._inner is not None:
            self._inner.connection_lost(exc)
            self._inner = None

    # --- Handshake and reading ---

    def _handshake(self) -> bool:
        """Goes on with it; True when TLS stands and the inner protocol is made."""
        assert self._transport is not None
        try:
            self._tls.do_handshake()
            certificate = peer_certificate(self._tls) if self._port.asks_certificate else None
        except SSL.WantReadError:
            self.flush()
            return False
        except (SSL.Error, CasemateError) as error:
            LOG.info("%s: a handshake failed: %s", self._port.name, _reason(error))
            self.flush()
            self._port.note_end("handshake")
            self._transport.close()
            return False
        self.flush()
        self._deadline = self._loop.time() + self._port.limits.idle_s
        self._inner = self._port.inner(certificate)
        self._inner.connection_made(TlsTransport(self, self._transport))
        return True

    def _read(self) -> None:
        while self._inner is not None and not self._closing:
            try:
                data = self._tls.recv(_CHUNK)
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                self.close()
                return
            except SSL.Error:
                self._port.note_end("tls")
                self.abort()
                return
            self._inner.data_received(data)
        self.flush()

    # --- From above ---

    def write(self, data: bytes) -> None:
        if self._closing:
            return
        try:
            self._tls.sendall(data)
        except SSL.Error:
            self.abort()
            return
        self.flush()

    def flush(self) -> None:
        """What TLS wants to send goes to the transport."""
        if self._transport is None or self._transport.is_closing():
            return
        with contextlib.suppress(SSL.WantReadError):
            while True:
                data = self._tls.bio_read(_CHUNK)
                self._transport.write(data)
                self._earn(len(data))

    def close(self) -> None:
        if self._closing or self._transport is None:
            return
        self._closing = True
        with contextlib.suppress(SSL.Error):
            self._tls.shutdown()
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    @property
    def is_closing(self) -> bool:
        return self._closing

    def _earn(self, size: int) -> None:
        """Time for bytes that pass. What passed fast does not pay for hours of silence; what waits to be sent has its time."""
        assert self._transport is not None
        rate = self._port.limits.bytes_per_s
        most = self._loop.time() + _MAX_SAVED_S + self._transport.get_write_buffer_size() / rate
        self._deadline = max(self._deadline, min(self._deadline + size / rate, most))

    def _watch(self) -> None:
        """Ends the connection when its time is up."""
        left = self._deadline - self._loop.time()
        if left <= 0:
            self._port.note_end("time")
            self.abort()
            return
        self._timer = self._loop.call_later(min(max(left, 0.05), 5), self._watch)


class TlsTransport(asyncio.Transport):
    """The transport that the inner protocol sees."""

    def __init__(self, connection: TlsConnection, below: asyncio.Transport) -> None:
        super().__init__()
        self._connection, self._below = connection, below

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._connection.write(bytes(data))

    def close(self) -> None:
        self._connection.close()

    def abort(self) -> None:
        self._connection.abort()

    def is_closing(self) -> bool:
        return self._connection.is_closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "sslcontext":
            return True
        return self._below.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._below.pause_reading()

    def resume_reading(self) -> None:
        self._below.resume_reading()

    def get_write_buffer_size(self) -> int:
        return self._below.get_write_buffer_size()


def _reason(error: Exception) -> str:
    return describe(error) if isinstance(error, SSL.Error) else str(error)
