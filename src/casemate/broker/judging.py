"""Is a quote genuine, and what does it prove? What is acceptable is for policies to say, later and per secret."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from casemate.attestation import Collateral, Root, VerifiedQuote, verify
from casemate.attestation.pcs import platform_kind
from casemate.attestation.policy import AllOf
from casemate.attestation.store import CollateralStore
from casemate.attestation.transfer import fitting, read_collateral
from casemate.attestation.verify import check_chain, read_quote

# Whether debug enclaves and old platforms will do is for each secret's policy to say.
_ANY = AllOf(())

QuoteJudge = Callable[[bytes], VerifiedQuote]
"""Raises ``QuoteRefusedError`` (or another ``CasemateError``) for what is not genuine at this moment."""
CollateralSource = Callable[[bytes], Collateral]
"""The vendor's word on a quote's platform, or ``CollateralError``."""


def quote_judge(source: CollateralSource, root: Root) -> QuoteJudge:
    """Judges by the clock of this machine."""

    def judge(quote: bytes) -> VerifiedQuote:
        return verify(quote, source(quote), datetime.now(UTC), root, _ANY)

    return judge


def stored_collateral(store: CollateralStore, root: Root) -> CollateralSource:
    """Collateral from the cache that ``casemate collateral sync`` fills."""

    def source(quote: bytes) -> Collateral:
        body = read_quote(quote)
        # Before the cache is asked: of strangers' platforms it has nothing, and nothing should be fetched for them.
        check_chain(body, root)
        return store.get(root, platform_kind(body))

    return source


def collateral_files(paths: Sequence[Path], root: Root) -> CollateralSource:
    """Collateral from files: exports of the cache, or one collateral each. Read once."""
    found = [collateral for path in paths for collateral in read_collateral(path)]

    def source(quote: bytes) -> Collateral:
        return fitting(found, quote, root)

    return source
