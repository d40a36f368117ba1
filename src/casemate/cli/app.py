"""The commands and their options, as ``casemate --help`` shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from casemate import __version__
from casemate.cli.broker import broker_app
from casemate.cli.collateral import collateral_app
from casemate.cli.key import key_app
from casemate.cli.platform import platform_app
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
app.add_typer(platform_app)
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
def measure(
    source: Annotated[str, typer.Argument(help="The original image, as casemate build takes it.")],
    manifest: Annotated[Path | None, typer.Option("--manifest", help="As for casemate build.")] = None,
    insecure_args: Annotated[bool, typer.Option("--insecure-args", help="As for casemate build.")] = False,
    max_unpacked_size: Annotated[str, typer.Option(help="As for casemate build.")] = "64G",
    max_entries: Annotated[int, typer.Option(min=1, help="As for casemate build.")] = 5_000_000,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="Write a policy to this file, for casemate broker and casemate quote verify."),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Compute from the original image what MRENCLAVE its shielded image has."""
    from casemate.cli.build import parse_size
    from casemate.cli.verify import measure_command
    from casemate.image.build import BuildOptions

    options = BuildOptions(manifest, insecure_args, parse_size(max_unpacked_size), max_entries, fill_cache=False)
    measure_command(source, options, policy, json_output)


@app.command("verify-image")
def verify_image(
    image: Annotated[str, typer.Argument(help="The shielded image, signed or not.")],
    source: Annotated[str, typer.Option("--from", help="The original image, as casemate build takes it.")],
    manifest: Annotated[Path | None, typer.Option("--manifest", help="As for casemate build.")] = None,
    insecure_args: Annotated[bool, typer.Option("--insecure-args", help="As for casemate build.")] = False,
    max_unpacked_size: Annotated[str, typer.Option(help="As for casemate build.")] = "64G",
    max_entries: Annotated[int, typer.Option(min=1, help="As for casemate build.")] = 5_000_000,
    json_output: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say whether a shielded image is exactly what this version builds, and if not, the first difference."""
    from casemate.cli.build import parse_size
    from casemate.cli.verify import verify_command
    from casemate.image.build import BuildOptions

    options = BuildOptions(manifest, insecure_args, parse_size(max_unpacked_size), max_entries, fill_cache=False)
    verify_command(image, source, options, json_output)


@app.command()
def sign(
    image: Annotated[str, typer.Argument(help="A shielded image: oci:…, oci-archive:… or docker-archive:…")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Where the signed image goes; may be the same place.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="The signing key, as casemate key new makes it.")] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option("--passphrase-file", help="Read the key's passphrase from this file.")
    ] = None,
    emit: Annotated[
        Path | None,
        typer.Option("--emit", help="Write what is to be signed elsewhere: TBS, and TBS.static for a second enclave."),
    ] = None,
    attach: Annotated[
        list[Path] | None, typer.Option("--attach", help="A signature made elsewhere (raw); once for each enclave.")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option("--public-key", help="The public key of the attached signatures, in PEM.")
    ] = None,
    date: Annotated[
        str | None,
        typer.Option("--date", help="Day of signing, YYYY-MM-DD or today. Default: when the image was created."),
    ] = None,
    isv_prod_id: Annotated[
        int | None, typer.Option("--isv-prod-id", min=0, max=65535, help="Product number. Default: the manifest's.")
    ] = None,
    isv_svn: Annotated[
        int | None, typer.Option("--isv-svn", min=0, max=65535, help="Security version. Default: the manifest's.")
    ] = None,
    debug: Annotated[
        bool | None, typer.Option("--debug/--no-debug", help="Whether the host may debug it. Default: the manifest's.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Measure and sign the enclaves of a shielded image."""
    from casemate.cli.sign import SignArguments, sign_command

    sign_command(
        SignArguments(
            image=image,
            output=output,
            key=key,
            passphrase_file=passphrase_file,
            emit=emit,
            attach=attach or [],
            public_key=public_key,
            date=date,
            isv_prod_id=isv_prod_id,
            isv_svn=isv_svn,
            debug=debug,
            json_output=json_output,
        )
    )


@app.command()
def info(
    image: Annotated[str, typer.Argument(help="A shielded image: oci:…, oci-archive:… or docker-archive:…")],
    json_output: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show what a shielded image runs, with what, and what it was made from."""
    from casemate.cli.info import info_command

    info_command(image, json_output)


@app.command()
def encrypt(
    source: Annotated[Path, typer.Argument(help="A file, or a directory of files.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the protected files go.")],
    key: Annotated[Path, typer.Option("--key", help="The key, as casemate key new-file-key makes it.")],
    path: Annotated[
        str | None, typer.Option("--path", help="What the enclave opens it as. Default: the output as it is written.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Encrypt files for an application in an enclave."""
    from casemate.cli.files import encrypt_command

    encrypt_command(source, output, key, path, json_output)


@app.command()
def decrypt(
    source: Annotated[Path, typer.Argument(help="A protected file, or a directory of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the plain files go.")],
    key: Annotated[Path, typer.Option("--key", help="The key: a file of 16 bytes.")],
    path: Annotated[
        str | None, typer.Option("--path", help="The path it must carry. Default: one that ends in its name.")
    ] = None,
    any_path: Annotated[bool, typer.Option("--any-path", help="Take a file of any path.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Decrypt protected files, those of Gramine as well."""
    from casemate.cli.files import decrypt_command

    decrypt_command(source, output, key, path, any_path, json_output)


@app.command("verify-files")
def verify_files(
    source: Annotated[Path, typer.Argument(help="A protected file, or a directory of them.")],
    key: Annotated[Path, typer.Option("--key", help="The key: a file of 16 bytes.")],
    path: Annotated[str | None, typer.Option("--path", help="As for casemate decrypt.")] = None,
    any_path: Annotated[bool, typer.Option("--any-path", help="As for casemate decrypt.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Check every byte of protected files, and write nothing."""
    from casemate.cli.files import verify_command

    verify_command(source, key, path, any_path, json_output)


@app.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
def run(arguments: Annotated[list[str] | None, typer.Argument(metavar="IMAGE [OPTIONS] [-- ARGS]")] = None) -> None:
    """Run a shielded image here, without a container engine and without root."""
    from casemate.cli.run import run as run_command

    run_command(arguments or [])
