"""A simulated vendor, and a platform that is registered with it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn

from casemate.attestation.simulated.service import application
from casemate.attestation.simulated.vendor import Vendor
from tests.attestation.paper import Platform

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def vendor_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vendor") / "vendor"
    Vendor.create(path, url="http://127.0.0.1:9", at=AT)
    return path


@pytest.fixture
def vendor(vendor_path: Path) -> Vendor:
    return Vendor.open(vendor_path)


@pytest.fixture
def platform(vendor: Vendor) -> Platform:
    return Platform(vendor, AT)


@pytest.fixture
def live_vendor(vendor_path: Path, tmp_path: Path) -> Iterator[tuple[Vendor, str]]:
    """A vendor of the present, and the address at which it is served."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    vendor = Vendor.create(tmp_path / "live", url=url, signer=vendor_path / "enclaves.key")
    server = uvicorn.Server(uvicorn.Config(application(vendor.path), log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield vendor, url
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
