"""``casemate broker`` as its owner types it, against a broker that serves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import casemate.cli
import casemate.cli.broker
from casemate.broker.journal import Entry
from tests.broker.enclaves import ENCLAVE, OTHER, POLICY, Running, serving, values

Command = Callable[..., str]


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    with serving(tmp_path / "broker") as running:
        monkeypatch.setenv("CASEMATE_BROKER", str(tmp_path / "broker"))
        yield running


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs ``casemate broker …`` in this process; what it prints. A failure's sentence is what it raises."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["casemate", "broker", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            casemate.cli.main()
        output = capsys.readouterr()
        if caught.value.code:
            raise AssertionError(output.err)
        return output.out

    return run


def test_a_secret_is_put_under_a_policys_file_and_released(broker: Running, command: Command, tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text(POLICY)
    (tmp_path / "password").write_bytes(b"hunter2")
    command("secret", "put", "db", "--policy", str(tmp_path / "shop.toml"), "--file", str(tmp_path / "password"))
    assert values(broker.ask(required=["db"])) == {"db": b"hunter2"}
    assert [each["policy"] for each in json.loads(command("secret", "list", "--json"))] == ["db"]
    (tmp_path / "password").write_bytes(b"hunter3")
    assert command("secret", "rotate", "db", "--file", str(tmp_path / "password")) == "db 2\n"
    assert values(broker.ask(required=["db"])) == {"db": b"hunter3"}
    assert command("policy", "show", "db") == POLICY
    command("secret", "rm", "db")
    command("policy", "rm", "db")
    assert command("policy", "list", "--json") == "[]\n"


def test_a_key_is_made_by_the_broker_s_owner_without_being_seen(
    broker: Running, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "p.toml").write_text(POLICY)
    command("policy", "put", "mine", str(tmp_path / "p.toml"))
    output = command("secret", "put", "model", "--policy", "mine", "--kind", "key", "--generate")
    assert output == "model\n"
    assert len(values(broker.ask(required=["model"]))["model"]) == 16


def test_the_log_says_who_was_refused_and_verifies(broker: Running, command: Command, tmp_path: Path) -> None:
    broker.owner.put_policy("mine", POLICY)
    broker.owner.put_secret("db", "env", "mine", b"hunter2")
    broker.ask(OTHER, required=["db"])
    lines = command("log").splitlines()
    assert len(lines) == 3
    assert f"refused  enclave {OTHER.hex()[:16]}…  db" in lines[2]
    assert f"mrenclave: expected {ENCLAVE.hex()}, found {OTHER.hex()}" in lines[2]
    noted = command("log", "verify").strip()
    broker.ask(required=["db"])
    assert command("log", "verify", "--noted", noted).startswith("4:")
    assert len(command("log", "--after", "3").splitlines()) == 1
    with pytest.raises(AssertionError, match="it was rewritten"):
        command("log", "verify", "--noted", f"2:{'00' * 32}")


def test_what_others_named_neither_forges_lines_nor_steers_the_terminal(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records of before names were checked may hold anything."""
    evil = "a\n9  released\x1b[2J\u202e"
    record = json.dumps({"time": "t", "action": "result", "result": evil, "secrets": [], "why": evil})
    row = {"id": 1, "name": evil, "size": 1, "received": "t", "mrenclave": "00"}

    class Client:
        def __enter__(self) -> Client:
            return self

        def __exit__(self, *_: object) -> None: ...

        def log(self, _after: int) -> list[Entry]:
            return [Entry(1, record, bytes(32))]

        def results(self, _name: str | None) -> list[dict[str, object]]:
            return [row]

    monkeypatch.setattr(casemate.cli.broker, "_client", lambda _place: Client())
    for output, lines in ((command("log"), 1), (command("result", "list"), 2)):
        assert len(output.splitlines()) == lines
        assert all(each.isprintable() for each in output.splitlines())
        assert "a\\n9  released\\x1b" in output


def test_a_result_is_fetched_by_its_name(broker: Running, command: Command, tmp_path: Path) -> None:
    broker.owner.put_policy("mine", POLICY)
    with broker.enclave() as client:
        for data in (b"old", b"new"):
            client.put("/v1/results/report", content=data)
    assert "report" in command("result", "list")
    command("result", "get", "report", "-o", str(tmp_path / "report"))
    assert (tmp_path / "report").read_bytes() == b"new"
    assert command("result", "get", "1") == "old"
    command("result", "rm", "1")
    with pytest.raises(AssertionError, match="there is no result 'other'"):
        command("result", "get", "other")


def test_the_pin_for_manifests_is_printed(broker: Running, command: Command) -> None:
    assert command("identity", str(broker.home.path)) == f"sha256:{broker.home.pin.hex()}\n"


def test_mistakes_are_explained(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASEMATE_BROKER", str(tmp_path))
    for arguments, sentence in (
        (("secret", "list"), "no broker serves from here"),
        (("secret", "put", "x", "--policy", "p"), "give --file FILE"),
        (("secret", "put", "x", "--policy", "p", "--file", "f", "--generate"), "comes from one place"),
        (("serve", str(tmp_path / "b"), "--root", "nobody"), "there is no root"),
        (("serve", str(tmp_path / "b"), "--collateral", str(tmp_path / "none")), "cannot read the collateral"),
    ):
        with pytest.raises(AssertionError, match=sentence):
            command(*arguments)
