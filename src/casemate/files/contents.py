"""One file, encrypted or decrypted into another that is open."""

from __future__ import annotations

import os
from typing import BinaryIO

from casemate._core import ProtectedFile, ProtectedFileError
from casemate.errors import UsageError
from casemate.files.errors import ProtectedFilesError

_PART = 4 << 20


def encrypt_into(source: BinaryIO, to: BinaryIO, key: bytes, path: str) -> int:
    """Writes what is left of `source` as the protected file of this path; how many bytes it was."""
    try:
        file = ProtectedFile.create(to.fileno(), key, os.fsencode(path))
    except ProtectedFileError as error:
        raise UsageError(str(error), where=path, remedy="choose a path of 1 to 771 bytes") from None
    size = 0
    while part := source.read(_PART):
        file.write(size, part)
        size += len(part)
    file.flush()
    return size


def decrypt_from(source: BinaryIO, to: BinaryIO | None, key: bytes, where: str) -> tuple[int, str]:
    """Checks every byte of a protected file and writes it to `to`, if there is that; how many it has, and its path."""
    try:
        file = ProtectedFile.open(source.fileno(), key, None)
        done = 0
        while part := file.read(done, _PART):
            done += len(part)
            if to is not None:
                to.write(part)
        return done, os.fsdecode(file.path)
    except ProtectedFileError as error:
        raise ProtectedFilesError(f"cannot decrypt it: {error}", where=where) from None
