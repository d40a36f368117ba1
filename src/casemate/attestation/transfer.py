"""Carrying collateral between caches as a file: JSON, ``{"version": 1, "entries": [{…, "collateral": {…}}]}``."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from casemate.attestation.collateral import MAX_BYTES, Collateral
from casemate.attestation.errors import CollateralError
from casemate.attestation.pcs import Authority, PlatformKind, platform_kind
from casemate.attestation.roots import Root
from casemate.attestation.store import CollateralStore, Entry
from casemate.attestation.verify import check_chain, pck_chain, read_quote
from casemate.errors import describe_os_error

_VERSION = 1


def export_entries(store: CollateralStore, fmspc: str | None = None) -> str:
    """Everything stored, or what is for platforms with this FMSPC."""
    entries = []
    for entry in store.entries():
        if fmspc is None or entry.kind.fmspc == fmspc.upper():
            collateral = store.get_by_hash(entry.root_hash, entry.kind)
            entries.append(entry.as_json() | {"collateral": json.loads(collateral.to_json())})
    return json.dumps({"version": _VERSION, "entries": entries})


def import_entries(
    store: CollateralStore, text: bytes, root: Root, authority: Authority, *, where: str, at: datetime
) -> list[Entry]:
    """Stores what is under this root; entries of other roots are left out. ``authority`` goes with a bare collateral."""
    value = _load(text, where)
    if _is_bare(value):
        collateral = Collateral.from_json(text, where)
        kind = PlatformKind(collateral.fmspc, authority)
        return [store.put(collateral, root, kind, source=where, at=at)]
    return [
        store.put(collateral, root, kind, source=source, at=at)
        for collateral, kind, source in _parse_export(value, where)
        if collateral.ends_at(root)
    ]


def read_collateral(path: Path) -> list[Collateral]:
    """All of what is in a file: an export, or one collateral. None of it is believed yet."""
    where = str(path)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise describe_os_error(error, "cannot read the collateral", where) from None
    value = _load(text, where)
    if _is_bare(value):
        return [Collateral.from_json(text, where)]
    return [collateral for collateral, _, _ in _parse_export(value, where)]


def fitting(found: Sequence[Collateral], quote: bytes, root: Root) -> Collateral:
    """The newest that is for the quote's platform and under this root. A single one is for the verifier to judge.

    Raises `CollateralError` where none is, `QuoteRefusedError` for a quote that says it is of another root.
    """
    if len(found) == 1:
        return found[0]
    body = read_quote(quote)
    check_chain(body, root)
    fmspc, issuer = platform_kind(body).fmspc, pck_chain(body)[1]
    candidates = [each for each in found if each.fmspc == fmspc and each.ends_at(root) and each.is_for_pcks_of(issuer)]
    if not candidates:
        raise CollateralError(
            f"no collateral fits the quote's platform ({platform_kind(body)})",
            remedy="fetch it: casemate collateral sync --quote FILE",
        )
    return max(candidates, key=lambda each: each.issued)


def _load(text: bytes, where: str) -> dict[str, Any]:
    if len(text) > 16 * MAX_BYTES:
        raise CollateralError("the file is too large", where=where)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CollateralError(f"this is no collateral in JSON: {error}", where=where) from None
    if not isinstance(value, dict):
        raise CollateralError("this is neither collateral nor an export of it", where=where)
    return value


def _is_bare(value: dict[str, Any]) -> bool:
    return "tcb_info" in value


def _parse_export(value: dict[str, Any], where: str) -> list[tuple[Collateral, PlatformKind, str]]:
    if value.get("version") != _VERSION or not isinstance(value.get("entries"), list):
        raise CollateralError("this is neither collateral nor an export of it", where=where)
    return [_parse(entry, f"{where}: entry {number}") for number, entry in enumerate(value["entries"], 1)]


def _parse(entry: Any, where: str) -> tuple[Collateral, PlatformKind, str]:
    match entry:
        case {"fmspc": str(fmspc), "authority": "processor" | "platform" as authority, "collateral": dict(value)}:
            if not re.fullmatch("[0-9A-F]{12}", fmspc):
                raise CollateralError(f"'{fmspc}' is no FMSPC", where=where)
            kind = PlatformKind(fmspc, authority)
            return Collateral.from_json(json.dumps(value), where), kind, str(entry.get("source", where))
    raise CollateralError("this is no entry of an export", where=where)
