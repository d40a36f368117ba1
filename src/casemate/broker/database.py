"""The database: SQLite by default, PostgreSQL by URL. A transaction that ended is on the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from casemate.broker import tables
from casemate.broker.errors import BrokerError
from casemate.broker.sealing import MasterKey, seal, unseal

# Serialises writers of all brokers on one PostgreSQL: the journal is one chain.
_WRITER_LOCK = 0x63736D74
_CHECK = "master-key"
_CHECK_TEXT = b"this database belongs to this master key"
_CONNECTIONS = 8


class Database:
    """Opens, and on first use makes, the tables, and checks that the master key is theirs."""

    def __init__(self, url: str, master: MasterKey) -> None:
        self.master = master
        self.engine = _engine(url)
        self.is_postgresql = self.engine.dialect.name == "postgresql"
        try:
            with self.write() as connection:
                tables.metadata.create_all(connection)
                self._check_master(connection)
        except OperationalError as error:
            self.close()
            raise BrokerError(
                f"the database cannot be opened: {error.orig}",
                where=self.engine.url.render_as_string(hide_password=True),
            ) from None
        except BrokerError:
            self.close()
            raise

    def _check_master(self, connection: Connection) -> None:
        found = connection.scalar(select(tables.settings.c.value).where(tables.settings.c.name == _CHECK))
        if found is None:
            value = seal(self.master, _CHECK_TEXT, _CHECK)
            connection.execute(insert(tables.settings).values(name=_CHECK, value=value))
        else:
            unseal(self.master, found, _CHECK)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that changes nothing."""
        with self.engine.connect() as connection:
            if not self.is_postgresql:
                connection.exec_driver_sql("BEGIN")
            yield connection
            connection.rollback()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction of the only writer. When the block has ended without an error, it is durable."""
        with self.engine.connect() as connection:
            if self.is_postgresql:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK})
            else:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            with self.read() as connection:
                connection.execute(select(tables.settings.c.name).limit(1))
        except SQLAlchemyError:
            return False
        return True

    def close(self) -> None:
        self.engine.dispose()


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "postgresql" and parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() == "postgresql":
            arguments = {"client_encoding": "UTF8"}
            return create_engine(parsed, pool_size=_CONNECTIONS, pool_pre_ping=True, connect_args=arguments)
        if parsed.get_backend_name() != "sqlite":
            raise BrokerError(
                f"databases of the kind '{parsed.get_backend_name()}' are not supported",
                remedy="use sqlite:///FILE or postgresql://…",
            )
        engine = create_engine(parsed, poolclass=QueuePool, pool_size=_CONNECTIONS, connect_args={"timeout": 30})
    except ArgumentError:
        raise BrokerError("this is no database URL", remedy="write sqlite:///FILE or postgresql://…") from None
    except ModuleNotFoundError as error:
        raise BrokerError(f"the database needs the Python package '{error.name}'", remedy="install it") from None
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    """Transactions begin where `Database` says; what is committed survives loss of power."""
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


__all__ = ["Database", "IntegrityError"]
