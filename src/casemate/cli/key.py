"""``casemate key``: signing keys, and keys of protected files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

key_app = typer.Typer(
    name="key", help="Make and look at signing keys and keys of protected files.", no_args_is_help=True
)

PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="Read the key's passphrase from this file.")
]


@key_app.command("new")
def new(
    file: Annotated[Path, typer.Argument(help="Where the key goes; must not exist.")],
    passphrase_file: PassphraseFile = None,
    ask_passphrase: Annotated[
        bool, typer.Option("--ask-passphrase", help="Ask for a passphrase on the terminal.")
    ] = False,
) -> None:
    """Make a signing key (RSA-3072, exponent 3) that only you can read."""
    from casemate.enclave.keys import new_key, read_passphrase
    from casemate.errors import UsageError

    if passphrase_file and ask_passphrase:
        raise UsageError("there are two passphrases", remedy="choose --passphrase-file or --ask-passphrase")
    passphrase = read_passphrase(passphrase_file) if passphrase_file else None
    if ask_passphrase:
        passphrase = _ask_twice()
    key = new_key(file, passphrase)
    print(f"{file}\n  signer    {key.mrsigner.hex()}")


@key_app.command("new-file-key")
def new_file_key(file: Annotated[Path, typer.Argument(help="Where the key goes; must not exist.")]) -> None:
    """Make a key of protected files (16 random bytes) that only you can read."""
    from casemate.files import new_file_key as make

    make(file)
    print(file)


@key_app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="A private or public key in PEM format.")],
    passphrase_file: PassphraseFile = None,
    public: Annotated[bool, typer.Option("--public", help="Print the public key in PEM format instead.")] = False,
) -> None:
    """Print the signer identity (MRSIGNER) of the enclaves that a key signs."""
    from casemate._core import mr_signer
    from casemate.enclave.keys import load_public_modulus, load_signing_key, read_passphrase

    if passphrase_file or public:
        key = load_signing_key(file, read_passphrase(passphrase_file) if passphrase_file else None)
        for warning in key.warnings:
            print(f"casemate: warning: {warning}", file=sys.stderr)
        print(key.public_pem().decode("ascii"), end="") if public else print(key.mrsigner.hex())
    else:
        print(mr_signer(load_public_modulus(file)).hex())


def _ask_twice() -> bytes:
    from getpass import getpass

    from casemate.errors import UsageError

    first = getpass("Passphrase for the new key: ")
    if not first:
        raise UsageError("the passphrase is empty", remedy="leave --ask-passphrase out for a key without one")
    if getpass("The same again: ") != first:
        raise UsageError("the two passphrases differ", remedy="run it again")
    return first.encode()
