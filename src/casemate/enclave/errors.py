"""What can be wrong with keys and SIGSTRUCTs."""

from __future__ import annotations

from casemate.errors import CasemateError


class SigningKeyError(CasemateError):
    """A key file cannot be used for signing enclaves."""


class PassphraseNeededError(SigningKeyError):
    """The key is encrypted and no passphrase was given; asking for one may help."""


class SigStructError(CasemateError):
    """A SIGSTRUCT, or what it is made from, is not acceptable."""


class LayoutError(CasemateError):
    """The manifest asks for an enclave that cannot be laid out."""
