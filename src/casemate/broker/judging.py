"""Is a quote genuine, and what does it prove? What is acceptable is for policies to say, later and per secret."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from casemate.attestation import Collateral, QuoteRefusedError, Root, VerifiedQuote, verify
from casemate.attestation.errors import CollateralError
from casemate.attestation.pcs import platform_kind
from casemate.attestation.policy import AllOf
from casemate.attestation.store import CollateralStore
from casemate.attestation.verify import check_chain, read_quote
from casemate.errors import describe_os_error

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
    """Collateral from files, as ``casemate collateral export`` writes them. Read once."""
    loaded = [_load(path) for path in paths]

    def source(quote: bytes) -> Collateral:
        if len(loaded) == 1:
            return loaded[0]
        for collateral in loaded:
            try:
                verify(quote, collateral, datetime.now(UTC), root, _ANY)
            except QuoteRefusedError:
                continue
            return collateral
        raise CollateralError(
            "no collateral fits the quote's platform", remedy="fetch it: casemate collateral sync, and serve with it"
        )

    return source


def _load(path: Path) -> Collateral:
    try:
        return Collateral.from_json(path.read_bytes(), str(path))
    except OSError as error:
        raise describe_os_error(error, "cannot read the collateral", str(path)) from None
