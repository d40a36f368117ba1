"""The commands and their options, as ``casemate --help`` shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from casemate import __version__
from casemate.cli.broker import broker_app
from casemate.cli.collateral import collateral_app
from casemate.cli.key import key_app
from casemate.cli.quote import quote_app
from casemate.cli.sigstruct import sigstruct_app
from casemate.cli.vendor import vendor_app

app = typer.Typer(
    name="casemate",
    help="Run unmodified Linux container images inside hardware enclaves.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(broker_app)
app.add_typer(collateral_app)
app.add_typer(key_app)
app.add_typer(quote_app)
app.add_typer(sigstruct_app)
app.add_typer(vendor_app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"casemate {__version__}")
        raise typer.Exit


@app.callback()
def _global(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def build(
    source: Annotated[
        str, typer.Argument(help="oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG] or dir:ROOTFS")
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", help="Where the shielded image goes: the first three of these.")
    ],
    manifest: Annotated[
        Path | None, typer.Option("--manifest", help="TOML merged over what the image's configuration says.")
    ] = None,
    insecure_args: Annotated[
        bool, typer.Option("--insecure-args", help="Let whoever starts the container choose the arguments.")
    ] = False,
    max_unpacked_size: Annotated[
        str, typer.Option(help="Refuse images that unpack to more bytes (suffixes K, M, G, T).")
    ] = "64G",
    max_entries: Annotated[
        int, typer.Option(min=1, help="Refuse images with more entries in their layers.")
    ] = 5_000_000,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Shield an image: the same layers, one more, and the same program inside an enclave."""
    from casemate.cli.build import build_command

    build_command(source, output, manifest, insecure_args, max_unpacked_size, max_entries, json_output)


@app.command()
def info(
    image: Annotated[str, typer.Argument(help="A shielded image: oci:…, oci-archive:… or docker-archive:…")],
    json_output: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show what a shielded image runs, with what, and what it was made from."""
    from casemate.cli.info import info_command

    info_command(image, json_output)


@app.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
def run(arguments: Annotated[list[str] | None, typer.Argument(metavar="IMAGE [OPTIONS] [-- ARGS]")] = None) -> None:
    """Run a shielded image here, without a container engine and without root."""
    from casemate.cli.run import run as run_command

    run_command(arguments or [])
