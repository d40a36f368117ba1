"""``casemate collateral``: the cache that verification reads, filled ahead of need."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from casemate.attestation.store import CollateralStore

collateral_app = typer.Typer(
    name="collateral", help="Keep what vendors say about platforms, for verifying offline.", no_args_is_help=True
)

Database = Annotated[
    str | None,
    typer.Option("--db", envvar="CASEMATE_COLLATERAL_DB", help="Database URL: sqlite:///FILE, postgresql://…"),
]
RootOption = Annotated[str, typer.Option("--root", help="Where trust ends: intel, or simulated:FILE.")]
Json = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


def open_store(url: str | None) -> CollateralStore:
    from casemate.attestation.store import CollateralStore, default_url

    return CollateralStore(url or default_url())


@collateral_app.command("sync")
def sync(
    url: Annotated[
        str | None, typer.Option("--url", help="A service with the interface of Intel's PCS v4. Default: Intel's.")
    ] = None,
    quote: Annotated[
        list[Path] | None, typer.Option("--quote", help="Fetch for the platform that made this quote.")
    ] = None,
    fmspc: Annotated[list[str] | None, typer.Option("--fmspc", help="Fetch for platforms with this FMSPC.")] = None,
    authority: Annotated[
        str, typer.Option("--ca", help="The PCK authority that goes with --fmspc: processor or platform.")
    ] = "platform",
    ahead: Annotated[int, typer.Option("--ahead", min=0, help="Renew what expires within so many days.")] = 7,
    root: RootOption = "intel",
    db: Database = None,
    json_output: Json = False,
) -> None:
    """Fetch collateral, check it, and store it; renew what expires soon."""
    from datetime import UTC, datetime, timedelta

    from casemate.attestation import roots
    from casemate.attestation.pcs import INTEL, PcsClient
    from casemate.errors import CasemateError

    anchor = roots.from_option(root)
    store = open_store(db)
    failed = False
    with PcsClient(url or INTEL) as client:
        entries = [
            store.put(client.fetch(kind), anchor, kind, source=client.url, at=datetime.now(UTC))
            for kind in _kinds(quote or [], fmspc or [], authority)
        ]
        for outcome in store.refresh(client, anchor, at=datetime.now(UTC), ahead=timedelta(days=ahead)):
            if isinstance(outcome, CasemateError):
                print(f"casemate: {outcome.diagnostics()}", file=sys.stderr)
                failed = True
            else:
                entries.append(outcome)
    _print([entry.as_json() for entry in entries], json_output, nothing="nothing is due")
    if failed:
        raise typer.Exit(1)


@collateral_app.command("list")
def list_(db: Database = None, json_output: Json = False) -> None:
    """List what is stored, the first to expire first."""
    _print([entry.as_json() for entry in open_store(db).entries()], json_output, nothing="nothing is stored")


@collateral_app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="Where it goes, in JSON; '-' for the standard output.")],
    fmspc: Annotated[str | None, typer.Option("--fmspc", help="Only for these platforms.")] = None,
    db: Database = None,
) -> None:
    """Write stored collateral to a file, to carry it where there is no network."""
    from casemate.attestation.transfer import export_entries

    text = export_entries(open_store(db), fmspc)
    if str(file) == "-":
        print(text)
    else:
        from casemate.errors import describe_os_error
        from casemate.image.cachedir import replace_file

        try:
            replace_file(file, text.encode() + b"\n", mode=0o644, sync=True)
        except OSError as error:
            raise describe_os_error(error, "cannot write the collateral", str(file)) from None


@collateral_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="What export wrote, or one collateral in JSON.")],
    authority: Annotated[
        str, typer.Option("--ca", help="The PCK authority of a single collateral: processor or platform.")
    ] = "processor",
    root: RootOption = "intel",
    db: Database = None,
    json_output: Json = False,
) -> None:
    """Check collateral from a file and store it. Only what the given root vouches for is taken."""
    from datetime import UTC, datetime

    from casemate.attestation import roots
    from casemate.attestation.transfer import import_entries
    from casemate.errors import describe_os_error

    try:
        text = file.read_bytes()
    except OSError as error:
        raise describe_os_error(error, "cannot read the collateral", str(file)) from None
    found = import_entries(
        open_store(db), text, roots.from_option(root), _authority(authority), where=str(file), at=datetime.now(UTC)
    )
    _print([entry.as_json() for entry in found], json_output, nothing="nothing in it is under this root")


def _kinds(quotes: list[Path], fmspcs: list[str], authority: str) -> list[Any]:
    import re

    from casemate.attestation import read_quote
    from casemate.attestation.pcs import PlatformKind, platform_kind
    from casemate.errors import UsageError, describe_os_error

    kinds = []
    for path in quotes:
        try:
            kinds.append(platform_kind(read_quote(path.read_bytes(), str(path))))
        except OSError as error:
            raise describe_os_error(error, "cannot read the quote", str(path)) from None
    for fmspc in fmspcs:
        if not re.fullmatch("[0-9a-fA-F]{12}", fmspc):
            raise UsageError(f"'{fmspc}' is no FMSPC", where="--fmspc", remedy="give 12 hexadecimal digits")
        kinds.append(PlatformKind(fmspc.upper(), _authority(authority)))
    return kinds


def _authority(text: str) -> Any:
    from casemate.errors import UsageError

    if text not in ("processor", "platform"):
        raise UsageError(f"there is no PCK authority '{text}'", where="--ca", remedy="say processor or platform")
    return text


def _print(entries: list[dict[str, Any]], json_output: bool, *, nothing: str) -> None:
    if json_output:
        print(json.dumps(entries))
    elif not entries:
        print(nothing, file=sys.stderr)
    for entry in [] if json_output else entries:
        print(
            f"{entry['fmspc']}  {entry['authority']:<9}  until {entry['expires']}  {entry['root']}  {entry['source']}"
        )
