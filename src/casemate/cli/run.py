"""``casemate run``: place the image's files and become its loader.

Every program start passes here, so the command line is read without the machinery of the other commands,
and what a second start of the same image does not need is imported only when it is.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn

from casemate.errors import UsageError
from casemate.loader.launch import RunOptions, Volume

_USAGE = "casemate run IMAGE [--platform auto|direct|softsgx|sgx] [--fuses FILE] [--faithful] [--aesm SOCKET] [--trace] [--stats] [-v HOST:PATH[:ro]] [-e NAME=VALUE] [-- ARGS]"


def run(arguments: list[str]) -> NoReturn:
    """Runs a shielded image; does not return."""
    image_text, options = parse_arguments(arguments)

    from casemate.image.references import DESTINATION_TRANSPORTS, parse_reference
    from casemate.image.sources import open_source
    from casemate.image.store import place, placed_before
    from casemate.loader.admission import check_options
    from casemate.loader.launch import launch

    reference = parse_reference(image_text, DESTINATION_TRANSPORTS)
    with open_source(reference) as image:
        placed = placed_before(image)
        if placed is None:
            from casemate.cli.progress import byte_progress

            with byte_progress() as report:
                placed = place(image, lambda size: report("unpacking", size, 0))
    check_options(placed, options)
    sys.stdout.flush()
    launch(placed, options)


def parse_arguments(arguments: list[str]) -> tuple[str, RunOptions]:
    """The image and how to run it; what follows ``--`` is the program's."""
    own, program = arguments, []
    if "--" in arguments:
        at = arguments.index("--")
        own, program = arguments[:at], arguments[at + 1 :]
    parser = _Parser(prog="casemate run", usage=_USAGE, description="Run a shielded image, without an engine or root.")
    parser.add_argument("image", metavar="IMAGE", help="oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE")
    parser.add_argument(
        "--platform", choices=("auto", "direct", "softsgx", "sgx"), default="auto", help="where it runs"
    )
    parser.add_argument("--fuses", metavar="FILE", help="softsgx: the machine's fuse file")
    parser.add_argument(
        "--faithful", action="store_true", help="softsgx: ENCLU is the instruction, trapped and emulated"
    )
    parser.add_argument(
        "--aesm", metavar="SOCKET", help="where the service that makes quotes listens (/var/run/aesmd/aesm.socket)"
    )
    parser.add_argument(
        "--trace",
        action="store_true",
        help="print system calls as strace does (an enclave only does so when it was signed with --debug)",
    )
    parser.add_argument("--stats", action="store_true", help="print counters at the end")
    parser.add_argument("--hostname", metavar="NAME", help="the host name inside")
    parser.add_argument(
        "-v", "--volume", action="append", default=[], metavar="HOST:PATH[:ro]", help="offer a host directory"
    )
    parser.add_argument(
        "-e", "--env", action="append", default=[], metavar="NAME[=VALUE]", help="set a variable the manifest admits"
    )
    parsed = parser.parse_args(own)
    return parsed.image, RunOptions(
        platform=parsed.platform,
        fuses=None if parsed.platform == "direct" else os.path.abspath(parsed.fuses or _default_fuses()),
        faithful=parsed.faithful,
        aesm=os.path.abspath(parsed.aesm) if parsed.aesm is not None else None,
        trace=parsed.trace,
        stats=parsed.stats,
        hostname=parsed.hostname,
        volumes=[parse_volume(text) for text in parsed.volume],
        environment=dict(parse_variable(text) for text in parsed.env),
        arguments=program,
    )


def _default_fuses() -> str:
    """Where the loader would look if it had this environment (XDG Base Directory Specification)."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "casemate", "fuses")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, where="casemate run", remedy=f"usage: {_USAGE}")


def parse_volume(text: str) -> Volume:
    """``HOST:PATH`` or ``HOST:PATH:ro``; the host directory must exist, the path inside be absolute."""
    rest, read_only = text, False
    if text.endswith((":ro", ":rw")):
        rest, read_only = text[:-3], text.endswith(":ro")
    host, colon, inside = rest.rpartition(":")
    if not colon or not host or not inside.startswith("/"):
        raise UsageError(
            "this is not a volume",
            where=f"-v {text!r}",
            remedy="write HOST:PATH or HOST:PATH:ro, with an absolute PATH",
        )
    if not os.path.isdir(host):
        raise UsageError(f"the host directory '{host}' does not exist", where=f"-v {text!r}", remedy="make it first")
    return Volume(os.path.abspath(host), os.path.normpath(inside), read_only)


def parse_variable(text: str) -> tuple[str, str]:
    """``NAME=VALUE``, or ``NAME`` for the value that it has here."""
    name, equals, value = text.partition("=")
    if not name:
        raise UsageError("this is not a variable", where=f"-e {text!r}", remedy="write NAME=VALUE")
    if not equals:
        if name not in os.environ:
            raise UsageError(f"the variable '{name}' is not set here", where=f"-e {text!r}", remedy="write NAME=VALUE")
        value = os.environ[name]
    return name, value
