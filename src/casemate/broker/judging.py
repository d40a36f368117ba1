"""Is a quote genuine, and what does it prove? What is acceptable is for policies to say, later and per secret."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from casemate.attestation import Collateral, Root, VerifiedQuote, verify
from casemate.attestation.pcs import PlatformKind, platform_kind
from casemate.attestation.policy import AllOf
from casemate.attestation.store import CollateralStore
from casemate.attestation.transfer import fitting, read_collateral
from casemate.attestation.verify import check_chain, check_issuers, read_quote
from casemate.broker.errors import FetchingError

# Whether debug enclaves and old platforms will do is for each secret's policy to say.
_ANY = AllOf(())

QuoteJudge = Callable[[bytes], VerifiedQuote]
"""Raises ``QuoteRefusedError`` (or another ``CasemateError``) for what is not genuine at this moment."""
CollateralSource = Callable[[bytes], Collateral]
"""The vendor's word on a quote's platform, or ``CollateralError``."""
Fetch = Callable[[PlatformKind], bool]
"""Asks for collateral of a kind of platform; whether it may be there soon."""
Expiries = Callable[[], list[tuple[str, datetime]]]
"""For which platforms there is collateral, and until when it is valid."""


def quote_judge(source: CollateralSource, root: Root) -> QuoteJudge:
    """Judges by the clock of this machine."""

    def judge(quote: bytes) -> VerifiedQuote:
        return verify(quote, source(quote), datetime.now(UTC), root, _ANY)

    return judge


def stored_collateral(store: CollateralStore, root: Root, fetch: Fetch | None = None) -> CollateralSource:
    """Collateral from the cache that ``casemate collateral sync`` fills.

    With ``fetch``, what is missing or has expired is asked for, and `FetchingError` raised meanwhile: for platforms whose
    certificate the root's authority issued, which nobody can make up.
    """

    def source(quote: bytes) -> Collateral:
        body = read_quote(quote)
        # Before the cache is asked: of strangers' platforms it has nothing, and nothing should be fetched for them.
        check_chain(body, root)
        kind = platform_kind(body)
        found = store.find(root, kind)
        if fetch is not None and (found is None or found.expires < datetime.now(UTC)):
            check_issuers(body, root)
            if fetch(kind):
                raise FetchingError(f"collateral for platforms {kind} is being fetched", remedy="ask again")
        # Once more where there was nothing: it may have come just now.
        return found or store.get(root, kind)

    return source


def collateral_files(paths: Sequence[Path], root: Root) -> CollateralSource:
    """Collateral from files: exports of the cache, or one collateral each. Read once."""
    found = _read(paths)

    def source(quote: bytes) -> Collateral:
        return fitting(found, quote, root)

    return source


def stored_expiries(store: CollateralStore, root: Root) -> Expiries:
    """Of what is in the cache under this root, at each call."""
    return lambda: [(str(entry.kind), entry.expires) for entry in store.entries_under(root)]


def file_expiries(paths: Sequence[Path], root: Root) -> Expiries:
    """Of what is in files under this root."""
    found = [(collateral.fmspc, collateral.expires) for collateral in _read(paths) if collateral.ends_at(root)]
    return lambda: found


def _read(paths: Sequence[Path]) -> list[Collateral]:
    return [collateral for path in paths for collateral in read_collateral(path)]
