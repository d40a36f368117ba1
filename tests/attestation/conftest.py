"""A simulated vendor, and a platform that is registered with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from casemate.attestation.simulated.vendor import Vendor
from tests.attestation import live
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
    with live.live_vendor(tmp_path / "live", signer=vendor_path / "enclaves.key") as found:
        yield found
