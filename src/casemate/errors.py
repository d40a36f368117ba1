"""The one base of every error that a user can cause, and how it explains itself.

A ``CasemateError`` says what is wrong, where, and what to do about it. The command line prints
``diagnostics()`` and nothing else: a traceback means a bug in Casemate.
"""

from __future__ import annotations

import errno


class CasemateError(Exception):
    """A mistake or a condition that the user can act on.

    ``what`` is lowercase, specific and carries the offending value; ``where`` names the file, layer or
    key; ``remedy`` is an instruction.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def diagnostics(self) -> str:
        """One sentence: where, what, and what to do."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.remedy}" if self.remedy else text

    def __str__(self) -> str:
        return self.diagnostics()


class UsageError(CasemateError):
    """The command line itself does not make sense."""

    exit_code = 2


class ImageError(CasemateError):
    """An image cannot be read, or must not be believed."""


class OutputError(CasemateError):
    """The result cannot be written; nothing half-written is left behind."""


class RuntimeFilesError(CasemateError):
    """The loader or the enclave image is missing from this installation."""


def describe_os_error(error: OSError, doing: str, path: str | None = None) -> CasemateError:
    """Turns an operating-system error into one that says what to do about it."""
    remedies = {
        errno.ENOSPC: "free some space and run it again",
        errno.EDQUOT: "free some space within the quota and run it again",
        errno.EFBIG: "raise the file size limit (ulimit -f) and run it again",
        errno.EACCES: "check the permissions",
        errno.EPERM: "check the permissions",
        errno.ENOENT: "check the path",
        errno.EROFS: "choose a place that can be written",
    }
    where = path or (str(error.filename) if error.filename else None)
    reason = error.strerror or str(error)
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
    kind = OutputError if error.errno in full else CasemateError
    return kind(f"{doing}: {reason}", where=where, remedy=remedies.get(error.errno or 0))
