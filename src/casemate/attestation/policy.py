"""Policies: small claims, each of which checks one thing about a verified quote and says why it does not hold.

Claims compose: `AllOf` holds when each of its claims does, `AnyOf` when one does. `policy_file` builds them from
TOML. A claim never sees a quote that is not genuine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from casemate.attestation.errors import Failure
from casemate.attestation.evidence import TcbStatus, VerifiedQuote, stamp


class Claim(Protocol):
    """One requirement. ``check`` gives what does not hold; an empty list means that it does."""

    def check(self, quote: VerifiedQuote) -> list[Failure]: ...


@dataclass(frozen=True)
class AllOf:
    """Every claim must hold; every one that does not is named."""

    claims: Sequence[Claim]

    def check(self, quote: VerifiedQuote) -> list[Failure]:
        return [failure for claim in self.claims for failure in claim.check(quote)]


@dataclass(frozen=True)
class AnyOf:
    """One of the alternatives must hold. Without alternatives none does."""

    alternatives: Sequence[Claim]

    def check(self, quote: VerifiedQuote) -> list[Failure]:
        if not self.alternatives:
            return [Failure("any_of", "an alternative that holds", "no alternatives")]
        failures = []
        for number, claim in enumerate(self.alternatives, 1):
            found = claim.check(quote)
            if not found:
                return []
            failures += [Failure(f"alternative {number}, {f.claim}", f.expected, f.found) for f in found]
        return failures


@dataclass(frozen=True)
class MrEnclave:
    """The enclave is one of these builds."""

    accepted: frozenset[bytes]

    def check(self, quote: VerifiedQuote) -> list[Failure]:
        return _one_of("mrenclave", quote.mrenclave.hex(), (value.hex() for value in self.accepted))


@dataclass(frozen=True)
class MrSigner:
    """The enclave was signed by one of these keys."""

    accepted: frozenset[bytes]

    def check(self, quote: VerifiedQuote) -> list[Failure]:
        return _one_of("mrsigner", quote.mrsigner.hex(), (value.hex() for value in self.accepted))


@dataclass(frozen=True)
class ProductId:
    """ISVPRODID: which of the signer's products."""

    accepted: int

    def check(self, quote: VerifiedQuote) -> list[Failure]:
        return _one_of("product_id", str(quote.isv_prod_id), (str(self.accepted),))


@dataclass(frozen=True)
class MinSvn:
    """ISVSVN: at least this security version of the product."""

    minimum: int

    def check(self, quote: VerifiedQuote) -> list[Failure]:
        if quote.isv_svn >= self.minimum:
            return []
        return [Failure("min_svn", f"{self.minimum} or more", str(quote.isv_svn))]


@dataclass(frozen=True)
class NoDebug:
    """The host of a debug enclave reads and changes everything inside."""

    def check(self, quote: VerifiedQuote) -> list[Failure]:
        return [Failure("debug", "a production enclave", "a debug enclave")] if quote.debug else []


@dataclass(frozen=True)
class TcbStatuses:
    """The vendor's word on the platform's patch level is one of these."""

    accepted: frozenset[TcbStatus] = frozenset({TcbStatus.UP_TO_DATE})

    def check(self, quote: VerifiedQuote) -> list[Failure]:
        return _one_of("tcb.statuses", quote.tcb_status, self.accepted)


@dataclass(frozen=True)
class Advisories:
    """Every security advisory that applies to the platform is among these; each other one is named."""

    accepted: frozenset[str] = frozenset()

    def check(self, quote: VerifiedQuote) -> list[Failure]:
        others = [name for name in quote.advisories if name not in self.accepted]
        if not others:
            return []
        expected = f"only {', '.join(sorted(self.accepted))}" if self.accepted else "no advisory"
        return [Failure("tcb.advisories", expected, ", ".join(others))]


@dataclass(frozen=True)
class MinEvaluationNumber:
    """The vendor's TCB recovery number (tcbEvaluationDataNumber) of the collateral."""

    minimum: int

    def check(self, quote: VerifiedQuote) -> list[Failure]:
        if quote.evaluation_number >= self.minimum:
            return []
        return [Failure("tcb.min_evaluation_number", f"{self.minimum} or more", str(quote.evaluation_number))]


@dataclass(frozen=True)
class MinTcbDate:
    """The platform's patch level is not older than this day."""

    earliest: datetime

    def check(self, quote: VerifiedQuote) -> list[Failure]:
        if quote.tcb_date >= self.earliest:
            return []
        return [Failure("tcb.min_date", f"{stamp(self.earliest)} or later", stamp(quote.tcb_date))]


@dataclass(frozen=True)
class MaxCollateralAge:
    """The collateral was issued at most so long before the time of verification."""

    maximum: timedelta

    def check(self, quote: VerifiedQuote) -> list[Failure]:
        if quote.at - quote.collateral_issued <= self.maximum:
            return []
        # Between two times that there are, so it is one: a maximum of millennia never gets here.
        earliest = quote.at - self.maximum
        expected = f"issued at {stamp(earliest)} or later"
        return [Failure("freshness.max_collateral_age", expected, f"issued at {stamp(quote.collateral_issued)}")]


@dataclass(frozen=True)
class ReportData:
    """REPORTDATA is this value, and zeros up to 64 bytes."""

    expected: bytes

    def check(self, quote: VerifiedQuote) -> list[Failure]:
        return _one_of("report_data", quote.report_data.hex(), (self.expected.ljust(64, b"\0").hex(),))


def _one_of(claim: str, found: str, accepted: Iterable[str]) -> list[Failure]:
    listed = sorted(accepted)
    if found in listed:
        return []
    expected = listed[0] if len(listed) == 1 else f"one of {', '.join(listed)}" if listed else "none"
    return [Failure(claim, expected, found)]


GENUINE = NoDebug()
"""The least that makes sense: no debug enclave. Identity and TCB status are left to whoever reads the result."""
