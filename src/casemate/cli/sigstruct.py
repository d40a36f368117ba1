"""``casemate sigstruct``: what a .sig file says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

# Enough to say of a larger file that it is none.
_MAX_BYTES = 1 << 20

sigstruct_app = typer.Typer(name="sigstruct", help="Look at SIGSTRUCT files.", no_args_is_help=True)


@sigstruct_app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="A SIGSTRUCT: 1808 bytes, often named .sig.")],
    json_output: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show measurement, signer, attributes and versions, and whether the signature is valid."""
    show_file(file, json_output)


def show_file(file: Path, json_output: bool) -> None:
    """Exits with status 1 when EINIT would refuse the signature."""
    from casemate.enclave.describe import describe, read_sigstruct, rows
    from casemate.errors import describe_os_error

    try:
        with file.open("rb") as opened:
            data = opened.read(_MAX_BYTES)
    except OSError as error:
        raise describe_os_error(error, "cannot read the SIGSTRUCT", str(file)) from None
    value = describe(read_sigstruct(data, str(file)))
    if json_output:
        print(json.dumps(value))
    else:
        width = max(len(label) for label, _ in rows(value)) + 2
        print("\n".join(f"{label:<{width}}{text}" for label, text in rows(value)))
    if value["problem"]:
        raise typer.Exit(1)


@sigstruct_app.callback()
def _group() -> None:
    """Keeps ``show`` a command of its own while it is the only one."""
