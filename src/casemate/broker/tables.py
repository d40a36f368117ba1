"""What the broker keeps. Times are RFC 3339 texts in UTC; sealed values open only with the master key."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()
_ID = BigInteger().with_variant(Integer(), "sqlite")

settings = Table(
    "broker_settings",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
policies = Table(
    "broker_policies",
    metadata,
    Column("name", String(128), primary_key=True),
    # Sealed too: whoever can write to the database must not loosen a policy.
    Column("sealed", LargeBinary, nullable=False),
    Column("updated", String(32), nullable=False),
)
secrets = Table(
    "broker_secrets",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("policy", String(128), ForeignKey("broker_policies.name"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("gramine", Boolean, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created", String(32), nullable=False),
    Column("updated", String(32), nullable=False),
)
results = Table(
    "broker_results",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("name", String(255), nullable=False, index=True),
    Column("mrenclave", String(64), nullable=False),
    Column("policies", Text, nullable=False),
    Column("received", String(32), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)
# Append-only; each hash covers the one before it and the record (``journal``).
journal = Table(
    "broker_journal",
    metadata,
    Column("number", _ID, primary_key=True, autoincrement=False),
    Column("record", Text, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
)
