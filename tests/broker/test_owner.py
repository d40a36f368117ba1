"""What the owner does, and how it is kept."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import stat
from pathlib import Path

import httpx
import pytest

from casemate.attestation.ratls import ClientContext, httpx_transport
from casemate.broker.client import BrokerClient
from casemate.broker.database import Database
from casemate.broker.errors import BrokerError
from casemate.broker.home import Access, Home
from casemate.broker.journal import Entry, JournalWriter, entries, verify_chain
from casemate.broker.sealing import write_private
from casemate.errors import CasemateError
from tests.broker.enclaves import ENCLAVE, POLICY, Running, serving, values

SECRET = b"correct horse battery staple"


@pytest.fixture
def filled(broker: Running) -> Running:
    broker.owner.put_policy("mine", POLICY)
    broker.owner.put_secret("db", "env", "mine", SECRET)
    return broker


def test_secrets_are_listed_without_their_values(filled: Running) -> None:
    (found,) = filled.owner.secrets()
    assert (found["name"], found["kind"], found["policy"], found["version"]) == ("db", "env", "mine", 1)
    assert SECRET.decode() not in json.dumps(found)


def test_no_slip_overwrites_a_secret_or_loosens_it(filled: Running) -> None:
    with pytest.raises(BrokerError, match="already"):
        filled.owner.put_secret("db", "env", "mine", b"other")
    with pytest.raises(BrokerError, match="guards db"):
        filled.owner.remove_policy("mine")
    with pytest.raises(BrokerError, match="no enclave is named"):
        filled.owner.put_policy("mine", "")
    assert values(filled.ask(required=["db"])) == {"db": SECRET}


def test_what_does_not_exist_is_said(broker: Running) -> None:
    for act in (
        lambda: broker.owner.rotate_secret("no", b"x"),
        lambda: broker.owner.remove_secret("no"),
        lambda: broker.owner.remove_policy("no"),
        lambda: broker.owner.put_secret("a", "file", "no", b"x"),
    ):
        with pytest.raises(BrokerError, match="there is no"):
            act()


@pytest.mark.parametrize(
    ("kind", "value"),
    [("key", b"short"), ("env", b"a\0b"), ("arg", b"\xff"), ("file", b""), ("file", b"x" * (1 << 20 | 1)), ("x", b"x")],
)
def test_a_value_must_fit_where_its_kind_goes(broker: Running, kind: str, value: bytes) -> None:
    broker.owner.put_policy("mine", POLICY)
    with pytest.raises(BrokerError):
        broker.owner.put_secret("a", kind, "mine", value)
    assert broker.owner.secrets() == []


@pytest.mark.parametrize("name", ["a b", "/", "..", "é", "x" * 129, ".x"])
def test_names_are_plain(broker: Running, name: str) -> None:
    with pytest.raises(BrokerError):
        broker.owner.put_policy(name, POLICY)


def test_without_the_token_only_health_is_told(filled: Running) -> None:
    transport = httpx_transport(ClientContext(pin=filled.home.pin))
    with httpx.Client(transport=transport, base_url=f"https://{filled.addresses['admin']}") as stranger:
        assert stranger.get("/healthz").text == "ok\n"
        assert stranger.get("/readyz").text == "ready\n"
        for path in ("/metrics", "/v1/secrets", "/v1/policies", "/v1/log", "/v1/results"):
            assert stranger.get(path).status_code == 401
            assert stranger.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_enclaves_cannot_reach_what_is_the_owners(filled: Running) -> None:
    with filled.enclave() as client:
        for path in ("/v1/log", "/v1/policies", "/metrics"):
            assert client.get(path, headers={"Authorization": f"Bearer {filled.home.token}"}).status_code == 404
        assert client.get("/v1/results/1").status_code == 405


def test_the_owner_speaks_to_the_right_broker_only(filled: Running) -> None:
    access = Access.load(filled.home.path)
    with (
        BrokerClient(Access(access.url, access.token, bytes(32))) as client,
        pytest.raises(BrokerError, match="not the pinned one"),
    ):
        client.secrets()


def test_metrics_count_decisions(filled: Running) -> None:
    filled.ask(required=["db"])
    text = filled.owner.metrics()
    assert 'casemate_broker_decisions_total{action="release",outcome="released"}' in text
    assert "casemate_broker_judging_seconds_count" in text


# --- At rest --------------------------------------------------------------------------------------------


def test_nothing_of_a_secret_or_a_result_is_on_the_disk(tmp_path: Path) -> None:
    with serving(tmp_path / "b") as broker:
        broker.owner.put_policy("mine", POLICY)
        broker.owner.put_secret("db", "env", "mine", SECRET)
        broker.owner.rotate_secret("db", SECRET[::-1])
        broker.ask(required=["db"])
        with broker.enclave() as client:
            client.put("/v1/results/r", content=SECRET)
        found = b"".join(path.read_bytes() for path in (tmp_path / "b").iterdir())
    found += b"".join(path.read_bytes() for path in (tmp_path / "b").iterdir())
    assert SECRET not in found
    assert SECRET[::-1] not in found


def test_private_files_are_the_owners_alone(broker: Running) -> None:
    for name in ("key.pem", "token", "master.key", "access.json"):
        assert stat.S_IMODE((broker.home.path / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(broker.home.path.stat().st_mode) == 0o700


def test_a_broker_is_the_same_after_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path / "b") as broker:
        broker.owner.put_policy("mine", POLICY)
        broker.owner.put_secret("db", "env", "mine", SECRET)
        pin = broker.home.pin
    with serving(tmp_path / "b") as broker:
        assert broker.home.pin == pin
        assert values(broker.ask(required=["db"])) == {"db": SECRET}


def test_another_master_key_is_noticed_at_the_start(tmp_path: Path) -> None:
    with serving(tmp_path / "b"):
        pass
    (tmp_path / "b" / "master.key").write_bytes(os.urandom(32))
    with pytest.raises(BrokerError, match="master key is another one"), serving(tmp_path / "b"):
        pass


def test_a_master_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path / "b")
    home.master_key()
    (home.path / "master.key").chmod(0o640)
    with pytest.raises(BrokerError, match="others can read"):
        home.master_key()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE broker_policies SET sealed = (SELECT sealed FROM broker_policies WHERE name = 'loose') WHERE name = 'mine'",
        "UPDATE broker_secrets SET policy = 'loose'",
        "UPDATE broker_secrets SET kind = 'file'",
        "UPDATE broker_secrets SET sealed = substr(sealed, 1, 40)",
    ],
)
def test_the_database_cannot_be_changed_into_a_release(tmp_path: Path, change: str) -> None:
    with serving(tmp_path / "b") as broker:
        broker.owner.put_policy("mine", POLICY.replace("01", "02"))
        broker.owner.put_policy("loose", POLICY)
        broker.owner.put_secret("db", "env", "mine", SECRET)
        connection = sqlite3.connect(broker.home.path / "broker.sqlite")
        with connection:
            connection.execute(change)
        connection.close()
        assert broker.ask(required=["db"]).status_code in (400, 403)


# --- The log --------------------------------------------------------------------------------------------


def test_every_change_and_decision_is_in_the_log(filled: Running) -> None:
    filled.ask(required=["db"])
    filled.owner.rotate_secret("db", b"x")
    filled.owner.remove_secret("db")
    actions = [json.loads(entry.record)["action"] for entry in filled.owner.log()]
    assert actions == ["policy put", "secret put", "release", "secret rotate", "secret rm"]
    last = verify_chain(filled.owner.log())
    assert last is not None
    assert last.number == 5


def test_a_changed_cut_or_rewritten_log_is_found(filled: Running) -> None:
    for _ in range(3):
        filled.ask(required=["db"])
    log = filled.owner.log()
    noted = {log[3].number: log[3].hash}
    assert verify_chain(log, noted) == log[-1]
    changed = [*log[:2], Entry(3, log[2].record.replace("released", "refused"), log[2].hash), *log[3:]]
    with pytest.raises(BrokerError, match="record 3 of the log was changed"):
        verify_chain(changed)
    with pytest.raises(BrokerError, match="record 3 of the log is missing"):
        verify_chain(log[:2] + log[3:])
    with pytest.raises(BrokerError, match="its end was cut off"):
        verify_chain(log[:3], noted)
    from casemate.broker.journal import chained

    forged, previous = [], bytes(32)
    for entry in log:
        record = entry.record.replace(ENCLAVE.hex(), "00" * 32)
        previous = chained(previous, record)
        forged.append(Entry(entry.number, record, previous))
    assert verify_chain(forged) is not None
    with pytest.raises(BrokerError, match="it was rewritten"):
        verify_chain(forged, noted)


def test_a_record_that_cannot_be_kept_fails_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "b")
    database = Database(home.database_url, home.master_key())
    writer = JournalWriter(database)
    with database.write():
        # The writer waits for this transaction: what comes meanwhile is one batch.
        futures = [writer.submit({"name": name}) for name in ("a", "b", "\ud800", "c")]
    assert [type(each.exception()) for each in futures] == [type(None), type(None), UnicodeEncodeError, type(None)]
    writer.close()
    with database.read() as connection:
        assert [json.loads(entry.record)["name"] for entry in entries(connection)] == ["a", "b", "c"]
    database.close()


def test_a_policys_mistakes_are_explained(broker: Running) -> None:
    with pytest.raises(BrokerError, match=r"mrenclave\[1\]: expected 64 hexadecimal digits"):
        broker.owner.put_policy("mine", 'mrenclave = "12"')


def test_a_token_that_was_cut_off_lets_nobody_in(tmp_path: Path) -> None:
    home = Home(tmp_path / "broker")
    assert home.is_owner(home.token)
    (home.path / "token").write_bytes(b"")
    with pytest.raises(BrokerError, match="token is damaged"):
        Home(home.path)


def test_a_file_that_could_not_be_written_is_not_left_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(CasemateError, match="cannot write"):
            write_private(tmp_path / "key", b"half of it")
    assert list(tmp_path.iterdir()) == []
    write_private(tmp_path / "key", b"all of it")
    with pytest.raises(CasemateError, match="cannot write"):
        write_private(tmp_path / "key", b"another")
    assert (tmp_path / "key").read_bytes() == b"all of it"
