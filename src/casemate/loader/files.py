"""The runtime binaries that are part of the installed package."""

from __future__ import annotations

from pathlib import Path

from casemate.errors import RuntimeFilesError

RUNTIME_DIRECTORY = Path(__file__).resolve().parent.parent / "_runtime"


def runtime_file(name: str) -> Path:
    """``casemate-host``, ``enclave`` or ``init``, as built for this version."""
    path = RUNTIME_DIRECTORY / name
    if not path.is_file():
        raise RuntimeFilesError(
            f"the runtime file '{name}' is missing",
            where=str(RUNTIME_DIRECTORY),
            remedy="install the casemate wheel, or run make install in the source tree",
        )
    return path
