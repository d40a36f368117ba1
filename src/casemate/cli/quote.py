"""``casemate quote``: look at quotes and judge them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casemate.cli.collateral import Database

if TYPE_CHECKING:
    from datetime import datetime

    from casemate.attestation import Collateral, Root

quote_app = typer.Typer(name="quote", help="Look at quotes and verify them.", no_args_is_help=True)

QuoteFile = Annotated[Path, typer.Argument(help="A quote, as /dev/attestation/quote gives it.")]
Json = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


@quote_app.command("verify")
def verify(
    file: QuoteFile,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="TOML that says which enclaves and platforms are acceptable.")
    ] = None,
    collateral: Annotated[
        Path | None,
        typer.Option(
            "--collateral", help="The vendor's word, instead of the cache's: an export of it, or one collateral."
        ),
    ] = None,
    db: Database = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="Judge as of this time (2026-01-31T12:00:00Z), not now.")
    ] = None,
    root: Annotated[
        str, typer.Option("--root", help="Where trust ends: intel, or simulated:FILE with a root certificate.")
    ] = "intel",
    json_output: Json = False,
) -> None:
    """Verify a quote's signatures, its platform's patch level, and whether a policy accepts it.

    Without a policy only debug enclaves are refused; which enclave it is, is then for you to compare.
    """
    from casemate.attestation import QuoteRefusedError, read_policy, roots
    from casemate.attestation import verify as verify_quote
    from casemate.attestation.describe import verified_rows
    from casemate.attestation.policy import GENUINE

    quote = _read(file)
    claims = read_policy(policy) if policy else GENUINE
    time, anchor = _time(at), roots.from_option(root)
    try:
        verified = verify_quote(quote, _collateral(collateral, db, quote, anchor), time, anchor, claims)
    except QuoteRefusedError as error:
        if json_output:
            print(json.dumps(error.as_json()))
        raise QuoteRefusedError(error.failures, simulated=error.simulated, where=str(file)) from None
    if json_output:
        print(json.dumps(verified.as_json()))
    else:
        _print_rows(verified_rows(verified, with_policy=policy is not None))
    if verified.simulated:
        print("casemate: warning: the vendor is simulated: no hardware stands behind this quote", file=sys.stderr)


@quote_app.command("show")
def show(file: QuoteFile, json_output: Json = False) -> None:
    """Show what a quote says, without verifying any of it."""
    from casemate.attestation.describe import describe, quote_rows
    from casemate.attestation.verify import read_quote

    value = describe(read_quote(_read(file), str(file)))
    if json_output:
        print(json.dumps(value))
    else:
        _print_rows(quote_rows(value))


def _read(file: Path) -> bytes:
    from casemate.errors import describe_os_error

    try:
        return file.read_bytes()
    except OSError as error:
        raise describe_os_error(error, "cannot read the quote", str(file)) from None


def _collateral(file: Path | None, db: str | None, quote: bytes, root: Root) -> Collateral:
    from casemate.attestation import read_quote
    from casemate.attestation.pcs import platform_kind
    from casemate.attestation.transfer import fitting, read_collateral
    from casemate.cli.collateral import open_store

    if file is not None:
        return fitting(read_collateral(file), quote, root)
    return open_store(db).get(root, platform_kind(read_quote(quote)))


def _time(text: str | None) -> datetime:
    from datetime import UTC, datetime

    from casemate.errors import UsageError

    if text is None:
        return datetime.now(UTC)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"'{text}' is no time", where="--at", remedy="write 2026-01-31T12:00:00Z") from None
    if time.tzinfo is None:
        raise UsageError(f"'{text}' says no time zone", where="--at", remedy=f"write {text}Z for UTC")
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise UsageError(f"'{text}' is out of range", where="--at") from None


def _print_rows(rows: list[tuple[str, str]]) -> None:
    width = max(len(label) for label, _ in rows) + 2
    print("\n".join(f"{label:<{width}}{text}" for label, text in rows))
