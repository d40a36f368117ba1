"""Why a peer is refused."""

from __future__ import annotations

from casemate.errors import CasemateError


class RaTlsError(CasemateError):
    """A certificate that presents no evidence, malformed evidence, or evidence for another key."""
