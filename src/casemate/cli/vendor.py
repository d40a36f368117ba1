"""``casemate vendor``: a simulated vendor of SGX platforms, for machines without SGX."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

vendor_app = typer.Typer(
    name="vendor",
    help="Be a SIMULATED vendor of SGX platforms. What it certifies proves nothing about hardware.",
    no_args_is_help=True,
)

Directory = Annotated[Path, typer.Argument(help="The vendor's directory.")]


@vendor_app.command("init")
def init(
    directory: Directory,
    url: Annotated[str, typer.Option("--url", help="Where its service will be reached.")] = "http://127.0.0.1:8081",
) -> None:
    """Make a vendor: a root, a PCK authority, a TCB signer, and the key that signs its enclaves."""
    from casemate.attestation.simulated.vendor import Vendor

    vendor = Vendor.create(directory, url=url.rstrip("/"))
    print(f"{directory / 'root.pem'}\n  FMSPC     {vendor.state.fmspc}")


@vendor_app.command("serve")
def serve(
    directory: Directory,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0: any.")] = 8081,
) -> None:
    """Serve it with the paths and headers of Intel's Provisioning Certification Service, version 4."""
    import uvicorn

    from casemate.attestation.simulated.service import application
    from casemate.attestation.simulated.vendor import Vendor

    Vendor.open(directory)
    uvicorn.run(application(directory), host=host, port=port, log_level="warning", access_log=False)


@vendor_app.command("recover")
def recover(
    directory: Directory,
    advisory: Annotated[str, typer.Option("--advisory", help="The name of the advisory.")] = "SIM-SA-00001",
) -> None:
    """Publish a TCB recovery: platforms are out of date until their patch level is raised."""
    from datetime import UTC, datetime

    from casemate.attestation.simulated.vendor import Vendor

    vendor = Vendor.open(directory)
    vendor.recover(advisory, datetime.now(UTC).replace(microsecond=0))
    print(
        f"TCB evaluation {vendor.state.evaluation_number}: platforms need component {vendor.state.levels[0].component}"
    )


@vendor_app.command("revoke")
def revoke(
    directory: Directory,
    ppid: Annotated[str, typer.Argument(help="The platform's PPID: 32 hexadecimal digits.")],
) -> None:
    """Revoke a platform's certificate."""
    from datetime import UTC, datetime

    from casemate.attestation.simulated.vendor import Vendor
    from casemate.errors import UsageError

    try:
        identity = bytes.fromhex(ppid)
    except ValueError:
        identity = b""
    if len(identity) != 16:
        raise UsageError(f"'{ppid}' is no PPID", remedy="give 32 hexadecimal digits")
    Vendor.open(directory).revoke(identity, datetime.now(UTC))
    print("revoked")
