"""Delta debugging: the shortest part of a script that still fails."""

from __future__ import annotations

import time
from collections.abc import Callable


def shrink(script: list[str], fails: Callable[[list[str]], bool], seconds: float = 60.0) -> list[str]:
    """Removes lines as long as `fails` stays true; gives up after some time and returns the best so far."""
    deadline = time.monotonic() + seconds
    size = max(1, len(script) // 2)
    while True:
        removed = False
        at = 0
        while at < len(script):
            if time.monotonic() > deadline:
                return script
            shorter = script[:at] + script[at + size :]
            if shorter and fails(shorter):
                script = shorter
                removed = True
            else:
                at += size
        if size == 1 and not removed:
            return script
        if not removed or size > len(script):
            size = max(1, size // 2)
