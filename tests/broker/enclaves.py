"""Enclaves and a broker for tests. The judge believes the simple quotes of ``tests.attestation.simple_quotes``; what
they say about platform and enclave is in ``CLAIMS``, by measurement."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from casemate.attestation import Failure, QuoteRefusedError, TcbStatus, VerifiedQuote
from casemate.attestation.ratls import ClientContext, Identity, httpx_transport, new_identity
from casemate.broker.client import BrokerClient
from casemate.broker.home import Home
from casemate.broker.judging import Expiries, QuoteJudge
from casemate.broker.serve import Address, Broker, Settings
from casemate.broker.wire import Limits
from tests.attestation.simple_quotes import ForgedError, judge, quote_of

ENCLAVE, OTHER, DEBUG, OUTDATED = b"\1" * 32, b"\2" * 32, b"\3" * 32, b"\4" * 32
LOCAL = Address("127.0.0.1", 0)
POLICY = f'mrenclave = "{ENCLAVE.hex()}"\n'


def policy_of(*mrenclaves: bytes) -> str:
    return f"mrenclave = [{', '.join(repr(each.hex()) for each in mrenclaves)}]\n".replace("'", '"')


def simple_judge(quote: bytes) -> VerifiedQuote:
    try:
        statement = judge(ENCLAVE, OTHER, DEBUG, OUTDATED)(quote)
    except ForgedError:
        raise QuoteRefusedError([Failure("genuine", "a genuine quote", "another")], simulated=True) from None
    mrenclave, now = statement.mrenclave, datetime.now(UTC)
    return VerifiedQuote(
        mrenclave=mrenclave,
        mrsigner=bytes(32),
        isv_prod_id=0,
        isv_svn=0,
        config_id=bytes(64),
        config_svn=0,
        attributes=(0x7 if mrenclave == DEBUG else 0x5, 3),
        miscselect=0,
        report_data=statement.report_data,
        tcb_status=TcbStatus.OUT_OF_DATE if mrenclave == OUTDATED else TcbStatus.UP_TO_DATE,
        advisories=("INTEL-SA-00001",) if mrenclave == OUTDATED else (),
        platform_status="UpToDate",
        qe_status="UpToDate",
        evaluation_number=1,
        tcb_date=now,
        fmspc=bytes(6),
        ppid=bytes(16),
        cpusvn=bytes(16),
        pce_svn=1,
        at=now,
        collateral_issued=now,
        collateral_expires=now,
        root="simple",
        simulated=True,
    )


@dataclass
class Running:
    """A broker that serves, and its owner's client."""

    home: Home
    owner: BrokerClient
    addresses: dict[str, Address] = field(default_factory=dict)

    def enclave(self, mrenclave: bytes = ENCLAVE, identity: Identity | None = None) -> httpx.Client:
        """A client inside an enclave with this measurement."""
        identity = identity or new_identity(quote_of(mrenclave))
        context = ClientContext(pin=self.home.pin, identity=identity)
        return httpx.Client(
            transport=httpx_transport(context), base_url=f"https://{self.addresses['enclaves']}", timeout=20
        )

    def ask(self, mrenclave: bytes = ENCLAVE, **names: list[str]) -> httpx.Response:
        with self.enclave(mrenclave) as client:
            return client.post("/v1/secrets", json=names)


@contextmanager
def serving(
    directory: Path,
    *,
    judge: QuoteJudge = simple_judge,
    database: str | None = None,
    limits: Limits | None = None,
    home: Home | None = None,
    enclaves: Address = LOCAL,
    expiries: Expiries = list,
) -> Iterator[Running]:
    """A broker in a thread."""
    home = home or Home(directory)
    settings = Settings(enclaves, LOCAL, LOCAL, limits or Limits())
    broker = Broker(home, database or home.database_url, home.master_key(), judge, settings, expiries)
    loop = asyncio.new_event_loop()
    ending, ready = asyncio.Event(), threading.Event()
    addresses: dict[str, Address] = {}

    def note(found: dict[str, Address]) -> None:
        addresses.update(found)
        ready.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(broker.run(note, ending)))
    thread.start()
    try:
        assert ready.wait(20)
        with BrokerClient.at(directory) as owner:
            yield Running(home, owner, addresses)
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join()
        loop.close()


def values(response: httpx.Response) -> dict[str, Any]:
    import base64

    assert response.status_code == 200, response.text
    return {name: base64.b64decode(text) for name, text in response.json()["secrets"].items()}
