"""Secrets and the policies that guard them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import Select, bindparam, delete, insert, select, update

from casemate.attestation.evidence import VerifiedQuote
from casemate.attestation.policy import AllOf
from casemate.attestation.policy_file import parse_policy
from casemate.broker import journal
from casemate.broker.database import Database
from casemate.broker.errors import BrokerError, InUseError, NotThereError
from casemate.broker.sealing import seal, unseal
from casemate.broker.tables import policies, secrets

Kind = Literal["key", "env", "arg", "file"]
KINDS: tuple[Kind, ...] = ("key", "env", "arg", "file")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
KEY_BYTES = 16
MAX_SECRET_BYTES = 1 << 20
# Linux: MAX_ARG_STRLEN, with the variable's name.
_MAX_TEXT_BYTES = (128 << 10) - 256
# Secrets with their policies. Made once: every release asks.
_GUARDED = select(secrets, policies.c.sealed.label("policy_sealed")).join(policies)
_BY_NAME = _GUARDED.where(secrets.c.name.in_(bindparam("names", expanding=True)))
_FOR_GRAMINE = _GUARDED.where(secrets.c.gramine)


@dataclass(frozen=True)
class SecretInfo:
    """A secret without its value."""

    name: str
    kind: str
    policy: str
    version: int
    gramine: bool
    created: str
    updated: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Guarded:
    """A secret as it lies in the database, and who may have it."""

    info: SecretInfo
    policy: AllOf
    sealed: bytes


@lru_cache(maxsize=1024)
def compiled_policy(document: str) -> AllOf:
    """The claims of a policy that was checked when it was put."""
    return parse_policy(document)


def check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise BrokerError(
            f"'{name}' is no name", remedy="use letters, digits, '.', '_' and '-', at most 128, none of the marks first"
        )


def check_value(kind: str, value: bytes) -> None:
    """Whether a value can be put where its kind goes. No message holds any of it."""
    if kind not in KINDS:
        raise BrokerError(f"there is no kind of secret '{kind}'", remedy=f"there are {', '.join(KINDS)}")
    if not value:
        raise BrokerError("the secret is empty")
    if len(value) > MAX_SECRET_BYTES:
        raise BrokerError(f"a secret has at most {MAX_SECRET_BYTES >> 20} MiB, this has {len(value)} bytes")
    if kind == "key" and len(value) != KEY_BYTES:
        raise BrokerError(f"a file key has {KEY_BYTES} bytes, this has {len(value)}", remedy="or use another kind")
    if kind in ("env", "arg"):
        if b"\0" in value or len(value) > _MAX_TEXT_BYTES:
            raise BrokerError(f"a secret of kind '{kind}' has no NUL and less than 128 KiB")
        try:
            value.decode()
        except UnicodeDecodeError:
            raise BrokerError(f"a secret of kind '{kind}' is text in UTF-8") from None


class Vault:
    """Every change and its record in the journal are one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- Policies ---

    def put_policy(self, name: str, document: str, by: str) -> None:
        check_name(name)
        parse_policy(document, f"policy {name}")
        sealed = seal(self._database.master, document.encode(), _policy_context(name))
        with self._database.write() as connection:
            now = journal.now_text()
            changed = connection.execute(
                update(policies).where(policies.c.name == name).values(sealed=sealed, updated=now)
            )
            if not changed.rowcount:
                connection.execute(insert(policies).values(name=name, sealed=sealed, updated=now))
            journal.append(
                connection, {"time": now, "by": by, "action": "policy put", "policy": name, "document": document}
            )

    def policies(self) -> list[dict[str, str]]:
        with self._database.read() as connection:
            return [
                {"name": row.name, "document": self._document(row.name, row.sealed), "updated": row.updated}
                for row in connection.execute(select(policies).order_by(policies.c.name))
            ]

    def remove_policy(self, name: str, by: str) -> None:
        with self._database.write() as connection:
            users = connection.scalars(select(secrets.c.name).where(secrets.c.policy == name)).all()
            if users:
                raise InUseError(f"the policy '{name}' guards {', '.join(users)}", remedy="remove those first")
            if not connection.execute(delete(policies).where(policies.c.name == name)).rowcount:
                raise NotThereError(f"there is no policy '{name}'")
            journal.append(connection, _change(by, "policy rm", policy=name))

    def satisfied(self, quote: VerifiedQuote) -> list[str]:
        """The names of the policies that accept this quote."""
        return [row["name"] for row in self.policies() if not compiled_policy(row["document"]).check(quote)]

    def _document(self, name: str, sealed: bytes) -> str:
        return unseal(self._database.master, sealed, _policy_context(name)).decode()

    # --- Secrets ---

    def put(self, name: str, kind: str, policy: str, value: bytes, *, gramine: bool, by: str) -> SecretInfo:
        """A new secret. An existing one is changed by `rotate` only, so that no slip overwrites it."""
        check_name(name)
        check_value(kind, value)
        with self._database.write() as connection:
            if connection.scalar(select(secrets.c.name).where(secrets.c.name == name)):
                raise InUseError(f"there is a secret '{name}' already", remedy="rotate it, or remove it first")
            if not connection.scalar(select(policies.c.name).where(policies.c.name == policy)):
                raise NotThereError(f"there is no policy '{policy}'", remedy="put it first: casemate broker policy put")
            now = journal.now_text()
            info = SecretInfo(name, kind, policy, 1, gramine, now, now)
            sealed = seal(self._database.master, value, _context(info))
            connection.execute(insert(secrets).values(**asdict(info), sealed=sealed))
            journal.append(connection, _change(by, "secret put", secret=name, kind=kind, policy=policy))
        return info

    def rotate(self, name: str, value: bytes, by: str) -> SecretInfo:
        """Another value for a secret; enclaves that ask from now on get this one."""
        with self._database.write() as connection:
            row = connection.execute(select(secrets).where(secrets.c.name == name)).first()
            if row is None:
                raise NotThereError(f"there is no secret '{name}'")
            check_value(row.kind, value)
            now = journal.now_text()
            info = SecretInfo(name, row.kind, row.policy, row.version + 1, row.gramine, row.created, now)
            sealed = seal(self._database.master, value, _context(info))
            connection.execute(
                update(secrets).where(secrets.c.name == name).values(version=info.version, sealed=sealed, updated=now)
            )
            journal.append(connection, _change(by, "secret rotate", secret=name, version=info.version))
        return info

    def remove(self, name: str, by: str) -> None:
        with self._database.write() as connection:
            if not connection.execute(delete(secrets).where(secrets.c.name == name)).rowcount:
                raise NotThereError(f"there is no secret '{name}'")
            journal.append(connection, _change(by, "secret rm", secret=name))

    def list(self) -> list[SecretInfo]:
        with self._database.read() as connection:
            return [_info(row) for row in connection.execute(select(secrets).order_by(secrets.c.name))]

    def find(self, names: Iterable[str]) -> dict[str, Guarded]:
        """Secrets with their policies, by name; those that do not exist are left out."""
        return self._guarded(_BY_NAME, {"names": list(names)})

    def find_for_gramine(self) -> dict[str, Guarded]:
        """Secrets that Gramine's protocol, which names none, may release."""
        return self._guarded(_FOR_GRAMINE, {})

    def _guarded(self, query: Select[Any], parameters: dict[str, Any]) -> dict[str, Guarded]:
        with self._database.read() as connection:
            rows = connection.execute(query, parameters).all()
        return {
            row.name: Guarded(_info(row), compiled_policy(self._document(row.policy, row.policy_sealed)), row.sealed)
            for row in rows
        }

    def open(self, guarded: Guarded) -> bytes:
        """The value of a secret."""
        return unseal(self._database.master, guarded.sealed, _context(guarded.info))


def _policy_context(name: str) -> str:
    return f"policy {name}"


def _context(info: SecretInfo) -> str:
    """Kind and policy are part of it: nobody moves a secret under another policy in the database."""
    return f"secret {info.name} kind {info.kind} policy {info.policy} version {info.version}"


def _info(row: Any) -> SecretInfo:
    return SecretInfo(row.name, row.kind, row.policy, row.version, row.gramine, row.created, row.updated)


def _change(by: str, action: str, **what: Any) -> dict[str, Any]:
    return {"time": journal.now_text(), "by": by, "action": action, **what}
