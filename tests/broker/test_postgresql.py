"""Two brokers on one PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.broker.errors import BrokerError
from casemate.broker.home import Home
from casemate.broker.journal import verify_chain
from tests.broker.enclaves import POLICY, serving, values

pytest.importorskip("psycopg")


def _tools() -> Path:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = versions[-1].parent if versions else None
    if found is None and (initdb := shutil.which("initdb")):
        found = Path(initdb).parent
    if found is None:
        pytest.skip("PostgreSQL is not installed")
    return found


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own, on a socket in a directory that only it uses."""
    tools, place = _tools(), Path(tmp_path_factory.mktemp("pg"))
    as_user: dict[str, object] = {"check": True, "capture_output": True, "cwd": "/", "env": {"LC_ALL": "C"}}
    if os.geteuid() == 0:
        # The server refuses to run as root; the user comes with its package.
        as_user |= {"user": "postgres", "group": "postgres", "extra_groups": []}
        place = Path("/tmp") / f"casemate-pg-{os.getpid()}"
        place.mkdir(mode=0o700)
        shutil.chown(place, "postgres", "postgres")
    data = place / "data"
    options = f"-c listen_addresses= -c unix_socket_directories={place} -c fsync=off"
    try:
        subprocess.run([tools / "initdb", "-A", "trust", "-U", "owner", "-D", data], **as_user)  # type: ignore[call-overload]
        log = place / "log"
        subprocess.run(  # type: ignore[call-overload]
            [tools / "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start"],
            **as_user | {"capture_output": False},
        )
        yield f"postgresql://owner@/postgres?host={place}"
        subprocess.run([tools / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **as_user)  # type: ignore[call-overload]
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_two_brokers_serve_together(tmp_path: Path, url: str) -> None:
    Home(tmp_path / "one").master_key()
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    with (
        serving(tmp_path / "one", database=url) as one,
        serving(tmp_path / "two", database=url) as two,
    ):
        one.owner.put_policy("mine", POLICY)
        two.owner.put_secret("db", "env", "mine", b"hunter2")
        asked: list[bytes] = []

        def ask(which: int) -> None:
            for _ in range(10):
                asked.append(values((one, two)[which % 2].ask(required=["db"]))["db"])

        threads = [threading.Thread(target=ask, args=[number]) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert asked == [b"hunter2"] * 60
        one.owner.rotate_secret("db", b"hunter3")
        assert values(two.ask(required=["db"])) == {"db": b"hunter3"}
        with two.enclave() as client:
            assert client.put("/v1/results/r", content=b"42").status_code == 204
        assert one.owner.result(one.owner.results()[0]["id"]) == b"42"
        last = verify_chain(one.owner.log())
        assert last is not None
        assert last.number == 2 + 60 + 1 + 1 + 1
        assert two.owner.log()[-1] == last


def test_a_broker_with_another_master_key_does_not_start(tmp_path: Path, url: str) -> None:
    with pytest.raises(BrokerError, match="master key is another one"), serving(tmp_path / "three", database=url):
        pass
