"""Keeps the collateral cache ahead of expiry while a broker serves, and fetches for platforms that are not in it yet.

One thread of its own: no release waits for a vendor's service. What fails is logged, counted, and tried again later;
the entry that is there stays. Several brokers of one cache do not fetch together: each looks again before it asks.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import SystemRandom
from threading import Condition, Thread

from casemate.attestation.evidence import stamp
from casemate.attestation.pcs import INTEL, PcsClient, PlatformKind
from casemate.attestation.roots import Root
from casemate.attestation.store import REFRESH_AHEAD, CollateralStore, Entry
from casemate.broker.metrics import METRICS
from casemate.errors import CasemateError

LOG = logging.getLogger("casemate.broker")
_INTERVAL_S = 3600.0
_FIRST_PAUSE_S = 60.0
_LONGEST_PAUSE_S = 6 * 3600.0
# For platforms that are not in the cache: so many kinds an hour. Intel has some hundred in all.
_UNKNOWN_PER_HOUR = 16
# How long an orderly end waits for a fetch that is under way.
_END_S = 2.0
_RANDOM = SystemRandom()

Connect = Callable[[str], PcsClient]


@dataclass
class _Attempts:
    """``not_before``: on the monotonic clock, seconds."""

    failures: int
    not_before: float


class CollateralRenewal:
    """``pccs``: the service that is asked; without it, where each entry came from, and Intel's for Intel's platforms."""

    def __init__(
        self,
        store: CollateralStore,
        root: Root,
        *,
        pccs: str | None = None,
        ahead: timedelta = REFRESH_AHEAD,
        connect: Connect = PcsClient,
    ) -> None:
        self._store, self._root, self._pccs, self._ahead, self._connect = store, root, pccs, ahead, connect
        self._changed = Condition()
        self._wanted: list[PlatformKind] = []
        self._attempts: dict[PlatformKind, _Attempts] = {}
        # When kinds that were not in the cache were asked for, in the last hour.
        self._unknown: list[float] = []
        self._ending = False
        self._thread = Thread(target=self._run, name="collateral", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ends; a fetch that is under way is given up with the process."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(_END_S)

    def want(self, kind: PlatformKind) -> bool:
        """Whether collateral for a kind of platform, which the root vouches for, is being fetched or will be now.

        Clients cause this, so it is bounded: a kind that failed waits, and only so many kinds are asked for in an hour.
        """
        now = time.monotonic()
        with self._changed:
            if kind in self._wanted:
                return True
            attempts = self._attempts.get(kind)
            if self._ending or (attempts and now < attempts.not_before):
                return False
            self._unknown = [at for at in self._unknown if now - at < _INTERVAL_S]
            if len(self._unknown) >= _UNKNOWN_PER_HOUR:
                METRICS.collateral_fetches.labels("limited").inc()
                return False
            self._unknown.append(now)
            self._wanted.append(kind)
            self._changed.notify()
        return True

    def _run(self) -> None:
        while not self._ending:
            pause = self._look()
            with self._changed:
                if not self._wanted and not self._ending:
                    self._changed.wait(pause)

    def _look(self) -> float:
        """Fetches what is due or wanted; how long until the next look, in seconds."""
        try:
            entries = self._store.entries_under(self._root)
        except CasemateError as error:
            self._note_failure("the collateral cache cannot be read", error)
            entries = []
        now = datetime.now(UTC)
        due = {entry.kind: entry for entry in entries if entry.expires - now <= self._ahead}
        with self._changed:
            kinds = list(dict.fromkeys([*self._wanted, *due]))
        for kind in kinds:
            if self._ending:
                break
            if self._may_try(kind):
                self._fetch(kind, due.get(kind), entries)
            with self._changed:
                self._wanted = [each for each in self._wanted if each != kind]
        soonest = min((self._attempts[kind].not_before for kind in due if kind in self._attempts), default=float("inf"))
        return max(1.0, min(_jittered(_INTERVAL_S), soonest - time.monotonic()))

    def _may_try(self, kind: PlatformKind) -> bool:
        attempts = self._attempts.get(kind)
        return attempts is None or time.monotonic() >= attempts.not_before

    def _fetch(self, kind: PlatformKind, old: Entry | None, entries: list[Entry]) -> None:
        url = self._service(old, entries)
        failures = self._attempts[kind].failures if kind in self._attempts else 0
        about = f"collateral for platforms {kind} cannot be fetched"
        if old is not None:
            about += f" (what is there is valid until {stamp(old.expires)})"
        try:
            if url is None:
                raise CasemateError("no service is known for it", remedy="name one with --pccs")
            with self._connect(url) as client:
                entry = self._store.put(
                    client.fetch(kind), self._root, kind, source=client.url, at=datetime.now(UTC).replace(microsecond=0)
                )
        except Exception as error:
            pause = _jittered(min(_FIRST_PAUSE_S * 2**failures, _LONGEST_PAUSE_S))
            self._set_attempts(kind, _Attempts(min(failures + 1, 16), time.monotonic() + pause))
            self._note_failure(f"{about}; trying again in {max(1, round(pause / 60))} min", error)
            return
        # A service may have nothing newer yet: then it is asked again at the usual pace.
        self._set_attempts(kind, _Attempts(0, time.monotonic() + _jittered(_INTERVAL_S)))
        METRICS.collateral_fetches.labels("stored").inc()
        LOG.info("collateral for platforms %s is here, valid until %s", kind, stamp(entry.expires))

    def _set_attempts(self, kind: PlatformKind, attempts: _Attempts) -> None:
        now = time.monotonic()
        with self._changed:
            # Of what succeeded or failed long ago nothing need be known.
            for each, found in list(self._attempts.items()):
                if now - found.not_before > _LONGEST_PAUSE_S:
                    del self._attempts[each]
            self._attempts[kind] = attempts

    def _service(self, old: Entry | None, entries: list[Entry]) -> str | None:
        """Who is asked. Of a simulated vendor only the entries know where it is."""
        if self._pccs is not None:
            return self._pccs
        known = [entry.source for entry in ([old] if old else entries) if entry.source.startswith(("https:", "http:"))]
        return INTEL if not known and not self._root.simulated else next(iter(known), None)

    def _note_failure(self, what: str, error: Exception) -> None:
        METRICS.collateral_fetches.labels("failed").inc()
        LOG.warning("%s: %s", what, error if isinstance(error, CasemateError) else type(error).__name__)


def _jittered(pause_s: float) -> float:
    """Between half and all of it: brokers that were started together do not ask together."""
    return pause_s * _RANDOM.uniform(0.5, 1)
