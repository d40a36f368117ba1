"""The collateral cache: a database that is filled ahead of need, so that verifying asks no network.

SQLite by default, PostgreSQL by URL. An entry is one `Collateral` for one kind of platform under one root, and is
appraised before it is stored; what is read back is appraised again by every verification.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, cast

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    delete,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from casemate.attestation.appraise import appraise
from casemate.attestation.collateral import Collateral, Version
from casemate.attestation.errors import CollateralError
from casemate.attestation.evidence import stamp
from casemate.attestation.pcs import Authority, PcsClient, PlatformKind
from casemate.attestation.roots import Root
from casemate.errors import CasemateError

REFRESH_AHEAD = timedelta(days=7)
# How long a process goes on with what it read; every verification checks validity all the same.
_MEMORY_S = 30.0
# Serialises writers on PostgreSQL.
_WRITER_LOCK = 0x63736D75

_metadata = MetaData()
_entries = Table(
    "collateral",
    _metadata,
    Column("root", LargeBinary(32), primary_key=True),
    Column("fmspc", String(12), primary_key=True),
    Column("authority", String(9), primary_key=True),
    Column("data", Text, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("root_name", Text, nullable=False),
    Column("source", Text, nullable=False),
    # Times as RFC 3339 in UTC: text sorts, and reads the same in every database.
    Column("issued", String(20), nullable=False),
    Column("expires", String(20), nullable=False),
    Column("stored", String(20), nullable=False),
)


@dataclass(frozen=True)
class Entry:
    """A row of the cache without the collateral itself. Times are UTC, to the second."""

    kind: PlatformKind
    root_hash: bytes
    root_name: str
    simulated: bool
    source: str
    issued: datetime
    expires: datetime
    stored: datetime

    def as_json(self) -> dict[str, Any]:
        return {
            "fmspc": self.kind.fmspc,
            "authority": self.kind.authority,
            "root": self.root_name,
            "root_sha256": self.root_hash.hex(),
            "simulated": self.simulated,
            "source": self.source,
            "issued": stamp(self.issued),
            "expires": stamp(self.expires),
            "stored": stamp(self.stored),
        }


def default_url() -> str:
    """Of the cache in the user's cache directory."""
    from casemate.image.cachedir import cache_directory

    return f"sqlite:///{cache_directory() / 'collateral.db'}"


