"""A simulated vendor that is served in a thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import uvicorn

from casemate.attestation.simulated.service import application
from casemate.attestation.simulated.vendor import Vendor


@contextmanager
def live_vendor(path: Path, *, signer: Path | None = None, at: datetime | None = None) -> Iterator[tuple[Vendor, str]]:
    """A new vendor, of the present or of a time before, and the address at which it is served."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    vendor = Vendor.create(path, url=url, at=at, signer=signer)
    server = uvicorn.Server(uvicorn.Config(application(vendor.path), log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield vendor, url
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
