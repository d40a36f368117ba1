"""``casemate broker``: serve, and what the owner does with a broker that serves."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from casemate.attestation import Root
    from casemate.broker.client import BrokerClient
    from casemate.broker.home import Home
    from casemate.broker.journal import Entry
    from casemate.broker.judging import CollateralSource, Expiries
    from casemate.broker.sealing import MasterKey
    from casemate.broker.serve import Address

broker_app = typer.Typer(name="broker", help="Release secrets to enclaves that prove themselves.", no_args_is_help=True)
secret_app = typer.Typer(name="secret", help="Secrets under policies.", no_args_is_help=True)
policy_app = typer.Typer(name="policy", help="Which enclaves may have a secret.", no_args_is_help=True)
result_app = typer.Typer(name="result", help="What enclaves sent back.", no_args_is_help=True)
log_app = typer.Typer(name="log", help="Every decision, chained.", invoke_without_command=True)
for each in (secret_app, policy_app, result_app, log_app):
    broker_app.add_typer(each)

Place = Annotated[
    Path | None,
    typer.Option(
        "--broker",
        envvar="CASEMATE_BROKER",
        help="The broker's directory, or a copy of its access.json.",
        show_default="~/.local/share/casemate/broker",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
ValueFile = Annotated[
    str | None, typer.Option("--file", metavar="FILE", help="The value, byte for byte; '-' for standard input.")
]
Generate = Annotated[bool, typer.Option("--generate", help="A random value: 16 bytes, as file keys have.")]


# --- Serving ---------------------------------------------------------------------------------------------


@broker_app.command("serve")
def serve(
    directory: Annotated[Path | None, typer.Argument(help="The broker's directory; made when it is not there.")] = None,
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where enclaves ask.")] = "0.0.0.0:8443",
    admin: Annotated[
        str, typer.Option("--admin", metavar="HOST:PORT", help="Where the owner asks.")
    ] = "127.0.0.1:8444",
    gramine: Annotated[
        str | None, typer.Option("--gramine", metavar="HOST:PORT", help="Where Gramine's clients ask.")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            "--database", metavar="URL", help="sqlite:///FILE or postgresql://…", show_default="in the directory"
        ),
    ] = None,
    master_key: Annotated[
        str | None,
        typer.Option(
            "--master-key",
            metavar="file:PATH|python:MODULE:NAME",
            help="What encrypts the secrets at rest; NAME makes a casemate.broker.sealing.MasterKey.",
            show_default="a file in the directory",
        ),
    ] = None,
    root: Annotated[
        str, typer.Option("--root", help="Where trust in quotes ends: intel, or simulated:FILE.")
    ] = "intel",
    collateral: Annotated[
        list[Path] | None,
        typer.Option(
            "--collateral",
            help="The vendor's word on platforms: exports of the cache, or one collateral each; may be repeated.",
            show_default="the cache of casemate collateral",
        ),
    ] = None,
    collateral_database: Annotated[
        str | None,
        typer.Option("--collateral-db", envvar="CASEMATE_COLLATERAL_DB", help="Where the cache is: a database URL."),
    ] = None,
    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh/--no-refresh",
            help="Renew the cache ahead of expiry, and fetch for genuine platforms that are not in it.",
        ),
    ] = True,
    pccs: Annotated[
        str | None,
        typer.Option(
            "--pccs",
            metavar="URL",
            help="From a service with the interface of Intel's PCS v4.",
            show_default="where each entry came from; Intel's",
        ),
    ] = None,
    ahead: Annotated[int, typer.Option("--ahead", min=0, help="Renew what expires within so many days.")] = 7,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="A name in the broker's certificate, for clients that check names (Gramine's)."),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the addresses as JSON.")] = False,
) -> None:
    """Serve until SIGTERM. The owner's other commands find the broker by its directory."""
    import asyncio
    import logging
    import signal

    from casemate.attestation import roots
    from casemate.broker.home import Home, default_home
    from casemate.broker.judging import quote_judge
    from casemate.broker.serve import Address, Broker, Settings
    from casemate.errors import UsageError

    if collateral and pccs:
        raise UsageError("collateral from files is not renewed", where="--pccs", remedy="leave out one of them")

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="casemate: %(message)s")
    trusted = roots.from_option(root)
    home = Home(directory or default_home(), name or ())
    _raise_limits()
    settings = Settings(Address.parse(listen), Address.parse(admin), Address.parse(gramine) if gramine else None)
    if trusted.simulated:
        print("casemate: warning: the vendor is simulated: quotes prove nothing about hardware", file=sys.stderr)

    async def run() -> None:
        master = _master_key(home, master_key)
        broker = Broker(home, database or home.database_url, master, quote_judge(source, trusted), settings, expiries)
        ending = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ending.set)
        await broker.run(lambda addresses: _announce(home, addresses, json_output), ending)

    with ExitStack() as running:
        if collateral:
            source, expiries = _files(collateral, trusted)
        else:
            renewal = (pccs, timedelta(days=ahead)) if refresh else None
            source, expiries = _cache(collateral_database, trusted, renewal, running)
        asyncio.run(run())


