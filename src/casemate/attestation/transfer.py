"""Carrying collateral between caches as a file: JSON, ``{"version": 1, "entries": [{…, "collateral": {…}}]}``."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from casemate.attestation.collateral import MAX_BYTES, Collateral
from casemate.attestation.errors import CollateralError
from casemate.attestation.pcs import Authority, PlatformKind
from casemate.attestation.roots import Root
from casemate.attestation.store import CollateralStore, Entry

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
    if len(text) > 16 * MAX_BYTES:
        raise CollateralError("the file is too large", where=where)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CollateralError(f"this is not JSON: {error}", where=where) from None
    if isinstance(value, dict) and "tcb_info" in value:
        collateral = Collateral.from_json(json.dumps(value), where)
        kind = PlatformKind(collateral.fmspc, authority)
        return [store.put(collateral, root, kind, source=where, at=at)]
    if not isinstance(value, dict) or value.get("version") != _VERSION or not isinstance(value.get("entries"), list):
        raise CollateralError("this is neither collateral nor an export of it", where=where)
    parsed = [_parse(entry, f"{where}: entry {number}") for number, entry in enumerate(value["entries"], 1)]
    return [
        store.put(collateral, root, kind, source=source, at=at)
        for collateral, kind, source in parsed
        if collateral.ends_at(root)
    ]


def _parse(entry: Any, where: str) -> tuple[Collateral, PlatformKind, str]:
    match entry:
        case {"fmspc": str(fmspc), "authority": "processor" | "platform" as authority, "collateral": dict(value)}:
            if not re.fullmatch("[0-9A-F]{12}", fmspc):
                raise CollateralError(f"'{fmspc}' is no FMSPC", where=where)
            kind = PlatformKind(fmspc, authority)
            return Collateral.from_json(json.dumps(value), where), kind, str(entry.get("source", where))
    raise CollateralError("this is no entry of an export", where=where)
