"""Policies as their owner writes them: TOML (``docs/formats/policy.md``)."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from casemate.attestation.errors import PolicyError
from casemate.attestation.evidence import TcbStatus
from casemate.attestation.policy import (
    Advisories,
    AllOf,
    AnyOf,
    Claim,
    MaxCollateralAge,
    MinEvaluationNumber,
    MinSvn,
    MinTcbDate,
    MrEnclave,
    MrSigner,
    NoDebug,
    ProductId,
    ReportData,
    TcbStatuses,
)
from casemate.errors import describe_os_error

_MAX_BYTES = 1 << 20
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _hex(value: Any, *, lengths: tuple[int, int]) -> bytes:
    low, high = lengths
    digits = f"{2 * low} hexadecimal digits" if low == high else f"{2 * low} to {2 * high} hexadecimal digits"
    if not isinstance(value, str) or not re.fullmatch("(?:[0-9a-fA-F]{2})*", value):
        raise ValueError(f"expected {digits}, found {value!r}")
    if not low <= len(value) // 2 <= high:
        raise ValueError(f"expected {digits}, found {len(value)}")
    return bytes.fromhex(value)


def _measurement(value: Any) -> bytes:
    return _hex(value, lengths=(32, 32))


def _report_data(value: Any) -> bytes:
    return _hex(value, lengths=(1, 64))


def _duration(value: Any) -> timedelta:
    match = re.fullmatch(r"(\d{1,6})([mhd])", value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"expected a duration like '30d', '12h' or '90m', found {value!r}")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _day(value: Any) -> datetime:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"the time {value} says no time zone; write 2026-01-31T00:00:00Z")
        try:
            return value.astimezone(UTC)
        except OverflowError:
            raise ValueError(f"the time {value} is out of range") from None
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise ValueError(f"expected a date like 2026-01-31, without quotes, found {value!r}")


def _status(value: Any) -> TcbStatus:
    if value == "Revoked":
        raise ValueError("a revoked platform is never acceptable")
    if not isinstance(value, str) or value not in set(TcbStatus):
        raise ValueError(f"there is no TCB status {value!r}; there are {', '.join(TcbStatus)}")
    return TcbStatus(value)


def _list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Measurement = Annotated[bytes, BeforeValidator(_measurement)]
Measurements = Annotated[list[Measurement], BeforeValidator(_list), Field(min_length=1)]
Number = Annotated[int, Field(ge=0, le=0xFFFF, strict=True)]
Advisory = Annotated[str, Field(pattern=r"^[A-Z]+-[A-Z]+-[0-9]{4,6}$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TcbSection(_Section):
    """What the vendor may say about the platform."""

    statuses: Annotated[list[Annotated[TcbStatus, BeforeValidator(_status)]], Field(min_length=1)] = [
        TcbStatus.UP_TO_DATE
    ]
    advisories: list[Advisory] | Literal["any"] = []
    min_evaluation_number: Annotated[int, Field(ge=0, le=0xFFFF_FFFF, strict=True)] | None = None
    min_date: Annotated[datetime, BeforeValidator(_day)] | None = None

    def claims(self) -> list[Claim]:
        found: list[Claim] = [TcbStatuses(frozenset(self.statuses))]
        if self.advisories != "any":
            found.append(Advisories(frozenset(self.advisories)))
        if self.min_evaluation_number is not None:
            found.append(MinEvaluationNumber(self.min_evaluation_number))
        if self.min_date is not None:
            found.append(MinTcbDate(self.min_date))
        return found


class FreshnessSection(_Section):
    """How old the vendor's word may be; that it has not expired is always checked."""

    max_collateral_age: Annotated[timedelta, BeforeValidator(_duration)] | None = None

    def claims(self) -> list[Claim]:
        return [] if self.max_collateral_age is None else [MaxCollateralAge(self.max_collateral_age)]


