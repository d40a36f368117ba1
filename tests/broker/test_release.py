"""Who gets which secret, and what both sides are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from casemate.broker import enclave_api
from casemate.broker.enclave_api import Room
from casemate.broker.errors import BrokerError, BusyError
from casemate.broker.results import MAX_RESULT_BYTES
from tests.broker.enclaves import DEBUG, ENCLAVE, OTHER, OUTDATED, POLICY, Running, policy_of, serving, values


@pytest.fixture(autouse=True)
def secrets(broker: Running) -> None:
    broker.owner.put_policy("mine", POLICY)
    broker.owner.put_policy("both", policy_of(ENCLAVE, OTHER))
    broker.owner.put_secret("db", "env", "mine", b"hunter2")
    broker.owner.put_secret("shared", "file", "both", b"\0\1\2")


def last_record(broker: Running) -> dict:
    return json.loads(broker.owner.log()[-1].record)


def test_an_enclave_that_satisfies_the_policy_gets_its_secrets(broker: Running) -> None:
    assert values(broker.ask(required=["db", "shared"])) == {"db": b"hunter2", "shared": b"\0\1\2"}
    record = last_record(broker)
    assert record["outcome"] == "released"
    assert record["secrets"] == {"db": 1, "shared": 1}
    assert record["enclave"]["mrenclave"] == ENCLAVE.hex()


def test_another_enclave_is_refused_with_the_claim_that_failed(broker: Running) -> None:
    response = broker.ask(OTHER, required=["db", "shared"])
    assert response.status_code == 403
    sentence = response.json()["error"]
    assert f"mrenclave: expected {ENCLAVE.hex()}, found {OTHER.hex()}" in sentence
    record = last_record(broker)
    assert record["outcome"] == "refused"
    assert record["failures"][0]["secret"] == "db"


def test_optional_secrets_are_withheld_without_refusal(broker: Running) -> None:
    response = broker.ask(OTHER, required=["shared"], optional=["db", "none"])
    assert values(response) == {"shared": b"\0\1\2"}
    assert response.json()["withheld"] == ["db", "none"]


def test_a_secret_that_is_not_there_is_named(broker: Running) -> None:
    response = broker.ask(required=["db", "none"])
    assert response.status_code == 403
    assert "secret 'none': expected a secret of the broker, found none" in response.json()["error"]


@pytest.mark.parametrize(
    ("mrenclave", "sentence"),
    [
        (DEBUG, "debug: expected a production enclave, found a debug enclave"),
        (OUTDATED, "tcb.statuses: expected UpToDate, found OutOfDate"),
        (OUTDATED, "tcb.advisories: expected no advisory, found INTEL-SA-00001"),
    ],
)
def test_a_policy_is_strict_unless_it_says_otherwise(broker: Running, mrenclave: bytes, sentence: str) -> None:
    broker.owner.put_policy("mine", policy_of(mrenclave))
    response = broker.ask(mrenclave, required=["db"])
    assert response.status_code == 403
    assert sentence in response.json()["error"]


def test_a_quote_that_is_not_genuine_is_refused_before_any_policy(broker: Running) -> None:
    response = broker.ask(b"\7" * 32, required=["none"])
    assert response.status_code == 403
    assert response.json()["failures"] == [
        {"claim": "genuine", "expected": "a genuine quote", "found": "another"},
    ]


def test_a_changed_policy_counts_from_the_next_request(broker: Running) -> None:
    broker.owner.put_policy("mine", policy_of(OTHER))
    assert broker.ask(required=["db"]).status_code == 403
    assert values(broker.ask(OTHER, required=["db"])) == {"db": b"hunter2"}


def test_a_rotated_secret_has_its_new_value_from_the_next_request(broker: Running) -> None:
    broker.owner.rotate_secret("db", b"hunter3")
    assert values(broker.ask(required=["db"])) == {"db": b"hunter3"}
    assert last_record(broker)["secrets"] == {"db": 2}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"required": "db"}', b'{"required": [1]}', b'{"other": []}', b"{" * 100_000, b"x" * 70_000]
)
def test_malformed_requests_are_answered_with_a_sentence(broker: Running, body: bytes) -> None:
    with broker.enclave() as client:
        response = client.post("/v1/secrets", content=body)
    assert response.status_code == 400
    assert response.json()["error"]


def test_a_request_names_some_secrets_and_not_too_many(broker: Running) -> None:
    for names in ([], ["x"] * 65, ["../x"]):
        assert "names 1 to 64 secrets" in broker.ask(required=names).json()["error"]


@pytest.mark.parametrize("mrenclave", [ENCLAVE, b"\7" * 32], ids=["genuine", "forged"])
@pytest.mark.parametrize("name", [r"\ud800", r"a\n9  released", "x" * 10_000])
def test_of_what_is_no_name_nothing_goes_into_the_log(broker: Running, mrenclave: bytes, name: str) -> None:
    with broker.enclave(mrenclave) as client:
        response = client.post("/v1/secrets", content=f'{{"required": ["db", "{name}"]}}')
    assert response.status_code == 403
    record = last_record(broker)
    assert (record["action"], record["outcome"], record["secrets"]) == ("release", "refused", [])
    assert len(broker.owner.log()[-1].record) < 1000


def test_results_come_back_and_are_fetched_by_the_owner(broker: Running) -> None:
    with broker.enclave() as client:
        assert client.put("/v1/results/report%201.txt", content=b"42").status_code == 204
        assert client.put("/v1/results/report%201.txt", content=b"43" * 100_000).status_code == 204
    first, second = broker.owner.results("report 1.txt")
    assert (first["size"], first["mrenclave"], first["policies"]) == (2, ENCLAVE.hex(), ["both", "mine"])
    assert broker.owner.result(first["id"]) == b"42"
    assert broker.owner.result(second["id"]) == b"43" * 100_000
    broker.owner.remove_result(first["id"])
    with pytest.raises(BrokerError, match="there is no result"):
        broker.owner.result(first["id"])


def test_results_of_enclaves_that_no_policy_accepts_are_not_taken(broker: Running) -> None:
    with broker.enclave(DEBUG) as client:
        response = client.put("/v1/results/x", content=b"42")
    assert response.status_code == 403
    assert broker.owner.results() == []


def test_results_that_are_not_taken_are_refused_before_they_are_read(broker: Running) -> None:
    """The bytes go nowhere: the result is refused although it is too long, and the client still hears why."""
    for mrenclave, status in ((DEBUG, 403), (b"\7" * 32, 403), (ENCLAVE, 400)):
        with broker.enclave(mrenclave) as client:
            assert client.put("/v1/results/x", content=bytes(MAX_RESULT_BYTES + 1)).status_code == status
    assert broker.owner.results() == []


def test_no_more_bytes_of_results_are_held_than_the_limit() -> None:
    room = Room(10)
    with room.hold() as take:
        take(6)
        with room.hold() as other, pytest.raises(BusyError):
            other(5)
        with room.hold() as other:
            other(4)
        take(4)
    with room.hold() as take:
        take(10)


def test_a_result_beyond_what_may_be_held_is_to_be_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enclave_api, "_MAX_HELD_BYTES", 10)
    with serving(tmp_path / "b") as broker:
        broker.owner.put_policy("mine", POLICY)
        with broker.enclave() as client:
            assert client.put("/v1/results/x", content=bytes(11)).status_code == 503
            for _ in range(2):
                assert client.put("/v1/results/x", content=bytes(10)).status_code == 204
        assert [each["size"] for each in broker.owner.results()] == [10, 10]


@pytest.mark.parametrize("name", ["..", "%2E%2E", "a%00b", "x" * 300, "a%0A9", "%1B[2J", "%E2%80%AE"])
def test_a_results_name_is_a_files_name(broker: Running, name: str) -> None:
    with broker.enclave() as client:
        assert client.put(f"/v1/results/{name}", content=b"").status_code in (400, 404)
    assert broker.owner.results() == []
