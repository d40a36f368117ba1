"""The process: three ports over one loop, work in a few threads, an orderly end."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from OpenSSL import SSL
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from casemate.attestation.ratls.server import server_context
from casemate.broker.admin_api import AdminApi
from casemate.broker.database import Database
from casemate.broker.enclave_api import enclave_app
from casemate.broker.errors import BrokerError
from casemate.broker.home import Home
from casemate.broker.journal import JournalWriter
from casemate.broker.judging import Expiries, QuoteJudge
from casemate.broker.provisioning import ProvisioningProtocol
from casemate.broker.release import Decider
from casemate.broker.results import Results
from casemate.broker.sealing import MasterKey
from casemate.broker.vault import Vault
from casemate.broker.wire import Limits, Port

LOG = logging.getLogger("casemate.broker")
_THREADS = 8
_BACKLOG = 2048
_DRAIN_S = 10


@dataclass(frozen=True)
class Address:
    """Where a port listens. 0 takes a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or int(port) > 65535:
            raise BrokerError("this is no address", where=repr(text), remedy="write HOST:PORT, as in 127.0.0.1:8443")
        return cls(host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104 - ':8443' means all addresses

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Settings:
    """``gramine``: None leaves that port out."""

    enclaves: Address
    admin: Address
    gramine: Address | None = None
    limits: Limits = field(default_factory=Limits)


class Broker:
    """Everything that serves. ``ready`` is told the addresses once all ports listen."""

    def __init__(
        self,
        home: Home,
        database_url: str,
        master: MasterKey,
        judge: QuoteJudge,
        settings: Settings,
        expiries: Expiries = list,
    ) -> None:
        """``expiries``: of the collateral that ``judge`` judges by, for readiness and metrics."""
        self._home, self._settings = home, settings
        self._database = Database(database_url, master)
        self._journal = JournalWriter(self._database)
        self._executor = ThreadPoolExecutor(_THREADS, "broker")
        # The owner's requests never wait behind enclaves'.
        self._admin_executor = ThreadPoolExecutor(2, "admin")
        vault, results = Vault(self._database), Results(self._database)
        self._decider = Decider(vault, results, judge, self._journal.submit)
        self._admin = AdminApi(home, self._database, vault, results, expiries, self._admin_executor)
        self._ports: list[Port] = []
        self._state = ServerState()

    async def run(self, ready: Callable[[dict[str, Address]], None], ending: asyncio.Event) -> None:
        """Serves until ``ending`` is set, then lets open requests end."""
        servers: list[asyncio.Server] = []
        try:
            addresses = {}
            for name, address, port in self._listeners():
                server = await _listen(address, port)
                servers.append(server)
                host, number, *_ = server.sockets[0].getsockname()
                addresses[name] = Address(host, number)
            self._home.write_access(addresses["admin"].host, addresses["admin"].port)
            ready(addresses)
            await ending.wait()
        finally:
            for server in servers:
                server.close()
            await self._drain()
            self._close()

    def _listeners(self) -> list[tuple[str, Address, Port]]:
        identity, settings = self._home.identity, self._settings
        enclaves = _http(enclave_app(self._decider, self._executor), self._state)
        admin = _http(self._admin.app(), self._state)
        open_context = server_context(identity)
        open_context.set_verify(SSL.VERIFY_NONE, None)
        found = [
            ("enclaves", settings.enclaves, Port("enclaves", server_context(identity), settings.limits, enclaves)),
            ("admin", settings.admin, Port("admin", open_context, settings.limits, admin, asks_certificate=False)),
        ]
        if settings.gramine is not None:
            found.append(("gramine", settings.gramine, self._gramine_port()))
        self._ports = [port for _, _, port in found]
        return found

    def _gramine_port(self) -> Port:
        def provisioning(certificate: bytes | None) -> asyncio.Protocol:
            return ProvisioningProtocol(certificate or b"", self._decider, self._executor)

        # Gramine's mbed TLS speaks 1.2 unless it is built for more.
        context = server_context(self._home.identity, tls12=True)
        return Port("gramine", context, self._settings.limits, provisioning)

    async def _drain(self) -> None:
        """Waits for requests that are being answered; connections that only wait are closed."""
        for protocol in list(self._state.connections):
            protocol.shutdown()
        deadline = asyncio.get_running_loop().time() + _DRAIN_S
        while any(port.open for port in self._ports) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.05)
        for port in self._ports:
            for connection in list(port.open):
                connection.abort()

    def _close(self) -> None:
        self._executor.shutdown()
        self._admin_executor.shutdown()
        self._journal.close()
        self._database.close()


async def _listen(address: Address, port: Port) -> asyncio.Server:
    try:
        return await asyncio.get_running_loop().create_server(
            port.protocol, address.host, address.port, backlog=_BACKLOG, family=_family(address.host)
        )
    except OSError as error:
        raise BrokerError(
            f"cannot listen: {error.strerror}", where=str(address), remedy="choose another address or port"
        ) from None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _http(app: Starlette, state: ServerState) -> Callable[[bytes | None], asyncio.Protocol]:
    """Makes uvicorn's HTTP/1.1 protocol, with the client's certificate in each request's state."""
    config = uvicorn.Config(app, http=H11Protocol, ws="none", lifespan="off", log_config=None, access_log=False)
    config.load()

    def make(certificate: bytes | None) -> asyncio.Protocol:
        about: dict[str, Any] = {"certificate": certificate}
        return H11Protocol(config, state, about)

    return make
