"""``python -m tests.compatibility [MODULE…]``: measures what has no result yet and writes docs/compatibility.md.

With modules: measures those anew. ``make compatibility`` measures all of them, which takes the better part of an hour.
"""

from __future__ import annotations

import argparse
import os
import sys

from tests.compatibility import document, results
from tests.compatibility.measure import measure
from tests.compatibility.root import make_suite
from tests.images import ToolMissingError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.compatibility", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="measure these anew")
    parser.add_argument("--all", action="store_true", help="measure all modules anew")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="modules at the same time")
    parser.add_argument("--measure-only", action="store_true", help="write no document")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("the native side uses chroot and namespaces: run as root", file=sys.stderr)
        return 1
    try:
        suite = make_suite()
    except ToolMissingError as error:
        print(error, file=sys.stderr)
        return 1
    every = suite.modules()
    unknown = sorted(set(options.modules) - set(every))
    if unknown:
        print(f"no such modules in the suite: {' '.join(unknown)}", file=sys.stderr)
        return 2
    for module in every if options.all else options.modules:
        results.forget(module)
    measure(suite, options.modules or every, options.jobs, lambda line: print(line, flush=True))
    if options.measure_only:
        return 0
    try:
        document.write(suite)
    except document.IncompleteError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
