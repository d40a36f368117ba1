"""What can be wrong with protected files and their keys."""

from __future__ import annotations

from casemate.errors import CasemateError


class FileKeyError(CasemateError):
    """A file is no key of protected files."""


class ProtectedFilesError(CasemateError):
    """A file cannot be encrypted, or is not what it should be."""
