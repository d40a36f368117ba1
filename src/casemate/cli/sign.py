"""``casemate sign``: measure a shielded image's enclaves and sign them, here or elsewhere."""

from __future__ import annotations

import datetime
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from casemate.cli.progress import byte_progress
from casemate.enclave.errors import PassphraseNeededError, SigStructError
from casemate.enclave.keys import SigningKey, load_public_modulus, load_signing_key, read_passphrase
from casemate.errors import UsageError, describe_os_error
from casemate.image.cachedir import replace_file
from casemate.image.references import DESTINATION_TRANSPORTS, parse_reference
from casemate.image.signed import (
    Choices,
    Measured,
    SignResult,
    attach_measured,
    measure_image,
    sign_measured,
    write_signed,
)
from casemate.image.sources import open_source

_SIGNATURE_BYTES = 384


@dataclass(frozen=True, slots=True)
class SignArguments:
    """The command line of ``casemate sign``."""

    image: str
    output: str | None = None
    key: Path | None = None
    passphrase_file: Path | None = None
    emit: Path | None = None
    attach: list[Path] = field(default_factory=list)
    public_key: Path | None = None
    date: str | None = None
    isv_prod_id: int | None = None
    isv_svn: int | None = None
    debug: bool | None = None
    json_output: bool = False


def sign_command(arguments: SignArguments) -> None:
    _check_mode(arguments)
    choices = Choices(
        parse_date(arguments.date) if arguments.date else None,
        arguments.isv_prod_id,
        arguments.isv_svn,
        arguments.debug,
    )
    reference = parse_reference(arguments.image, DESTINATION_TRANSPORTS)
    if arguments.emit is not None:
        with open_source(reference) as image:
            measured = measure_image(image, choices)
        _emit(measured, arguments.emit, arguments.json_output)
        return
    destination = parse_reference(arguments.output or "", DESTINATION_TRANSPORTS)
    # Keys and signatures first: what is wrong with them is known before anything slow begins.
    key = _load_key(arguments.key, arguments.passphrase_file) if arguments.key else None
    modulus = load_public_modulus(arguments.public_key) if arguments.public_key else b""
    signatures = {str(path): _read_signature(path) for path in arguments.attach}
    with open_source(reference) as image:
        measured = measure_image(image, choices)
        signed = sign_measured(measured, key) if key else attach_measured(measured, signatures, modulus)
        with byte_progress() as report:
            result = write_signed(
                image, measured, signed, destination, lambda more, total: report("writing", more, total)
            )
    for warning in [*(key.warnings if key else ()), *result.warnings]:
        print(f"casemate: warning: {warning}", file=sys.stderr)
    print(json.dumps(result.to_json()) if arguments.json_output else _summary(result))


def parse_date(text: str) -> datetime.date:
    """``YYYY-MM-DD``, or ``today`` (in UTC)."""
    if text == "today":
        return datetime.datetime.now(datetime.UTC).date()
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise UsageError("this is not a date", where=f"--date {text!r}", remedy="write YYYY-MM-DD, or today") from None


def _check_mode(arguments: SignArguments) -> None:
    """Exactly one of --key, --emit and --attach, each with what belongs to it."""
    modes = {"--key": arguments.key, "--emit": arguments.emit, "--attach": arguments.attach or None}
    given = [name for name, value in modes.items() if value is not None]
    if len(given) != 1:
        raise UsageError(
            f"{' and '.join(given)} exclude each other" if given else "there is nothing to sign with",
            remedy="give --key FILE, or --emit TBS, or --attach SIGNATURE with --public-key PEM",
        )
    belongs = {"--passphrase-file": "--key", "--public-key": "--attach"}
    values = {"--passphrase-file": arguments.passphrase_file, "--public-key": arguments.public_key}
    for name, mode in belongs.items():
        if values[name] is not None and given[0] != mode:
            raise UsageError(f"{name} has no meaning with {given[0]}", remedy=f"leave it out, or give {mode}")
    if arguments.attach and arguments.public_key is None:
        raise UsageError("--attach needs the public key", remedy="give it with --public-key PEM")
    if (arguments.output is None) != (arguments.emit is not None):
        if arguments.output is None:
            raise UsageError("where the signed image goes is missing", remedy="give it with -o DEST")
        raise UsageError("--emit writes no image", remedy="leave -o out")


def _load_key(path: Path, passphrase_file: Path | None) -> SigningKey:
    passphrase = read_passphrase(passphrase_file) if passphrase_file else None
    try:
        return load_signing_key(path, passphrase)
    except PassphraseNeededError:
        if not sys.stdin.isatty():
            raise
    from getpass import getpass

    return load_signing_key(path, getpass(f"Passphrase of {path}: ").encode())


def _read_signature(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_SIGNATURE_BYTES + 1)
    except OSError as error:
        raise describe_os_error(error, "cannot read the signature", str(path)) from None
    if len(data) != _SIGNATURE_BYTES:
        size = str(len(data)) if len(data) < _SIGNATURE_BYTES else f"more than {_SIGNATURE_BYTES}"
        raise SigStructError(
            f"a signature has {_SIGNATURE_BYTES} bytes, this has {size}",
            where=str(path),
            remedy="give the raw RSA-3072 signature, not in PEM, hex or base64",
        )
    return data


def _emit(measured: Measured, path: Path, json_output: bool) -> None:
    """The preferred enclave's bytes go to ``path``, another's to ``path.VARIANT``."""
    written = {}
    for number, enclave in enumerate(measured.enclaves):
        file = path if number == 0 else path.with_name(f"{path.name}.{enclave.variant}")
        try:
            replace_file(file, enclave.sigstruct.to_be_signed(), mode=0o644, sync=True)
        except OSError as error:
            raise describe_os_error(error, "cannot write what is to be signed", str(file)) from None
        written[enclave.variant] = {"file": str(file), "mrenclave": enclave.sigstruct.mrenclave.hex()}
    for warning in measured.warnings:
        print(f"casemate: warning: {warning}", file=sys.stderr)
    if json_output:
        print(json.dumps({"to_be_signed": written, "warnings": measured.warnings}))
    else:
        print("\n".join(f"{each['file']}\n  {name:<9} {each['mrenclave']}" for name, each in written.items()))


def _summary(result: SignResult) -> str:
    measurements = "\n".join(f"  {variant:<9} {value}" for variant, value in result.mrenclave.items())
    return (
        f"{result.image}\n"
        f"  image     {result.digest}\n"
        f"{measurements}\n"
        f"  signer    {result.mrsigner}\n"
        f"  product   {result.isv_prod_id}, security version {result.isv_svn}, {'DEBUG, ' if result.debug else ''}"
        f"signed on {result.date}"
    )
