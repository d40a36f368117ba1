from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from casemate.attestation.ratls.certificate import QuoteSource
from casemate.loader.files import runtime_file
from tests.broker.enclaves import Running, serving
from tests.broker.init_root import InitRoot

NewRoot = Callable[[QuoteSource], InitRoot]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Running]:
    with serving(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def new_root(tmp_path: Path, busybox_rootfs: Path) -> NewRoot:
    """A root for ``casemate-init`` to run in, whose quotes come from a source."""
    if runtime_file("init").read_bytes() == b"\x7fELF init":
        pytest.skip("casemate-init is not built")
    if subprocess.run(["unshare", "-r", "true"], capture_output=True).returncode:
        pytest.skip("neither root nor user namespaces")
    return lambda quote: InitRoot(tmp_path / "root", busybox_rootfs / "bin/busybox", quote)
