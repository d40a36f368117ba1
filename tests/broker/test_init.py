"""``casemate-init`` as an ordinary program, against a broker. Inside an enclave it is not tested: there are no quotes yet."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from casemate.broker.serve import Address
from tests.attestation.simple_quotes import quote_of
from tests.broker.conftest import NewRoot
from tests.broker.enclaves import ENCLAVE, OTHER, POLICY, Running, serving
from tests.broker.init_root import InitRoot

Make = Callable[..., InitRoot]


@pytest.fixture
def make(new_root: NewRoot) -> Make:
    return lambda mrenclave=ENCLAVE: new_root(quote_of(mrenclave))


@pytest.fixture
def filled(broker: Running) -> Running:
    broker.owner.put_policy("mine", POLICY)
    broker.owner.put_secret("db", "env", "mine", b"hunter2")
    broker.owner.put_secret("flag", "arg", "mine", b"--token=x y")
    broker.owner.put_secret("model", "key", "mine", bytes(range(16)))
    broker.owner.put_secret("file", "file", "mine", b"\0binary\n")
    return broker


def settings(pin: bytes, *addresses: Address | str, **changed: Any) -> dict[str, Any]:
    empty = {"args": [], "env": {}, "files": {}, "keys": {}, "optional": [], "required": [], "results": []}
    return {**empty, "broker": [str(each) for each in addresses], "broker_key": pin.hex(), "timeout_s": 60, **changed}


def of(broker: Running, **changed: Any) -> dict[str, Any]:
    return settings(broker.home.pin, broker.addresses["enclaves"], **changed)


def test_every_secret_is_in_its_place_when_the_program_starts(filled: Running, make: Make) -> None:
    inside = make()
    done = inside.run(
        of(
            filled,
            required=["db", "flag", "model", "file"],
            env={"PASSWORD": "db"},
            args=["flag"],
            keys={"default": "model"},
            files={"/run/secrets/deep/file": "file"},
        ),
        'echo "$FIRST|$PASSWORD|$#|$1|$2|$$"',
        "own",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.rpartition("|")[0] == "1|hunter2|2|own|--token=x y"
    assert (inside.root / "dev/attestation/keys/default").read_bytes() == bytes(range(16))
    assert (inside.root / "run/secrets/deep/file").read_bytes() == b"\0binary\n"
    assert (inside.root / "run/secrets/deep/file").stat().st_mode & 0o777 == 0o400


def test_optional_secrets_that_are_withheld_leave_their_place_empty(filled: Running, make: Make) -> None:
    done = make().run(
        of(filled, required=["db"], optional=["none"], env={"A": "none", "B": "db"}, files={"/run/x": "none"}),
        'echo "${A-unset} $B"; test -e /run/x || echo no file',
    )
    assert (done.returncode, done.stdout) == (0, "unset hunter2\nno file\n")


def test_a_refused_enclave_ends_with_the_brokers_sentence(filled: Running, make: Make) -> None:
    done = make(OTHER).run(of(filled, required=["db"]), "echo started")
    assert (done.returncode, done.stdout) == (77, "")
    assert f"mrenclave: expected {ENCLAVE.hex()}, found {OTHER.hex()}" in done.stderr
    record = json.loads(filled.owner.log()[-1].record)
    assert (record["outcome"], record["enclave"]["mrenclave"]) == ("refused", OTHER.hex())


def test_a_broker_that_is_not_the_pinned_one_is_told_nothing(filled: Running, make: Make) -> None:
    before = len(filled.owner.log())
    done = make().run(settings(bytes(32), filled.addresses["enclaves"], required=["db"]), "echo started")
    assert (done.returncode, done.stdout) == (76, "")
    assert "its key is not the one that the manifest pins" in done.stderr
    assert len(filled.owner.log()) == before


def unused_address() -> Address:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return Address(*listener.getsockname())


def test_a_broker_that_is_down_is_asked_until_the_time_is_over(make: Make) -> None:
    done = make().run(settings(bytes(32), unused_address(), required=["db"], timeout_s=1), "echo started")
    assert (done.returncode, done.stdout) == (69, "")
    assert "Connection refused" in done.stderr
    assert done.stderr.count("asking again") >= 1
    assert not done.stderr.splitlines()[-1].endswith("asking again")


def test_a_broker_that_comes_up_later_is_found(tmp_path: Path, make: Make) -> None:
    with serving(tmp_path / "b") as broker:
        broker.owner.put_policy("mine", POLICY)
        broker.owner.put_secret("db", "env", "mine", b"late")
    address = unused_address()
    process = make().start(settings(broker.home.pin, address, required=["db"], env={"A": "db"}), "echo $A")
    assert process.stderr is not None
    assert "asking again" in process.stderr.readline()
    with serving(tmp_path / "b", enclaves=address):
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "late\n"), err


def test_the_next_broker_is_asked_when_one_is_down(filled: Running, make: Make) -> None:
    brokers = settings(filled.home.pin, unused_address(), filled.addresses["enclaves"], required=["db"])
    assert make().run(brokers, "echo started").stdout == "started\n"


def test_names_are_looked_up_in_etc_hosts(filled: Running, make: Make) -> None:
    named = settings(filled.home.pin, f"broker.test:{filled.addresses['enclaves'].port}", required=["db"])
    assert make().run(named, "echo started").stdout == "started\n"


def test_names_are_asked_of_the_servers_in_resolv_conf(make: Make) -> None:
    inside = make()
    (inside.root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    done = inside.run(settings(bytes(32), "nowhere.test:1", required=["db"], timeout_s=1), "echo started")
    assert done.returncode == 69
    assert "DNS server 127.0.0.1" in done.stderr


def test_something_else_than_a_broker_is_told_apart(make: Make) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

    thread = threading.Thread(target=answer)
    thread.start()
    done = make().run(settings(bytes(32), Address(*listener.getsockname()), required=["db"]), "echo started")
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    assert (done.returncode, done.stdout) == (76, "")
    assert "not to be trusted" in done.stderr


def test_results_go_back_when_the_program_has_ended(filled: Running, make: Make) -> None:
    done = make().run(
        of(filled, required=["db"], env={"A": "db"}, results=["/dev/casemate/results", "/tmp/one", "/tmp/none"]),
        "echo $A > '/dev/casemate/results/report 1'; echo two > /dev/casemate/results/two; echo 1 > /tmp/one; exit 3",
    )
    assert (done.returncode, done.stderr) == (3, "")
    found = {each["name"]: filled.owner.result(each["id"]) for each in filled.owner.results()}
    assert found == {"report 1": b"hunter2\n", "two": b"two\n", "one": b"1\n"}


def test_signals_reach_a_program_whose_results_are_awaited(filled: Running, make: Make) -> None:
    process = make().start(
        of(filled, required=["db"], results=["/dev/casemate/results"]),
        "trap 'echo got it > /dev/casemate/results/r; exit 5' TERM; echo ready; while :; do sleep 0.1; done",
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 5
    assert filled.owner.result(filled.owner.results("r")[0]["id"]) == b"got it\n"


@pytest.mark.parametrize(("code", "expected"), [(0, 74), (3, 3)])
def test_lost_results_are_told_and_fail_a_run_that_went_well(
    tmp_path: Path, make: Make, code: int, expected: int
) -> None:
    with serving(tmp_path / "b") as broker:
        broker.owner.put_policy("mine", POLICY)
        broker.owner.put_secret("db", "env", "mine", b"x")
        inside = make()
        process = inside.start(
            of(broker, required=["db"], results=["/tmp/r"], timeout_s=1),
            f"echo x > /tmp/r; echo ready; while ! test -e /tmp/go; do sleep 0.1; done; exit {code}",
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    (inside.root / "tmp/go").touch()
    _, err = process.communicate(timeout=120)
    assert process.returncode == expected
    assert "the results are lost: /tmp/r: the broker cannot be reached" in err


def test_a_program_that_is_not_there_is_named(filled: Running, make: Make) -> None:
    inside = make()
    (inside.root / "bin/sh").unlink()
    done = inside.run(of(filled, required=["db"]), "true")
    assert done.returncode == 127
    assert "the program /bin/sh cannot be started" in done.stderr


def test_without_a_quote_nobody_is_asked(filled: Running, make: Make) -> None:
    inside = make()
    (inside.root / "dev/attestation/user_report_data").unlink()
    done = inside.run(of(filled, required=["db"]), "echo started")
    assert (done.returncode, done.stdout) == (71, "")
    assert "cannot prove itself" in done.stderr


def test_no_message_holds_a_secret(filled: Running, make: Make) -> None:
    inside = make()
    filled.owner.rotate_secret("file", b"top\0secret")
    done = inside.run(of(filled, required=["file"], env={"A": "file"}), "echo started")
    assert done.returncode == 73
    assert "'file' holds a NUL" in done.stderr
    assert "secret\n" not in done.stderr
    assert "top" not in done.stderr
