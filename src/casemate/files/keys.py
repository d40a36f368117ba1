"""Keys of protected files: 16 bytes as they are, which is what Gramine's tools write, too."""

from __future__ import annotations

import os
from pathlib import Path

from casemate.enclave.keys import write_key_file
from casemate.errors import describe_os_error
from casemate.files.errors import FileKeyError

KEY_BYTES = 16


def new_file_key(path: Path) -> None:
    """Makes a key in a file that must not exist, readable by its owner only."""
    write_key_file(path, os.urandom(KEY_BYTES))


def read_file_key(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            key = file.read(KEY_BYTES + 1)
    except OSError as error:
        raise describe_os_error(error, "cannot read the key", str(path)) from None
    if len(key) != KEY_BYTES:
        size = f"{len(key)} bytes" if len(key) < KEY_BYTES else "more"
        raise FileKeyError(
            f"a key of protected files has {KEY_BYTES} bytes, this file has {size}",
            where=str(path),
            remedy="make one with `casemate key new-file-key FILE`",
        )
    return key
