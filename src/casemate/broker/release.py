"""The one decision: this enclave asks for these secrets. Every outcome is in the journal before anyone learns of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from casemate.attestation import QuoteRefusedError, VerifiedQuote
from casemate.attestation.ratls import Peer, judge_certificate
from casemate.broker import journal
from casemate.broker.errors import BrokerError, FetchingError, RefusedError
from casemate.broker.metrics import METRICS
from casemate.broker.results import Results, check_result_name
from casemate.broker.vault import NAME, Guarded, Vault
from casemate.errors import CasemateError

MAX_SECRETS = 64
Submit = Callable[[dict[str, Any]], Future[None]]


@dataclass(frozen=True)
class Release:
    """What an enclave gets: values by name, and what it asked for without need and does not get."""

    values: dict[str, bytes]
    withheld: list[str]


@dataclass(frozen=True)
class AdmittedResult:
    """A result that will be kept once it is here. ``record`` is what the journal says of its sender."""

    name: str
    mrenclave: bytes
    policies: list[str]
    record: dict[str, Any]


class Decider:
    """Decides in the calling thread; all methods block until the journal holds the decision."""

    def __init__(self, vault: Vault, results: Results, judge: Callable[[bytes], VerifiedQuote], submit: Submit) -> None:
        self._vault, self._results, self._judge, self._submit = vault, results, judge, submit

    def release(self, certificate: bytes, required: list[str], optional: list[str], source: str) -> Release:
        """All of ``required`` or nothing; of ``optional`` what its policies allow. Raises `RefusedError`."""
        names = [*required, *optional]
        # The log is for good: of what a client sends, only names go into it.
        are_names = 0 < len(names) <= MAX_SECRETS and all(NAME.fullmatch(name) for name in names)
        record: dict[str, Any] = {"action": "release", "by": source, "secrets": sorted(set(names)) if are_names else []}
        peer = self._admit(certificate, record)
        if not are_names:
            self._refuse(record, f"a request names 1 to {MAX_SECRETS} secrets", [])
        found = self._vault.find(names)
        failures = self._failures(peer.proven, found, required)
        if failures:
            self._refuse(record, "the broker's policy does not accept this enclave", failures)
        granted = {name: found[name] for name in found if not found[name].policy.check(peer.proven)}
        values = {name: self._vault.open(guarded) for name, guarded in granted.items()}
        record["secrets"] = {name: guarded.info.version for name, guarded in granted.items()}
        self._note(record, "released")
        return Release(values, sorted(set(optional) - values.keys()))

    def release_for_gramine(self, certificate: bytes, source: str) -> bytes:
        """Gramine's protocol names no secret: the one marked for it whose policy accepts the enclave."""
        record: dict[str, Any] = {"action": "release (Gramine)", "by": source, "secrets": []}
        peer = self._admit(certificate, record)
        found = self._vault.find_for_gramine()
        fitting = {name: guarded for name, guarded in found.items() if not guarded.policy.check(peer.proven)}
        if len(fitting) != 1:
            what = "no secret's policy accepts" if not fitting else "more than one secret's policy accepts"
            failures = self._failures(peer.proven, found, list(found)) if not fitting else []
            self._refuse(record, f"{what} this enclave over Gramine's protocol", failures)
        (name, guarded), *_ = fitting.items()
        value = self._vault.open(guarded)
        record["secrets"] = {name: guarded.info.version}
        self._note(record, "released")
        return value

    def admit_result(self, certificate: bytes, name: str, source: str) -> AdmittedResult:
        """Whether a result of this name is taken: from an enclave that at least one policy accepts.

        Raises `RefusedError`. It is decided before the result is read: nobody else's bytes are held.
        """
        check_result_name(name)
        record: dict[str, Any] = {"action": "result", "by": source, "result": name}
        peer = self._admit(certificate, record)
        satisfied = self._vault.satisfied(peer.proven)
        if not satisfied:
            self._refuse(record, "no policy of the broker accepts this enclave, so its results are not taken", [])
        return AdmittedResult(name, peer.proven.mrenclave, satisfied, record)

    def keep_result(self, admitted: AdmittedResult, data: bytes) -> None:
        """Keeps what an admitted enclave sent."""
        policies = admitted.policies
        record = {**admitted.record, "time": journal.now_text(), "outcome": "kept", "policies": policies}
        self._results.add(admitted.name, data, admitted.mrenclave, policies, record)
        METRICS.decisions.labels("result", "kept").inc()

    def _admit(self, certificate: bytes, record: dict[str, Any]) -> Peer[VerifiedQuote]:
        """The enclave, if its evidence is genuine and for the key of this connection."""
        try:
            with METRICS.judging.time():
                peer = judge_certificate(certificate, self._judge)
        except QuoteRefusedError as error:
            self._refuse(record, "the quote is refused", [failure.as_json() for failure in error.failures])
        except FetchingError as error:
            self._note({**record, "why": str(error)}, "deferred")
            raise
        except CasemateError as error:
            self._refuse(record, str(error), [])
        record["enclave"] = _described(peer)
        return peer

    def _failures(self, proven: VerifiedQuote, found: dict[str, Guarded], required: list[str]) -> list[dict[str, str]]:
        """Every claim that does not hold, once, with the secret that asks for it."""
        failures = []
        for name in required:
            if name not in found:
                failures.append({"claim": f"secret '{name}'", "expected": "a secret of the broker", "found": "none"})
                continue
            for failure in found[name].policy.check(proven):
                failures.append({**failure.as_json(), "secret": name})
        return failures

    def _refuse(self, record: dict[str, Any], what: str, failures: list[dict[str, str]]) -> Any:
        self._note({**record, "why": what, "failures": failures}, "refused")
        raise RefusedError(sentence(what, failures), failures)

    def _note(self, record: dict[str, Any], outcome: str) -> None:
        METRICS.decisions.labels(record["action"], outcome).inc()
        self._submit({**record, "time": journal.now_text(), "outcome": outcome}).result()


def sentence(what: str, failures: list[dict[str, str]]) -> str:
    """A refusal with each claim that does not hold, expected and found."""
    claims = dict.fromkeys(f"{each['claim']}: expected {each['expected']}, found {each['found']}" for each in failures)
    return f"{what}: {'; '.join(claims)}" if claims else what


def _described(peer: Peer[VerifiedQuote]) -> dict[str, Any]:
    """The enclave for the journal."""
    quote = peer.proven
    return {
        "mrenclave": quote.mrenclave.hex(),
        "mrsigner": quote.mrsigner.hex(),
        "isv_prod_id": quote.isv_prod_id,
        "isv_svn": quote.isv_svn,
        "debug": quote.debug,
        "tcb_status": str(quote.tcb_status),
        "advisories": list(quote.advisories),
        "fmspc": quote.fmspc.hex(),
        "simulated": quote.simulated,
        "key": peer.key.hex(),
    }


__all__ = ["BrokerError", "Decider", "Release", "sentence"]
