"""What can be wrong with evidence, and how a refusal says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from casemate.errors import CasemateError


class QuoteFormatError(CasemateError):
    """The bytes are no quote that can be judged here."""


class CollateralError(CasemateError):
    """Collateral is missing, malformed, or must not be believed."""


class RootError(CasemateError):
    """A file does not hold the root certificate of a vendor."""


class PolicyError(CasemateError):
    """A policy does not say what it should."""


@dataclass(frozen=True)
class Failure:
    """One claim that does not hold: its name in the policy, what was expected, what was found."""

    claim: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.claim}: expected {self.expected}, found {self.found}"

    def as_json(self) -> dict[str, str]:
        return {"claim": self.claim, "expected": self.expected, "found": self.found}


class QuoteRefusedError(CasemateError):
    """A quote that is not genuine, or whose claims do not satisfy the policy; ``failures`` names each."""

    def __init__(self, failures: Sequence[Failure], *, simulated: bool, where: str | None = None) -> None:
        self.failures = tuple(failures)
        self.simulated = simulated
        listed = "; ".join(str(failure) for failure in self.failures)
        super().__init__(f"the quote is refused{_against(simulated)}: {listed}", where=where)

    def as_json(self) -> dict[str, Any]:
        return {
            "verified": False,
            "simulated": self.simulated,
            "failures": [failure.as_json() for failure in self.failures],
        }


def _against(simulated: bool) -> str:
    return " (judged by a simulated vendor root)" if simulated else ""
