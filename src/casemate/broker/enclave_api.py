"""What enclaves ask over RA-TLS: HTTP/1.1 with JSON (``docs/broker.md``).

    POST /v1/secrets       {"required": [name…], "optional": [name…]} -> {"secrets": {name: base64}, "withheld": [name…]}
    PUT  /v1/results/NAME  bytes -> 204

Refusals are 403 with {"error": sentence, "failures": [{"claim", "expected", "found"}…]}. A result that comes while
too many bytes of others are held is answered with 503.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from casemate.broker.errors import BrokerError, BusyError, RefusedError
from casemate.broker.release import Decider
from casemate.broker.results import MAX_RESULT_BYTES
from casemate.errors import CasemateError

LOG = logging.getLogger("casemate.broker")
_MAX_REQUEST_BYTES = 64 << 10
# Of all results that are being received or sealed.
_MAX_HELD_BYTES = 4 * MAX_RESULT_BYTES

Handler = Callable[[Request], Awaitable[Response]]
Take = Callable[[int], None]


class Room:
    """How many bytes may be held at a time, by all requests together."""

    def __init__(self, size: int) -> None:
        self._left = size

    @contextmanager
    def hold(self) -> Iterator[Take]:
        """Gives what takes so many bytes more, or raises `BusyError`; they are free again at the end of the block."""
        held = 0

        def take(size: int) -> None:
            nonlocal held
            if size > self._left:
                raise BusyError("the broker is receiving too many results", remedy="send it again later")
            self._left -= size
            held += size

        try:
            yield take
        finally:
            self._left += held


def enclave_app(decider: Decider, executor: Executor) -> Starlette:
    """The application of the enclaves' port. Each connection's state has its ``certificate`` (DER)."""
    room = Room(_MAX_HELD_BYTES)

    async def secrets(request: Request) -> Response:
        required, optional = _names(await read_json(request, _MAX_REQUEST_BYTES))
        release = await asyncio.get_running_loop().run_in_executor(
            executor, decider.release, request.state.certificate, required, optional, peer_name(request)
        )
        values = {name: base64.b64encode(value).decode("ascii") for name, value in release.values.items()}
        return JSONResponse({"secrets": values, "withheld": release.withheld}, headers={"Cache-Control": "no-store"})

    async def result(request: Request) -> Response:
        name, certificate = request.path_params["name"], request.state.certificate
        loop, chunks = asyncio.get_running_loop(), request.stream()
        try:
            admitted = await loop.run_in_executor(executor, decider.admit_result, certificate, name, peer_name(request))
            with room.hold() as take:
                data = await _collect(chunks, MAX_RESULT_BYTES, take)
                await loop.run_in_executor(executor, decider.keep_result, admitted, data)
        except CasemateError:
            # A client that is cut off while it sends does not hear why.
            await _discard(chunks, MAX_RESULT_BYTES)
            raise
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/v1/secrets", answering(secrets), methods=["POST"]),
            Route("/v1/results/{name}", answering(result), methods=["PUT"]),
        ]
    )


def _names(value: Any) -> tuple[list[str], list[str]]:
    if not isinstance(value, dict) or value.keys() - {"required", "optional"}:
        raise BrokerError("the request is an object of 'required' and 'optional'")
    lists = [value.get("required", []), value.get("optional", [])]
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists):
        raise BrokerError("'required' and 'optional' are lists of names")
    return lists[0], lists[1]


def answering(handler: Handler) -> Handler:
    """Errors of the user's as JSON; others as a sentence that says nothing of what was being done."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except RefusedError as error:
            return JSONResponse({"error": str(error), "failures": error.failures}, error.status)
        except BrokerError as error:
            return JSONResponse({"error": str(error)}, error.status)
        except CasemateError as error:
            return JSONResponse({"error": str(error)}, BrokerError.status)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:
            # Its text may hold what must not be logged.
            LOG.error("%s %s failed: %s", request.method, request.url.path, type(error).__name__)
            return JSONResponse({"error": "the broker failed; its log names the kind of failure"}, 500)

    return answer


async def read_body(request: Request, limit: int) -> bytes:
    return await _collect(request.stream(), limit)


async def _collect(chunks: AsyncIterator[bytes], limit: int, take: Take = lambda _size: None) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        if len(body) + len(chunk) > limit:
            raise BrokerError(f"the request has more than {limit} bytes")
        take(len(chunk))
        body += chunk
    return bytes(body)


async def _discard(chunks: AsyncIterator[bytes], limit: int) -> None:
    """Reads what is left of a request, up to a limit, and keeps none of it."""
    async for chunk in chunks:
        limit -= len(chunk)
        if limit < 0:
            return


async def read_json(request: Request, limit: int) -> Any:
    try:
        return json.loads(await read_body(request, limit))
    except (ValueError, RecursionError):
        raise BrokerError("the request is not JSON") from None


def peer_name(request: Request) -> str:
    return f"{request.client.host}:{request.client.port}" if request.client else "unknown"
