"""``python -m bench [PART…]``: programs natively (chroot) and inside, as ratios; then what a build and a signature cost, what
must not depend on size, and containers under an engine. Without PART all of them."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import building, engines, programs, scale, signing

PARTS: dict[str, Callable[[Path], None]] = {
    "programs": programs.main,
    "scale": scale.main,
    "building": building.main,
    "signing": signing.main,
    "engines": engines.main,
}


def main() -> None:
    wanted = sys.argv[1:] or list(PARTS)
    if unknown := [name for name in wanted if name not in PARTS]:
        sys.exit(f"bench: no part '{unknown[0]}'; the parts are {', '.join(PARTS)}")
    if os.geteuid() != 0:
        sys.exit("bench: the native side uses chroot: run as root")
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix="casemate-bench-") as place:
            print(f"\n{name}", flush=True)
            PARTS[name](Path(place))


if __name__ == "__main__":
    main()
