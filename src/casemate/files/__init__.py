"""Protected files for people: files in the encrypted format that a program in an enclave reads and writes.

The format is Gramine's (docs/formats/protected-files.md), so files of either open with the other.
"""

from casemate.files.errors import FileKeyError, ProtectedFilesError
from casemate.files.keys import KEY_BYTES, new_file_key, read_file_key
from casemate.files.trees import Outcome, decrypt, encrypt, verify

__all__ = [
    "KEY_BYTES",
    "FileKeyError",
    "Outcome",
    "ProtectedFilesError",
    "decrypt",
    "encrypt",
    "new_file_key",
    "read_file_key",
    "verify",
]
