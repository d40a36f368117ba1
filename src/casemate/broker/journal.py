"""The log of decisions: append-only, each record chained to the one before it.

    hash(n) = SHA-256(hash(n - 1) || record(n)),  hash(0) = 32 zeros

A record is canonical JSON (names sorted, no white space). Whoever notes a hash can tell later that nothing up to it
was changed, removed or put in between; without such a note the chain shows all of that except a cut or rewritten
end. `docs/broker.md` says how.
"""

from __future__ import annotations

import hashlib
import json
import queue
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from casemate.broker.database import Database
from casemate.broker.errors import BrokerError
from casemate.broker.tables import journal

START = bytes(32)
# One commit carries as many records as came while the one before it was written.
_MAX_BATCH = 256


@dataclass(frozen=True)
class Entry:
    """One record as it is kept."""

    number: int
    record: str
    hash: bytes

    def as_json(self) -> dict[str, Any]:
        return {"number": self.number, "record": json.loads(self.record), "hash": self.hash.hex()}


def now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def append(connection: Connection, *records: dict[str, Any]) -> None:
    """Adds records in a transaction of the only writer."""
    _append(connection, [canonical(record) for record in records])


def _append(connection: Connection, texts: list[str]) -> None:
    last = connection.execute(
        select(journal.c.number, journal.c.hash).order_by(journal.c.number.desc()).limit(1)
    ).first()
    number, previous = (last.number, last.hash) if last else (0, START)
    rows = []
    for text in texts:
        previous = chained(previous, text)
        number += 1
        rows.append({"number": number, "record": text, "hash": previous})
    connection.execute(insert(journal), rows)


def canonical(record: dict[str, Any]) -> str:
    """A record as it is kept; raises ``ValueError`` or ``TypeError`` for what has no such form."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # A lone surrogate is text to Python and to JSON, but has no bytes.
    text.encode()
    return text


def chained(previous: bytes, record: str) -> bytes:
    return hashlib.sha256(previous + record.encode()).digest()


def entries(connection: Connection, after: int = 0, limit: int = 1000) -> list[Entry]:
    """Records with numbers above ``after``, in order."""
    found = connection.execute(select(journal).where(journal.c.number > after).order_by(journal.c.number).limit(limit))
    return [Entry(row.number, row.record, row.hash) for row in found]


def verify_chain(found: Iterable[Entry], noted: dict[int, bytes] | None = None) -> Entry | None:
    """Checks records from the first on; returns the last. ``noted``: hashes that were written down before, by number."""
    number, previous, last = 0, START, None
    outstanding = dict(noted or {})
    for entry in found:
        number += 1
        if entry.number != number:
            raise BrokerError(f"record {number} of the log is missing: {entry.number} follows {number - 1}")
        previous = chained(previous, entry.record)
        if entry.hash != previous:
            raise BrokerError(f"record {number} of the log was changed, or one before it was")
        if outstanding.pop(number, previous) != previous:
            raise BrokerError(f"record {number} of the log is not the one whose hash was noted: it was rewritten")
        last = entry
    if outstanding:
        raise BrokerError(
            f"the log ends at record {number}, but record {max(outstanding)} was noted: its end was cut off"
        )
    return last


class JournalWriter:
    """Writes records of many sessions in few transactions; ``submit``'s future is done when its record is durable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: queue.SimpleQueue[tuple[str, Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal")
        self._thread.start()

    def submit(self, record: dict[str, Any]) -> Future[None]:
        """A record that cannot be kept fails alone, not with those that happen to be in its batch."""
        future: Future[None] = Future()
        try:
            self._queue.put((canonical(record), future))
        except (ValueError, TypeError) as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, ending = [first], False
            while len(batch) < _MAX_BATCH and not self._queue.empty():
                item = self._queue.get()
                if item is None:
                    ending = True
                    break
                batch.append(item)
            self._write(batch)
            if ending:
                return

    def _write(self, batch: list[tuple[str, Future[None]]]) -> None:
        try:
            with self._database.write() as connection:
                _append(connection, [text for text, _ in batch])
        except Exception as error:
            for _, future in batch:
                future.set_exception(error)
        else:
            for _, future in batch:
                future.set_result(None)
