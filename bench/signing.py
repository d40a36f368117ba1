"""How long measuring and signing an enclave takes, without reading or writing an image: ``python -m bench.signing``."""

from __future__ import annotations

import datetime
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

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


def main() -> None:
    enclave, measured = runtime_file(ENCLAVE).read_bytes(), measured_block(b"")
    with tempfile.TemporaryDirectory(prefix="casemate-bench-") as name:
        key = new_key(Path(name) / "key.pem")

    def sign_all(manifest: dict[str, object]) -> None:
        for variant in variants(manifest, enclave, measured):
            sign(unsigned(variant.layout, OPTIONS), key)

    print(f"{'sgx.enclave_size, 256 threads':32} {'required':>10} {'off':>10} {'auto':>10}")
    for size_gib in SIZES_GIB:
        manifest = {"enclave_size": size_gib << 30, "max_threads": 256}
        times = [
            least_ms(lambda edmm=edmm, manifest=manifest: sign_all({**manifest, "edmm": edmm}))  # type: ignore[misc]
            for edmm in ("required", "off", "auto")
        ]
        print(f"{f'sign {size_gib} GiB':32} " + " ".join(f"{value:7.1f} ms" for value in times))


if __name__ == "__main__":
    main()
