"""Gramine's secret-provisioning protocol (``docs/formats/secret-prov.md``), for its unmodified clients.

    client: SECRET_PROVISION_RA_TLS_REQUEST_V1 NUL
    broker: SECRET_PROVISION_RA_TLS_RESPONSE_V1: NUL, 32-bit big-endian length, the secret

A refused client is told by the end of the connection; the journal says why.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor
from typing import cast

from casemate.broker.errors import BrokerError
from casemate.broker.release import Decider

LOG = logging.getLogger("casemate.broker")
REQUEST = b"SECRET_PROVISION_RA_TLS_REQUEST_V1\0"
RESPONSE = b"SECRET_PROVISION_RA_TLS_RESPONSE_V1:\0"


class ProvisioningProtocol(asyncio.Protocol):
    """One connection: one request, one secret."""

    def __init__(self, certificate: bytes, decider: Decider, executor: Executor) -> None:
        self._certificate, self._decider, self._executor = certificate, decider, executor
        self._received = b""
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._task is not None:
            return
        self._received += data
        if not REQUEST.startswith(self._received):
            self._transport.abort()
        elif self._received == REQUEST:
            self._task = asyncio.get_running_loop().create_task(self._answer(self._transport))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    async def _answer(self, transport: asyncio.Transport) -> None:
        host, port, *_ = transport.get_extra_info("peername") or ("unknown", 0)
        try:
            secret = await asyncio.get_running_loop().run_in_executor(
                self._executor, self._decider.release_for_gramine, self._certificate, f"{host}:{port}"
            )
            transport.write(RESPONSE + len(secret).to_bytes(4, "big") + secret)
        except BrokerError:
            pass
        except Exception as error:
            LOG.error("Gramine's protocol failed: %s", type(error).__name__)
        transport.close()
