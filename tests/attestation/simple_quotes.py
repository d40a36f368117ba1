"""Quotes for tests of what carries them: signed by one key that the test's judge knows, with no vendor behind it.

Judging real quotes is tested elsewhere (``test_verify.py``); here a quote is a signed statement of a measurement and
of report data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate.errors import CasemateError

_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


class ForgedError(CasemateError):
    """The statement is not signed by the key."""


@dataclass(frozen=True)
class Statement:
    mrenclave: bytes
    report_data: bytes


def quote_of(mrenclave: bytes) -> Callable[[bytes], bytes]:
    """A source of quotes of the enclave with this measurement (32 bytes)."""

    def quote(report_data: bytes) -> bytes:
        body = mrenclave + report_data
        return body + _KEY.sign(body)

    return quote


def judge(*accepted: bytes) -> Callable[[bytes], Statement]:
    """Believes quotes of enclaves with these measurements."""

    def verify(quote: bytes) -> Statement:
        body, signature = quote[:96], quote[96:]
        try:
            _KEY.public_key().verify(signature, body)
        except InvalidSignature:
            raise ForgedError("the quote is not genuine") from None
        if body[:32] not in accepted:
            raise ForgedError(f"mrenclave: expected one of {len(accepted)}, found {body[:32].hex()}")
        return Statement(body[:32], body[32:])

    return verify
