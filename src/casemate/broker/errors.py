"""What can go wrong in a broker, as the person who asks is told it."""

from __future__ import annotations

from casemate.errors import CasemateError


class BrokerError(CasemateError):
    """A request that the broker cannot serve."""

    status = 400


class NotThereError(BrokerError):
    """The thing asked for does not exist."""

    status = 404


class InUseError(BrokerError):
    """The thing cannot go or change while something else needs it."""

    status = 409


class BusyError(BrokerError):
    """The broker has its hands full; the same request may be served later."""

    status = 503


class FetchingError(BusyError):
    """What the evidence must be judged by is being fetched."""


class RefusedError(BrokerError):
    """An enclave does not get what it asks for. ``failures`` are the claims that do not hold."""

    status = 403

    def __init__(self, what: str, failures: list[dict[str, str]] | None = None) -> None:
        super().__init__(what)
        self.failures = failures or []
