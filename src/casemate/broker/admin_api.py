"""What the owner asks, with the token of the broker's directory: HTTP/1.1 with JSON over TLS (``docs/broker.md``).

Health and readiness need no token; everything else, metrics included, does.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from casemate.attestation import CollateralError
from casemate.attestation.evidence import stamp
from casemate.broker import journal
from casemate.broker.database import Database
from casemate.broker.enclave_api import Handler, answering, peer_name, read_body, read_json
from casemate.broker.errors import BrokerError
from casemate.broker.home import Home
from casemate.broker.judging import Expiries
from casemate.broker.metrics import METRICS
from casemate.broker.results import Results
from casemate.broker.vault import MAX_SECRET_BYTES, Vault

_MAX_POLICY_BYTES = 1 << 20
_MAX_LOG_ENTRIES = 1000
# By then a renewal ahead of expiry has failed for days.
_SOON = timedelta(days=2)


class AdminApi:
    """Handlers; each does its work in a thread, because databases block."""

    def __init__(
        self, home: Home, database: Database, vault: Vault, results: Results, expiries: Expiries, executor: Executor
    ) -> None:
        self._home, self._database, self._vault, self._results = home, database, vault, results
        self._expiries, self._executor = expiries, executor

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/healthz", self._health),
                Route("/readyz", answering(self._ready)),
                self._route("/metrics", self._metrics, "GET"),
                self._route("/v1/policies", self._policies, "GET"),
                self._route("/v1/policies/{name}", self._put_policy, "PUT"),
                self._route("/v1/policies/{name}", self._remove_policy, "DELETE"),
                self._route("/v1/secrets", self._secrets, "GET"),
                self._route("/v1/secrets/{name}", self._put_secret, "PUT"),
                self._route("/v1/secrets/{name}/value", self._rotate, "PUT"),
                self._route("/v1/secrets/{name}", self._remove_secret, "DELETE"),
                self._route("/v1/log", self._log, "GET"),
                self._route("/v1/results", self._list_results, "GET"),
                self._route("/v1/results/{id:int}", self._result, "GET"),
                self._route("/v1/results/{id:int}", self._remove_result, "DELETE"),
            ]
        )

    def _route(self, path: str, handler: Handler, method: str) -> Route:
        async def guarded(request: Request) -> Response:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not self._home.is_owner(token):
                METRICS.ended.labels("admin", "no token").inc()
                return JSONResponse({"error": "the token of the broker's owner is missing or wrong"}, 401)
            return await handler(request)

        return Route(path, answering(guarded), methods=[method])

    async def _do(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(work, *arguments, **named))

    async def _health(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, _request: Request) -> Response:
        if not await self._do(self._database.ready):
            return PlainTextResponse("the database does not answer\n", 503)
        try:
            warnings = _ending(await self._do(self._expiries), datetime.now(UTC))
        except CollateralError:
            return PlainTextResponse("the collateral cache does not answer\n", 503)
        return PlainTextResponse("".join(f"{line}\n" for line in ["ready", *warnings]))

    async def _metrics(self, _request: Request) -> Response:
        # Where the cache does not answer, readiness says so, and the number stays as it was.
        with contextlib.suppress(CollateralError):
            expiries = await self._do(self._expiries)
            METRICS.collateral_expiry.set(min((at.timestamp() for _, at in expiries), default=0))
        return Response(METRICS.text(), media_type="text/plain; version=0.0.4")

    # --- Policies and secrets ---

    async def _policies(self, _request: Request) -> Response:
        return JSONResponse({"policies": await self._do(self._vault.policies)})

    async def _put_policy(self, request: Request) -> Response:
        try:
            document = (await read_body(request, _MAX_POLICY_BYTES)).decode()
        except UnicodeDecodeError:
            raise BrokerError("a policy is text in UTF-8") from None
        await self._do(self._vault.put_policy, request.path_params["name"], document, _owner(request))
        return Response(status_code=204)

    async def _remove_policy(self, request: Request) -> Response:
        await self._do(self._vault.remove_policy, request.path_params["name"], _owner(request))
        return Response(status_code=204)

    async def _secrets(self, _request: Request) -> Response:
        return JSONResponse({"secrets": [info.as_json() for info in await self._do(self._vault.list)]})

    async def _put_secret(self, request: Request) -> Response:
        value = await read_json(request, 2 * MAX_SECRET_BYTES)
        if not isinstance(value, dict) or value.keys() != {"kind", "policy", "value", "gramine"}:
            raise BrokerError("the request is an object of 'kind', 'policy', 'value' and 'gramine'")
        if not (isinstance(value["kind"], str) and isinstance(value["policy"], str)):
            raise BrokerError("'kind' and 'policy' are strings")
        info = await self._do(
            self._vault.put,
            request.path_params["name"],
            value["kind"],
            value["policy"],
            _decoded(value["value"]),
            gramine=value["gramine"] is True,
            by=_owner(request),
        )
        return JSONResponse(info.as_json(), 201)

    async def _rotate(self, request: Request) -> Response:
        value = await read_json(request, 2 * MAX_SECRET_BYTES)
        if not isinstance(value, dict) or value.keys() != {"value"}:
            raise BrokerError("the request is an object of 'value'")
        info = await self._do(
            self._vault.rotate, request.path_params["name"], _decoded(value["value"]), _owner(request)
        )
        return JSONResponse(info.as_json())

    async def _remove_secret(self, request: Request) -> Response:
        await self._do(self._vault.remove, request.path_params["name"], _owner(request))
        return Response(status_code=204)

    # --- The log and results ---

    async def _log(self, request: Request) -> Response:
        try:
            after = int(request.query_params.get("after", "0"))
            limit = min(int(request.query_params.get("limit", _MAX_LOG_ENTRIES)), _MAX_LOG_ENTRIES)
        except ValueError:
            raise BrokerError("'after' and 'limit' are numbers") from None

        def read() -> list[journal.Entry]:
            with self._database.read() as connection:
                return journal.entries(connection, after, limit)

        entries = [
            {"number": each.number, "record": each.record, "hash": each.hash.hex()} for each in await self._do(read)
        ]
        return JSONResponse({"entries": entries})

    async def _list_results(self, request: Request) -> Response:
        found = await self._do(self._results.list, request.query_params.get("name"))
        return JSONResponse({"results": [info.as_json() for info in found]})

    async def _result(self, request: Request) -> Response:
        data = await self._do(self._results.get, request.path_params["id"])
        return Response(data, media_type="application/octet-stream", headers={"Cache-Control": "no-store"})

    async def _remove_result(self, request: Request) -> Response:
        await self._do(self._results.remove, request.path_params["id"], _owner(request))
        return Response(status_code=204)


def _owner(request: Request) -> str:
    return f"owner at {peer_name(request)}"


def _decoded(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise BrokerError("'value' is not Base64") from None


def _ending(expiries: list[tuple[str, datetime]], now: datetime) -> list[str]:
    """A sentence for each kind of platform whose collateral has expired, or soon will."""
    return [
        f"collateral for platforms {kind} {'expired' if at < now else 'expires'} at {stamp(at)}"
        for kind, at in expiries
        if at - now < _SOON
    ]