class CollateralStore:
    """A cache at a database URL (``sqlite:///FILE``, ``postgresql://…``). Usable from several threads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._memory: dict[tuple[bytes, PlatformKind], tuple[float, Collateral]] = {}
        self._lock = Lock()
        try:
            self._engine = _engine(url)
            with self._write() as connection:
                _metadata.create_all(connection)
        except ModuleNotFoundError as error:
            raise CollateralError(
                f"the database needs the Python package '{error.name}'", remedy="pip install casemate[postgresql]"
            ) from None
        except (ArgumentError, NoSuchModuleError) as error:
            raise CollateralError(
                f"this is no database that can be used: {error}",
                remedy="write sqlite:///FILE or postgresql://…",
            ) from None

    def get(self, root: Root, kind: PlatformKind) -> Collateral:
        """What is stored for this kind of platform, valid or not."""
        return self.get_by_hash(_hash(root), kind)

    def get_by_hash(self, root_hash: bytes, kind: PlatformKind) -> Collateral:
        """The same, by the SHA-256 of the root's certificate."""
        found = self._find(root_hash, kind)
        if found is None:
            raise CollateralError(
                f"there is no collateral for platforms {kind} under the chosen root",
                remedy="fetch it: casemate collateral sync --quote FILE",
            )
        return found

    def find(self, root: Root, kind: PlatformKind) -> Collateral | None:
        """What is stored for this kind of platform, valid or not; None where nothing is."""
        return self._find(_hash(root), kind)

    def _find(self, root_hash: bytes, kind: PlatformKind) -> Collateral | None:
        key = (root_hash, kind)
        with self._lock:
            kept = self._memory.get(key)
        if kept and time.monotonic() - kept[0] < _MEMORY_S:
            return kept[1]
        with self._explained(), self._engine.connect() as connection:
            data = connection.execute(select(_entries.c.data).where(*_where(key[0], kind))).scalar_one_or_none()
        if data is None:
            return None
        collateral = Collateral.from_json(data, "the collateral cache")
        with self._lock:
            self._memory[key] = (time.monotonic(), collateral)
        return collateral

    def put(self, collateral: Collateral, root: Root, kind: PlatformKind, *, source: str, at: datetime) -> Entry:
        """Stores it in place of what was there, if it is good at this time; never an older part over a newer one."""
        appraise(collateral, root, at)
        if collateral.fmspc != kind.fmspc:
            raise CollateralError(f"collateral for platforms {kind} was expected, found it for {collateral.fmspc}")
        key = _hash(root)
        entry = Entry(kind, key, root.name, root.simulated, source, collateral.issued, collateral.expires, at)
        with self._write() as connection:
            old = connection.execute(select(_entries.c.data).where(*_where(key, kind))).scalar_one_or_none()
            if old is not None:
                _refuse_older(Collateral.from_json(old, "the collateral cache"), collateral)
                connection.execute(delete(_entries).where(*_where(key, kind)))
            connection.execute(
                insert(_entries).values(
                    root=key,
                    fmspc=kind.fmspc,
                    authority=kind.authority,
                    data=collateral.to_json(),
                    simulated=root.simulated,
                    root_name=root.name,
                    source=source,
                    issued=stamp(entry.issued),
                    expires=stamp(entry.expires),
                    stored=stamp(at),
                )
            )
        with self._lock:
            self._memory.pop((key, kind), None)
        return entry

    def entries(self) -> list[Entry]:
        """All of them, the first to expire first."""
        columns = [column for column in _entries.c if column.name != "data"]
        with self._explained(), self._engine.connect() as connection:
            rows = connection.execute(select(*columns).order_by(_entries.c.expires)).mappings().all()
        return [
            Entry(
                PlatformKind(row["fmspc"], cast(Authority, row["authority"])),
                bytes(row["root"]),
                row["root_name"],
                row["simulated"],
                row["source"],
                *(_time(row[name]) for name in ("issued", "expires", "stored")),
            )
            for row in rows
        ]

    def entries_under(self, root: Root) -> list[Entry]:
        """Those of one root, the first to expire first."""
        return [entry for entry in self.entries() if entry.root_hash == _hash(root)]

    def refresh(
        self, client: PcsClient, root: Root, *, at: datetime, ahead: timedelta = REFRESH_AHEAD
    ) -> list[Entry | CasemateError]:
        """Fetches anew what expires within ``ahead`` under this root; an entry or why not, for each."""
        due = [entry for entry in self.entries_under(root) if entry.expires - at <= ahead]
        outcomes: list[Entry | CasemateError] = []
        for entry in due:
            try:
                fetched = client.fetch(entry.kind)
                outcomes.append(self.put(fetched, root, entry.kind, source=client.url, at=at))
            except CasemateError as error:
                outcomes.append(error)
        return outcomes

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        """A transaction of the only writer: what it reads is what it replaces."""
        with self._explained(), self._engine.begin() as connection:
            if self._engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            elif self._engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK})
            yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error)
            raise CollateralError(
                f"the database cannot be used: {reason}", where=self._engine.url.render_as_string(hide_password=True)
            ) from None


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "postgresql":
        return create_engine(parsed, pool_pre_ping=True, connect_args={"client_encoding": "UTF8"})
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    engine = create_engine(parsed, poolclass=NullPool, connect_args={"timeout": 30})
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    """Transactions begin where the store says."""
    connection.isolation_level = None


def _where(root: bytes, kind: PlatformKind) -> list[Any]:
    columns = _entries.c
    return [columns.root == root, columns.fmspc == kind.fmspc, columns.authority == kind.authority]


def _refuse_older(old: Collateral, new: Collateral) -> None:
    """A source may hand out what was superseded; what is known already must not get lost by that."""
    for (what, before), (_, after) in zip(old.versions, new.versions, strict=True):
        if after < before:
            raise CollateralError(
                f"the {what} is older ({_version(after)}) than the stored one ({_version(before)})",
                remedy="take collateral from a source that is up to date",
            )


def _version(version: Version) -> str:
    return f"evaluation {version.evaluation}, issued at {stamp(version.issued)}, number {version.number}"


def _hash(root: Root) -> bytes:
    return hashlib.sha256(root.der).digest()


def _time(stamped: str) -> datetime:
    return datetime.fromisoformat(stamped).astimezone(UTC)
