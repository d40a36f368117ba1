"""How long measuring and signing an enclave takes, without reading or writing an image."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from pathlib import Path

from bench.measure import row
from casemate.enclave.keys import new_key
from casemate.enclave.measure import variants
from casemate.enclave.signing import SigningOptions, sign, unsigned
from casemate.image.shielded import ENCLAVE, measured_block
from casemate.loader.files import runtime_file

ROUNDS = 9
SIZES_GIB = (1, 4, 64)
OPTIONS = SigningOptions(datetime.date(2026, 11, 24))


def least_ms(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best * 1000


def main(place: Path) -> None:
    """Rows by `sgx.enclave_size` and `sgx.edmm_enable`; `place` is a directory for what it makes."""
    enclave, measured = runtime_file(ENCLAVE).read_bytes(), measured_block(b"")
    key = new_key(place / "key.pem")

    def sign_all(manifest: dict[str, object]) -> None:
        for variant in variants(manifest, enclave, measured):
            sign(unsigned(variant.layout, OPTIONS), key)

    for size_gib in SIZES_GIB:
        for edmm in ("required", "off", "auto"):
            manifest = {"enclave_size": size_gib << 30, "max_threads": 256, "edmm": edmm}
            took = least_ms(lambda manifest=manifest: sign_all(manifest))  # type: ignore[misc]
            row(f"sign {size_gib} GiB, 256 threads, EDMM {edmm}", f"{took:.1f} ms", "≤ 150 ms" if size_gib == 1 else "")
