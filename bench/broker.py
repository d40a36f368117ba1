"""How many quotes one core verifies, and how many attest-and-release sessions a broker serves on it: handshake, quote,
policy, secret, journal.

A session is a new TLS connection with a client certificate, one request, one answer. Quotes are real in form, of a
platform that exists on paper; collateral is in the broker's cache. The broker runs on one processor, clients on the others.
``python -m bench.broker [SESSIONS]``.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.attestation.paper import Platform, report_body

from casemate.attestation import Collateral, parse_policy, read_quote, roots, verify
from casemate.attestation.pcs import platform_kind
from casemate.attestation.ratls import ClientContext, new_identity
from casemate.attestation.simulated.vendor import Vendor
from casemate.attestation.store import CollateralStore
from casemate.broker.client import BrokerClient
from casemate.broker.home import Access

ENCLAVE = b"\5" * 32
_BODY = json.dumps({"required": ["db"]}).encode()
_HEAD = b"POST /v1/secrets HTTP/1.1\r\nHost: broker\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
_AT_ONCE = 32
_IDENTITIES = 8


def main(sessions: int) -> None:
    with tempfile.TemporaryDirectory(prefix="casemate-bench-") as directory:
        place = Path(directory)
        vendor = Vendor.create(place / "vendor", url="http://127.0.0.1:9")
        now = datetime.now(UTC)
        platform = Platform(vendor, now)
        collateral, root = vendor.collateral(now), roots.simulated(place / "vendor" / "root.pem")
        quotes = [platform.quote(report_body(mrenclave=ENCLAVE, report_data=bytes([at]) * 64)) for at in range(200)]
        _report("quotes verified", len(quotes) * 5, _verify_all(quotes * 5, collateral, root))
        store = CollateralStore(f"sqlite:///{place / 'collateral.db'}")
        store.put(collateral, root, platform_kind(read_quote(quotes[0])), source="paper", at=datetime.now(UTC))
        store.close()
        identities = [
            new_identity(lambda data: platform.quote(report_body(mrenclave=ENCLAVE, report_data=data)))
            for _ in range(_IDENTITIES)
        ]
        process, host, port = _serve(place)
        try:
            with BrokerClient.at(place / "b") as owner:
                owner.put_policy("mine", f'mrenclave = "{ENCLAVE.hex()}"\n')
                owner.put_secret("db", "env", "mine", b"hunter2")
                pin = Access.load(place / "b").pin
            contexts = [ClientContext(pin=pin, identity=identity) for identity in identities]
            asyncio.run(_ask_all(host, port, contexts, 50))
            before, start = _cpu_s(process.pid), time.monotonic()
            asyncio.run(_ask_all(host, port, contexts, sessions))
            _report("sessions served", sessions, (time.monotonic() - start, _cpu_s(process.pid) - before))
        finally:
            process.terminate()
            process.wait()


def _report(what: str, count: int, took: tuple[float, float]) -> None:
    """``took``: wall time, and processor time of whoever did it, both in seconds."""
    wall, cpu = took
    print(
        f"{count} {what}: {count / wall:.0f} a second of wall time; {1000 * cpu / count:.2f} ms of processor time each, "
        f"{count / cpu:.0f} a core-second"
    )


def _verify_all(quotes: list[bytes], collateral: Collateral, root: roots.Root) -> tuple[float, float]:
    """As ``casemate quote verify`` does, policy and all; one thread."""
    policy = parse_policy(f'mrenclave = "{ENCLAVE.hex()}"\n')
    now, start, before = datetime.now(UTC), time.monotonic(), time.process_time()
    for quote in quotes:
        verify(quote, collateral, now, root, policy)
    return time.monotonic() - start, time.process_time() - before


def _serve(place: Path) -> tuple[subprocess.Popen[str], str, int]:
    command = [
        "serve", place / "b", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--json",
        "--root", f"simulated:{place / 'vendor' / 'root.pem'}", "--collateral-db", f"sqlite:///{place / 'collateral.db'}",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "casemate", "broker", *command], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    host, _, port = json.loads(process.stdout.readline())["enclaves"].rpartition(":")
    for task in os.listdir(f"/proc/{process.pid}/task"):
        os.sched_setaffinity(int(task), {0})
    if len(others := os.sched_getaffinity(0) - {0}):
        os.sched_setaffinity(0, others)
    return process, host, int(port)


async def _ask_all(host: str, port: int, contexts: list[ClientContext], sessions: int) -> None:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> None:
        async with gate:
            reader, writer = await asyncio.open_connection(host, port, ssl=contexts[number % len(contexts)])
            writer.write(_HEAD + _BODY)
            answer = await reader.read()
            writer.transport.abort()
            assert answer.startswith(b"HTTP/1.1 200"), answer

    await asyncio.gather(*(one(number) for number in range(sessions)))


def _cpu_s(pid: int) -> float:
    """User and system time of a process (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