def _files(paths: list[Path], root: Root) -> tuple[CollateralSource, Expiries]:
    from casemate.broker.judging import collateral_files, file_expiries

    return collateral_files(paths, root), file_expiries(paths, root)


def _cache(
    url: str | None, root: Root, renewal: tuple[str | None, timedelta] | None, running: ExitStack
) -> tuple[CollateralSource, Expiries]:
    """The cache, and, where it is wanted, what renews it: from which service, how far ahead."""
    from casemate.attestation.store import CollateralStore, default_url
    from casemate.broker.judging import stored_collateral, stored_expiries
    from casemate.broker.renewal import CollateralRenewal

    store = CollateralStore(url or default_url())
    running.callback(store.close)
    if renewal is None:
        return stored_collateral(store, root), stored_expiries(store, root)
    pccs, ahead = renewal
    renewing = CollateralRenewal(store, root, pccs=pccs, ahead=ahead)
    renewing.start()
    running.callback(renewing.close)
    return stored_collateral(store, root, renewing.want), stored_expiries(store, root)


def _announce(home: Home, addresses: dict[str, Address], json_output: bool) -> None:
    if json_output:
        value = {name: str(address) for name, address in addresses.items()}
        print(json.dumps({**value, "pin": f"sha256:{home.pin.hex()}"}), flush=True)
        return
    lines = [f"  {name:<10}{address}" for name, address in addresses.items()]
    print("\n".join([str(home.path), *lines, f"  {'pin':<10}sha256:{home.pin.hex()}"]), flush=True)


def _raise_limits() -> None:
    """As many open files as are allowed: each connection is one."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _master_key(home: Home, option: str | None) -> MasterKey:
    from importlib import import_module

    from casemate.broker.sealing import FileMasterKey
    from casemate.errors import UsageError

    if option is None:
        return home.master_key()
    kind, _, rest = option.partition(":")
    if kind == "file" and rest:
        return FileMasterKey.load(Path(rest))
    module, colon, name = rest.partition(":")
    if kind != "python" or not colon:
        raise UsageError(
            f"'{option}' is no master key", where="--master-key", remedy="say file:PATH or python:MODULE:NAME"
        )
    try:
        made: MasterKey = getattr(import_module(module), name)()
    except (ImportError, AttributeError) as error:
        raise UsageError(f"cannot load it: {error}", where=f"--master-key {option}") from None
    return made


@broker_app.command("identity")
def identity(
    directory: Annotated[Path | None, typer.Argument(help="The broker's directory; made when it is not there.")] = None,
) -> None:
    """Print the pin of the broker's key, which manifests name as secrets.broker_key."""
    from casemate.broker.home import Home, default_home

    print(f"sha256:{Home(directory or default_home()).pin.hex()}")


