"""Where Casemate keeps what it can make again: ``$XDG_CACHE_HOME/casemate`` (default ``~/.cache``)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_directory(*parts: str, make: bool = True) -> Path:
    """A directory in the cache, made if need be (and with ``make``), readable by its owner only."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The base directory specification: a relative path is invalid and ignored.
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    path = root / "casemate"
    if not make:
        return path.joinpath(*parts)
    root.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    for part in parts:
        path = path / part
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def replace_file(path: Path, data: bytes, *, mode: int = 0o600, sync: bool = False) -> None:
    """Puts a whole file into place: written beside, then renamed over."""
    fd, temporary = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
    try:
        with open(fd, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
