"""Attestation: what a quote proves, and to whom.

    verify(quote, collateral, at, root, policy) -> VerifiedQuote

`collateral` is the vendor's word (`Collateral.from_json`, or the cache in ``store``), `root` where trust ends
(`roots.intel()`, `roots.simulated(path)`), `policy` what the owner accepts (`read_policy`, `parse_policy`, or
the claims of ``policy``). Signatures and TCB levels are dcap-qvl's work; the simulated vendor is in
``simulated`` and shares no code with the verifier but the formats.
"""

from casemate.attestation import roots
from casemate.attestation.collateral import Collateral
from casemate.attestation.errors import (
    CollateralError,
    Failure,
    PolicyError,
    QuoteFormatError,
    QuoteRefusedError,
    RootError,
)
from casemate.attestation.evidence import TcbStatus, VerifiedQuote
from casemate.attestation.policy_file import parse_policy, read_policy
from casemate.attestation.roots import Root
from casemate.attestation.verify import read_quote, verify

__all__ = [
    "Collateral",
    "CollateralError",
    "Failure",
    "PolicyError",
    "QuoteFormatError",
    "QuoteRefusedError",
    "Root",
    "RootError",
    "TcbStatus",
    "VerifiedQuote",
    "parse_policy",
    "read_policy",
    "read_quote",
    "roots",
    "verify",
]
