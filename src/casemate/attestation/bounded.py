"""HTTP answers of servers that are not trusted: never more of one is held than its limit."""

from __future__ import annotations

from typing import Any

import httpx


class BadAnswerError(Exception):
    """The answer is too long, or comes compressed although it was asked for as it is."""


def request(client: httpx.Client, method: str, address: str, limit: int, **arguments: Any) -> httpx.Response:
    """An answer with its body, which has at most ``limit`` bytes; raises `BadAnswerError` and httpx's own errors."""
    headers = {**arguments.pop("headers", {}), "accept-encoding": "identity"}
    with client.stream(method, address, headers=headers, **arguments) as response:
        # A few bytes may decompress to gigabytes.
        if (encoding := response.headers.get("content-encoding", "identity").lower()) != "identity":
            raise BadAnswerError(f"the answer is encoded ({encoding}), which was not asked for")
        body = bytearray()
        for chunk in response.iter_bytes():
            if len(body) + len(chunk) > limit:
                raise BadAnswerError(f"the answer has more than {limit >> 10} KiB")
            body += chunk
    return httpx.Response(
        response.status_code,
        headers=response.headers,
        content=bytes(body),
        request=response.request,
        extensions={name: value for name, value in response.extensions.items() if name == "reason_phrase"},
    )