# --- Secrets ---------------------------------------------------------------------------------------------


@secret_app.command("put")
def secret_put(
    name: str,
    policy: Annotated[
        str, typer.Option("--policy", help="A policy's name, or its file, which is then put under the secret's name.")
    ],
    file: ValueFile = None,
    generate: Generate = False,
    kind: Annotated[str, typer.Option("--kind", help="key (16 bytes), env, arg or file.")] = "file",
    gramine: Annotated[bool, typer.Option("--gramine", help="Release it over Gramine's protocol too.")] = False,
    broker: Place = None,
) -> None:
    """Put a new secret under a policy."""
    value = _value(file, generate)
    with _client(broker) as client:
        if "/" in policy or policy.endswith(".toml"):
            client.put_policy(name, _text(Path(policy)))
            policy = name
        client.put_secret(name, kind, policy, value, gramine=gramine)
    print(name)


@secret_app.command("list")
def secret_list(json_output: Json = False, broker: Place = None) -> None:
    """List secrets, without their values."""
    with _client(broker) as client:
        found = client.secrets()
    _print(found, json_output, ("name", "kind", "policy", "version", "updated"))


@secret_app.command("rotate")
def secret_rotate(name: str, file: ValueFile = None, generate: Generate = False, broker: Place = None) -> None:
    """Give a secret another value; enclaves that ask from now on get it."""
    value = _value(file, generate)
    with _client(broker) as client:
        print(f"{name} {client.rotate_secret(name, value)['version']}")


@secret_app.command("rm")
def secret_rm(name: str, broker: Place = None) -> None:
    """Remove a secret."""
    with _client(broker) as client:
        client.remove_secret(name)


# --- Policies --------------------------------------------------------------------------------------------


@policy_app.command("put")
def policy_put(name: str, file: Path, broker: Place = None) -> None:
    """Put a policy (TOML), or replace one; secrets under it follow it from now on."""
    document = _text(file)
    with _client(broker) as client:
        client.put_policy(name, document)
    print(name)


@policy_app.command("list")
def policy_list(json_output: Json = False, broker: Place = None) -> None:
    """List policies."""
    with _client(broker) as client:
        found = client.policies()
    _print(found, json_output, ("name", "updated"))


@policy_app.command("show")
def policy_show(name: str, broker: Place = None) -> None:
    """Print a policy."""
    from casemate.broker.errors import NotThereError

    with _client(broker) as client:
        documents = {each["name"]: each["document"] for each in client.policies()}
    if name not in documents:
        raise NotThereError(f"there is no policy '{name}'")
    print(documents[name], end="")


@policy_app.command("rm")
def policy_rm(name: str, broker: Place = None) -> None:
    """Remove a policy that guards nothing."""
    with _client(broker) as client:
        client.remove_policy(name)


# --- The log ---------------------------------------------------------------------------------------------


@log_app.callback()
def log(
    context: typer.Context,
    after: Annotated[int, typer.Option("--after", help="Only records above this number.")] = 0,
    json_output: Json = False,
    broker: Place = None,
) -> None:
    """Print the log: every decision and every change, one line each."""
    if context.invoked_subcommand is not None:
        return
    with _client(broker) as client:
        for entry in client.log(after):
            print(json.dumps(entry.as_json()) if json_output else _line(entry))


@log_app.command("verify")
def log_verify(
    noted: Annotated[
        list[str] | None,
        typer.Option("--noted", metavar="NUMBER:HASH", help="A record's hash as an earlier verification printed it."),
    ] = None,
    broker: Place = None,
) -> None:
    """Check that no record was changed, removed or put in. Note what it prints, for --noted the next time."""
    from casemate.broker.journal import verify_chain

    with _client(broker) as client:
        last = verify_chain(client.log(), dict(_noted(text) for text in noted or []))
    print(f"{last.number}:{last.hash.hex()}" if last else "the log is empty")


