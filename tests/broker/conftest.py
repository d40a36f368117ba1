from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.enclaves import Running, serving


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Running]:
    with serving(tmp_path / "broker") as running:
        yield running
