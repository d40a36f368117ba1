"""``casemate platform``: what this machine has for running enclaves."""

from __future__ import annotations

import json
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


@platform_app.callback()
def _group() -> None:
    """Keeps ``check`` a command of its own while it is the only one."""
