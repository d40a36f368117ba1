"""The owner's side of the admin API, for the command line and for programs."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx

from casemate.attestation.ratls import ClientContext, httpx_transport
from casemate.broker.errors import BrokerError
from casemate.broker.home import Access
from casemate.broker.journal import Entry

_TIMEOUT_S = 30


class BrokerClient:
    """Talks to the broker whose key its ``Access`` names, and to no other."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._http = httpx.Client(
            transport=httpx_transport(ClientContext(pin=access.pin)),
            base_url=access.url,
            headers={"Authorization": f"Bearer {access.token}"},
            timeout=_TIMEOUT_S,
        )

    @classmethod
    def at(cls, place: Path) -> BrokerClient:
        """Of the broker that serves from this directory, or that this copy of ``access.json`` describes."""
        return cls(Access.load(place))

    def __enter__(self) -> BrokerClient:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._http.close()

    # --- Policies and secrets ---

    def policies(self) -> list[dict[str, str]]:
        return list(self._ask("GET", "/v1/policies").json()["policies"])

    def put_policy(self, name: str, document: str) -> None:
        self._ask("PUT", f"/v1/policies/{_quoted(name)}", content=document.encode())

    def remove_policy(self, name: str) -> None:
        self._ask("DELETE", f"/v1/policies/{_quoted(name)}")

    def secrets(self) -> list[dict[str, Any]]:
        return list(self._ask("GET", "/v1/secrets").json()["secrets"])

    def put_secret(self, name: str, kind: str, policy: str, value: bytes, *, gramine: bool = False) -> dict[str, Any]:
        body = {"kind": kind, "policy": policy, "value": base64.b64encode(value).decode(), "gramine": gramine}
        return dict(self._ask("PUT", f"/v1/secrets/{_quoted(name)}", json=body).json())

    def rotate_secret(self, name: str, value: bytes) -> dict[str, Any]:
        body = {"value": base64.b64encode(value).decode()}
        return dict(self._ask("PUT", f"/v1/secrets/{_quoted(name)}/value", json=body).json())

    def remove_secret(self, name: str) -> None:
        self._ask("DELETE", f"/v1/secrets/{_quoted(name)}")

    # --- The log and results ---

    def log(self, after: int = 0) -> list[Entry]:
        """All records above ``after``."""
        found: list[Entry] = []
        while True:
            page = self._ask("GET", "/v1/log", params={"after": after}).json()["entries"]
            if not page:
                return found
            found += [Entry(each["number"], each["record"], bytes.fromhex(each["hash"])) for each in page]
            after = found[-1].number

    def results(self, name: str | None = None) -> list[dict[str, Any]]:
        return list(self._ask("GET", "/v1/results", params={"name": name} if name else {}).json()["results"])

    def result(self, number: int) -> bytes:
        return self._ask("GET", f"/v1/results/{number}").content

    def remove_result(self, number: int) -> None:
        self._ask("DELETE", f"/v1/results/{number}")

    def metrics(self) -> str:
        return self._ask("GET", "/metrics").text

    def ready(self) -> bool:
        return self._http.get("/readyz").status_code == httpx.codes.OK

    def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **arguments)
        except httpx.TransportError as error:
            raise BrokerError(
                f"the broker cannot be reached: {error}", where=self._access.url, remedy="check that it serves"
            ) from None
        if answer.is_success:
            return answer
        try:
            sentence = str(answer.json()["error"])
        except (ValueError, KeyError, TypeError):
            sentence = f"the broker answered with status {answer.status_code}"
        raise BrokerError(sentence)


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="")