def _noted(text: str) -> tuple[int, bytes]:
    from casemate.errors import UsageError

    number, _, digest = text.partition(":")
    try:
        return int(number), bytes.fromhex(digest)
    except ValueError:
        raise UsageError(f"'{text}' is no record's hash", where="--noted", remedy="write NUMBER:HASH") from None


def _line(entry: Entry) -> str:
    record: dict[str, Any] = json.loads(entry.record)
    enclave = record.get("enclave")
    parts = [
        str(entry.number),
        record["time"],
        record["action"],
        record.get("outcome", ""),
        f"enclave {enclave['mrenclave'][:16]}…" if enclave else "",
        ", ".join(record["secrets"]) if record.get("secrets") else record.get("secret", record.get("result", "")),
        record.get("why", ""),
        # Secrets under one policy fail for the same reasons: each is said once.
        "; ".join(
            dict.fromkeys(
                f"{each['claim']}: expected {each['expected']}, found {each['found']}"
                for each in record.get("failures", [])
            )
        ),
    ]
    return _printable("  ".join(part for part in parts if part))


# --- Results ---------------------------------------------------------------------------------------------


@result_app.command("list")
def result_list(
    name: Annotated[str | None, typer.Argument(help="Only results of this name.")] = None,
    json_output: Json = False,
    broker: Place = None,
) -> None:
    """List results, oldest first."""
    with _client(broker) as client:
        found = client.results(name)
    _print(found, json_output, ("id", "name", "size", "received", "mrenclave"))


@result_app.command("get")
def result_get(
    which: Annotated[str, typer.Argument(metavar="NAME|ID", help="A result's number, or a name: its newest.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where it goes.", show_default="standard output")
    ] = None,
    broker: Place = None,
) -> None:
    """Fetch a result."""
    from casemate.broker.errors import NotThereError
    from casemate.errors import describe_os_error

    with _client(broker) as client:
        number = int(which) if which.isdecimal() else max((each["id"] for each in client.results(which)), default=None)
        if number is None:
            raise NotThereError(f"there is no result '{which}'")
        data = client.result(number)
    if output is None:
        sys.stdout.buffer.write(data)
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise describe_os_error(error, "cannot write the result", str(output)) from None


@result_app.command("rm")
def result_rm(number: int, broker: Place = None) -> None:
    """Remove a result."""
    with _client(broker) as client:
        client.remove_result(number)


# --- Shared ----------------------------------------------------------------------------------------------


def _client(place: Path | None) -> BrokerClient:
    from casemate.broker.client import BrokerClient
    from casemate.broker.home import default_home

    return BrokerClient.at(place or default_home())


def _value(file: str | None, generate: bool) -> bytes:
    """A secret's value. It never comes from the command line, which others can see."""
    import secrets

    from casemate.errors import UsageError, describe_os_error

    if (file is None) == (not generate):
        raise UsageError("the value comes from one place", remedy="give --file FILE (or '-') or --generate")
    if file is None:
        return secrets.token_bytes(16)
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise describe_os_error(error, "cannot read the secret", file) from None


def _text(path: Path) -> str:
    from casemate.errors import describe_os_error

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError):
            raise describe_os_error(error, "cannot read the policy", str(path)) from None
        from casemate.broker.errors import BrokerError

        raise BrokerError("this is not text in UTF-8", where=str(path)) from None


def _print(rows: list[dict[str, Any]], json_output: bool, columns: tuple[str, ...]) -> None:
    if json_output:
        print(json.dumps(rows))
        return
    texts = [columns, *(tuple(_printable(str(row[column])) for column in columns) for row in rows)]
    widths = [max(len(text[number]) for text in texts) for number in range(len(columns))]
    for text in texts:
        print("  ".join(part.ljust(width) for part, width in zip(text, widths, strict=True)).rstrip())


def _printable(text: str) -> str:
    """On one line: names that others chose must not forge lines or steer the terminal."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)
