"""``casemate collateral`` as a person calls it, against a simulated vendor that is served."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from casemate.attestation.simulated.vendor import Vendor
from tests.attestation.paper import Platform, report_body


def casemate(*arguments: str | Path, db: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "casemate", *map(str, arguments), "--db", f"sqlite:///{db}"],
        capture_output=True,
        text=True,
        check=False,
    )


def test_sync_then_verify_offline_then_carry_it_elsewhere(
    live_vendor: tuple[Vendor, str],
    tmp_path: Path,
) -> None:
    vendor, url = live_vendor
    quote, db = tmp_path / "quote", tmp_path / "c.db"
    quote.write_bytes(Platform(vendor, datetime.now(UTC)).quote(report_body()))
    root = f"simulated:{vendor.path / 'root.pem'}"
    refused = casemate("quote", "verify", quote, "--root", root, db=db)
    assert refused.returncode == 1
    assert "casemate collateral sync" in refused.stderr
    done = casemate("collateral", "sync", "--url", url, "--quote", quote, "--root", root, db=db)
    assert done.returncode == 0, done.stderr
    verified = casemate("quote", "verify", quote, "--root", root, db=db)
    assert verified.returncode == 0, verified.stderr
    assert "a SIMULATED vendor" in verified.stdout
    assert "the vendor is simulated" in verified.stderr
    export, other = tmp_path / "export.json", tmp_path / "other.db"
    assert casemate("collateral", "export", export, db=db).returncode == 0
    verified = casemate("quote", "verify", quote, "--root", root, "--collateral", export, db=other)
    assert verified.returncode == 0, verified.stderr
    assert casemate("collateral", "import", export, "--root", root, db=other).returncode == 0
    (entry,) = json.loads(casemate("collateral", "list", "--json", db=other).stdout)
    assert entry["fmspc"] == vendor.state.fmspc
    assert entry["simulated"]
