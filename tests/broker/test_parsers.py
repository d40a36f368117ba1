"""Any bytes, and any JSON, as requests: answered or refused, never a crash and never a secret."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.attestation.ratls import new_identity
from casemate.attestation.ratls.server import server_context
from casemate.broker.enclave_api import _names
from casemate.broker.errors import BrokerError
from casemate.broker.journal import canonical, chained
from casemate.broker.provisioning import REQUEST, RESPONSE, ProvisioningProtocol
from casemate.broker.results import check_result_name
from casemate.broker.sealing import FileMasterKey, seal, unseal
from casemate.broker.wire import Limits, Port
from tests.attestation.simple_quotes import quote_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["required", "optional", "x"]), inner),
    max_leaves=12,
)
MASTER = FileMasterKey(bytes(32))
CONTEXT = server_context(new_identity(quote_of(bytes(32))))


@given(JSON)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_json_is_two_lists_of_names_or_refused(value: Any) -> None:
    try:
        required, optional = _names(value)
    except BrokerError:
        return
    assert all(isinstance(name, str) for name in [*required, *optional])


class Transport(asyncio.Transport):
    """Notes what is written and whether the connection was ended."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.ended = b"", False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.ended = True

    abort = close

    def is_closing(self) -> bool:
        return self.ended

    def get_write_buffer_size(self) -> int:
        return 0


class Decider:
    def release_for_gramine(self, _certificate: bytes, _source: str) -> bytes:
        return b"secret"


async def _speak(pieces: list[bytes], executor: ThreadPoolExecutor) -> Transport:
    transport = Transport()
    protocol = ProvisioningProtocol(b"", Decider(), executor)  # type: ignore[arg-type]
    protocol.connection_made(transport)
    for piece in pieces:
        if not transport.ended:
            protocol.data_received(piece)
    if protocol._task is not None:
        await protocol._task
    return transport


@given(st.lists(st.binary(max_size=40) | st.sampled_from([REQUEST, REQUEST[:10], REQUEST[10:]]), max_size=4))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_gramines_protocol_answers_its_request_and_nothing_else(pieces: list[bytes]) -> None:
    with ThreadPoolExecutor(1) as executor:
        transport = asyncio.run(_speak(pieces, executor))
    starts = [sum(map(len, pieces[:end])) for end in range(len(pieces) + 1)]
    whole = b"".join(pieces)
    # The request must end with a piece: what comes with it in one piece is not part of the protocol.
    if whole.startswith(REQUEST) and len(REQUEST) in starts:
        assert transport.written == RESPONSE + b"\0\0\0\6secret"
    else:
        assert transport.written == b""


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_results_name_never_leaves_its_directory(name: str) -> None:
    try:
        check_result_name(name)
    except BrokerError:
        return
    assert "/" not in name
    assert name not in ("", ".", "..")


@given(st.binary(max_size=100), st.integers(min_value=0), st.integers(min_value=1, max_value=255))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_sealed_value_with_a_changed_byte_does_not_open(value: bytes, at: int, flip: int) -> None:
    sealed = bytearray(seal(MASTER, value, "here"))
    assert unseal(MASTER, bytes(sealed), "here") == value
    sealed[at % len(sealed)] ^= flip
    for wrong, place in ((bytes(sealed), "here"), (seal(MASTER, value, "here"), "there")):
        try:
            unseal(MASTER, wrong, place)
        except BrokerError:
            continue
        raise AssertionError("it opened")


@given(JSON, JSON)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_records_that_differ_have_hashes_that_differ(one: Any, other: Any) -> None:
    first, second = (canonical({"record": value}) for value in (one, other))
    assert (chained(bytes(32), first) == chained(bytes(32), second)) == (first == second)


@given(st.lists(st.binary(min_size=1, max_size=600), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_bytes_before_tls_stands_reach_nobody(pieces: list[bytes]) -> None:
    reached: list[object] = []

    def inner(certificate: bytes | None) -> asyncio.Protocol:
        reached.append(certificate)
        return asyncio.Protocol()

    async def speak() -> None:
        connection = Port("test", CONTEXT, Limits(), inner).protocol()
        connection.connection_made(transport := Transport())
        for piece in pieces:
            if not transport.ended:
                connection.data_received(piece)
        connection.connection_lost(None)

    asyncio.run(speak())
    assert reached == []
