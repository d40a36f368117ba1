"""``casemate platform``: what this machine has for running enclaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

platform_app = typer.Typer(name="platform", help="Look at this machine.", no_args_is_help=True)


@platform_app.command("check")
def check(json_output: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False) -> None:
    """Say what this machine has and lacks, and which platform `casemate run` takes.

    Exit status 0: hardware enclaves run here. 1: only simulated ones, which protect nothing. 3: nothing runs as it is.
    """
    from casemate.loader.hardware import gather, judge

    judgement = judge(gather())
    if json_output:
        print(json.dumps(judgement.to_json()))
    else:
        for finding in judgement.findings:
            note = "" if finding.needed_for == "everything" else f" (for {finding.needed_for})"
            print(f"{finding.state:<9}{finding.name:<36}{finding.found}{note}")
            if finding.remedy:
                print(f"{'':9}{'':36}→ {finding.remedy}")
        print(f"platform {judgement.platform or 'none'}: {judgement.reason}")
    raise typer.Exit(judgement.exit_status)


State = Annotated[
    Path | None,
    typer.Option("--state", help="The platform's directory. Default: platform in casemate's state directory."),
]
FuseOption = Annotated[
    Path | None, typer.Option("--fuses", help="The machine's fuse file, as the loader takes it. Default: the loader's.")
]


@platform_app.command("register")
def register(
    vendor: Annotated[str, typer.Option("--vendor", help="Address of the simulated vendor's service.")],
    state: State = None,
    fuses: FuseOption = None,
) -> None:
    """Register this machine's SIMULATED platform with a simulated vendor, and fetch its certificate."""
    from casemate.attestation.simulated.platform import Platform

    platform = Platform.of_user(state, fuses)
    ppid = platform.register(vendor)
    print(f"{platform.state}\n  PPID      {ppid.hex()}")


@platform_app.command("serve")
def serve(
    socket: Annotated[
        Path, typer.Option("--socket", help="Where it listens. Intel's service has /var/run/aesmd/aesm.socket.")
    ],
    state: State = None,
    fuses: FuseOption = None,
) -> None:
    """Make quotes for this machine's simulated enclaves, with the protocol of Intel's service (AESM)."""
    from casemate.attestation.simulated.platform import Platform

    Platform.of_user(state, fuses).serve(socket)
