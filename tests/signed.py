"""Signs bundles for tests, with a key that exists for one test run."""

from __future__ import annotations

import datetime
import json
import tempfile
from functools import cache
from pathlib import Path

from casemate.enclave.keys import SigningKey, new_key
from casemate.enclave.measure import variants
from casemate.enclave.signing import SigningOptions, sign, unsigned

OPTIONS = SigningOptions(datetime.date(2026, 11, 27), isv_prod_id=7, isv_svn=3)


@cache
def key() -> SigningKey:
    with tempfile.TemporaryDirectory() as directory:
        return new_key(Path(directory) / "key.pem")


def sign_bundle(bundle: Path, options: SigningOptions = OPTIONS, only: str | None = None) -> dict[str, bytes]:
    """Writes the SIGSTRUCTs into a bundle; returns MRENCLAVE by variant. `only`: just this variant."""
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    found = {}
    for variant in variants(manifest, (bundle / "enclave").read_bytes(), (bundle / "measured").read_bytes()):
        if only in (None, variant.name):
            sigstruct = sign(unsigned(variant.layout, options), key())
            (bundle / variant.sigstruct_file).write_bytes(sigstruct.to_bytes())
            found[variant.name] = sigstruct.mrenclave
    return found