class _Enclave(_Section):
    """Claims about the enclave itself."""

    mrenclave: Measurements | None = None
    mrsigner: Measurements | None = None
    product_id: Number | None = None
    min_svn: Number | None = None
    report_data: Annotated[bytes, BeforeValidator(_report_data)] | None = None

    @property
    def identifies(self) -> bool:
        return self.mrenclave is not None or self.mrsigner is not None

    def claims(self) -> list[Claim]:
        found: list[Claim] = []
        if self.mrenclave is not None:
            found.append(MrEnclave(frozenset(self.mrenclave)))
        if self.mrsigner is not None:
            found.append(MrSigner(frozenset(self.mrsigner)))
        if self.product_id is not None:
            found.append(ProductId(self.product_id))
        if self.min_svn is not None:
            found.append(MinSvn(self.min_svn))
        if self.report_data is not None:
            found.append(ReportData(self.report_data))
        return found


class Alternative(_Enclave):
    """One entry of ``any_of``."""

    tcb: TcbSection | None = None

    def claims(self) -> list[Claim]:
        return super().claims() + (self.tcb.claims() if self.tcb else [])

    @model_validator(mode="after")
    def _says_something(self) -> Alternative:
        if not self.claims():
            raise ValueError("the alternative asks for nothing, so it would always hold")
        return self


class PolicyFile(_Enclave):
    """A whole policy. What it leaves out gets the strict default."""

    insecure_debug: bool = False
    insecure_any_enclave: bool = False
    tcb: TcbSection | None = None
    freshness: FreshnessSection = FreshnessSection()
    any_of: list[Alternative] = []

    def claims(self) -> list[Claim]:
        found = super().claims()
        if not self.insecure_debug:
            found.append(NoDebug())
        if self.any_of:
            found.append(AnyOf([AllOf(alternative.claims()) for alternative in self.any_of]))
        found += self._tcb().claims()
        return found + self.freshness.claims()

    def _tcb(self) -> TcbSection:
        """Strict, unless it is said here or by every alternative for itself."""
        if self.tcb is not None:
            return self.tcb
        if self.any_of and all(alternative.tcb for alternative in self.any_of):
            return TcbSection(statuses=list(TcbStatus), advisories="any")
        return TcbSection()

    @model_validator(mode="after")
    def _names_an_enclave(self) -> PolicyFile:
        by_alternatives = bool(self.any_of) and all(alternative.identifies for alternative in self.any_of)
        if not (self.identifies or by_alternatives or self.insecure_any_enclave):
            raise ValueError("no enclave is named, so any would do: give mrenclave or mrsigner")
        return self


def parse_policy(text: str, where: str = "policy") -> AllOf:
    """The policy that a TOML document describes."""
    if len(text) > _MAX_BYTES:
        raise PolicyError(f"the policy has more than {_MAX_BYTES >> 20} MiB", where=where)
    try:
        document = PolicyFile.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise PolicyError(_explain(error), where=where) from None
    except (ValueError, RecursionError) as error:  # Beside TOML's own: numbers of thousands of digits.
        raise PolicyError(f"this is not TOML: {error}", where=where) from None
    return AllOf(document.claims())


def read_policy(path: Path) -> AllOf:
    """The policy in a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise describe_os_error(error, "cannot read the policy", str(path)) from None
    except UnicodeDecodeError:
        raise PolicyError("this is not text in UTF-8", where=str(path)) from None
    return parse_policy(text, str(path))


def _explain(error: ValidationError) -> str:
    """Every mistake: the key's path and what was expected there."""
    sentences = []
    for mistake in error.errors(include_url=False):
        place = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in mistake["loc"]).lstrip(".")
        text = mistake["msg"].removeprefix("Value error, ")
        if mistake["type"] == "extra_forbidden":
            text = f"there is no such key; there are {', '.join(sorted(PolicyFile.model_fields))}"
            if len(mistake["loc"]) > 1:
                text = "there is no such key"
        sentences.append(f"{place}: {text}" if place else text)
    return "; ".join(sentences)
