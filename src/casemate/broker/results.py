"""What enclaves send back to the owner: sealed in the database until the owner takes it away."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select

from casemate.broker import journal
from casemate.broker.database import Database
from casemate.broker.errors import BrokerError, NotThereError
from casemate.broker.sealing import seal, unseal
from casemate.broker.tables import results

MAX_RESULT_BYTES = 64 << 20
_MAX_NAME_BYTES = 255


@dataclass(frozen=True)
class ResultInfo:
    """A result without its bytes. ``mrenclave`` is of the enclave that sent it, ``policies`` are those it satisfied."""

    id: int
    name: str
    mrenclave: str
    policies: list[str]
    received: str
    size: int

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


def check_result_name(name: str) -> None:
    """A file's name that can be printed; raises `BrokerError`."""
    is_file_name = name not in ("", ".", "..") and "/" not in name and name.isprintable()
    # What is printable has no surrogates, so it has bytes.
    if not is_file_name or len(name.encode()) > _MAX_NAME_BYTES:
        raise BrokerError(
            "this is no name for a result", remedy="use a file's name of at most 255 bytes, printable, without '/'"
        )


class Results:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, data: bytes, mrenclave: bytes, policies: list[str], record: dict[str, Any]) -> int:
        """Keeps a result; ``record`` goes into the journal with it."""
        check_result_name(name)
        now = journal.now_text()
        sealed = seal(self._database.master, data, _context(name, mrenclave.hex(), now))
        with self._database.write() as connection:
            added = connection.execute(
                insert(results).values(
                    name=name,
                    mrenclave=mrenclave.hex(),
                    policies=json.dumps(policies),
                    received=now,
                    size=len(data),
                    sealed=sealed,
                )
            )
            key = added.inserted_primary_key
            assert key is not None
            journal.append(connection, {**record, "result": name, "size": len(data), "id": key[0]})
        return int(key[0])

    def list(self, name: str | None = None) -> list[ResultInfo]:
        columns = [column for column in results.c if column.name != "sealed"]
        query = select(*columns).order_by(results.c.id)
        if name is not None:
            query = query.where(results.c.name == name)
        with self._database.read() as connection:
            return [_info(row) for row in connection.execute(query)]

    def get(self, number: int) -> bytes:
        with self._database.read() as connection:
            row = connection.execute(select(results).where(results.c.id == number)).first()
        if row is None:
            raise NotThereError(f"there is no result {number}")
        return unseal(self._database.master, row.sealed, _context(row.name, row.mrenclave, row.received))

    def remove(self, number: int, by: str) -> None:
        with self._database.write() as connection:
            if not connection.execute(delete(results).where(results.c.id == number)).rowcount:
                raise NotThereError(f"there is no result {number}")
            record = {"time": journal.now_text(), "by": by, "action": "result rm", "id": number}
            journal.append(connection, record)


def _context(name: str, mrenclave: str, received: str) -> str:
    return f"result {name} of {mrenclave} at {received}"


def _info(row: Any) -> ResultInfo:
    return ResultInfo(row.id, row.name, row.mrenclave, json.loads(row.policies), row.received, row.size)
