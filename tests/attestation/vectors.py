"""The genuine quote of ``../shared/vectors/quotes`` and what its README says about it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from casemate.attestation import Collateral

QUOTES = Path(__file__).parents[2].parent / "shared" / "vectors" / "quotes"
needs_vectors = pytest.mark.skipif(not QUOTES.exists(), reason="../shared/vectors is not there")

QUOTE_FILE = QUOTES / "sgx_quote"
COLLATERAL_FILE = QUOTES / "sgx_quote_collateral.json"
MRENCLAVE = bytes.fromhex("33d8736db756ed4997e04ba358d27833188f1932ff7b1d156904d3f560452fbb")
STATUS = "ConfigurationAndSWHardeningNeeded"
ADVISORIES = ("INTEL-SA-00289", "INTEL-SA-00615")
VALID_FROM = datetime(2025, 6, 19, 10, 56, 11, tzinfo=UTC)
VALID_UNTIL = datetime(2025, 7, 19, 10, 1, 18, tzinfo=UTC)  # of the QE identity, the first to expire
WITHIN = datetime(2025, 7, 1, tzinfo=UTC)


@cache
def quote() -> bytes:
    return QUOTE_FILE.read_bytes()


@cache
def collateral() -> Collateral:
    return Collateral.from_json(COLLATERAL_FILE.read_bytes(), str(COLLATERAL_FILE))
