"""Two brokers, and their collateral cache, on one PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from casemate.attestation import CollateralError, roots
from casemate.attestation.pcs import PlatformKind
from casemate.attestation.ratls import new_identity
from casemate.attestation.simulated.vendor import Vendor
from casemate.attestation.store import CollateralStore
from casemate.broker.errors import BrokerError
from casemate.broker.home import Home
from casemate.broker.journal import verify_chain
from casemate.broker.judging import quote_judge, stored_collateral
from tests.attestation.live import live_vendor
from tests.attestation.paper import Platform, report_body
from tests.broker.enclaves import ENCLAVE, POLICY, serving, values

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


def test_one_collateral_cache_serves_two_brokers(tmp_path: Path, url: str) -> None:
    """By the owner's commands: one fetches, the other judges by what it fetched."""
    with live_vendor(tmp_path / "vendor") as (vendor, address):
        root = f"simulated:{vendor.path}/root.pem"
        fetch = ["--url", address, "--fmspc", vendor.state.fmspc, "--ca", "processor"]
        casemate("collateral", "sync", *fetch, "--root", root, "--db", url)
        (entry,) = json.loads(casemate("collateral", "list", "--json", "--db", url))
        assert (entry["fmspc"], entry["source"]) == (vendor.state.fmspc, address)
        casemate("collateral", "export", str(tmp_path / "export.json"), "--db", url)
        assert json.loads((tmp_path / "export.json").read_bytes())["entries"][0]["fmspc"] == vendor.state.fmspc
        platform = Platform(vendor, datetime.now(UTC))
        identity = new_identity(lambda data: platform.quote(report_body(mrenclave=ENCLAVE, report_data=data)))
        Home(tmp_path / "one").master_key()
        shutil.copytree(tmp_path / "one", tmp_path / "two")
        trusted, database = roots.from_option(root), url.replace("/postgres?", "/template1?")
        for number, home in enumerate(("one", "two")):
            store = CollateralStore(url)
            judge = quote_judge(stored_collateral(store, trusted), trusted)
            with serving(tmp_path / home, judge=judge, database=database) as broker:
                if number == 0:
                    broker.owner.put_policy("mine", POLICY)
                    broker.owner.put_secret("db", "env", "mine", b"hunter2")
                with broker.enclave(identity=identity) as client:
                    answer = client.post("/v1/secrets", json={"required": ["db"]})
                assert values(answer) == {"db": b"hunter2"}
            store.close()


def test_of_caches_that_write_at_once_the_newest_collateral_stays(tmp_path: Path, url: str) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    vendor = Vendor.create(tmp_path / "vendor", url="http://127.0.0.1:9", at=now - timedelta(days=2))
    root, kind = roots.simulated(vendor.path / "root.pem"), PlatformKind(vendor.state.fmspc, "processor")
    issues = [vendor.collateral(now - timedelta(hours=hours)) for hours in range(12)]
    outcomes: list[str] = []

    def put(which: int) -> None:
        store = CollateralStore(url)
        for issue in issues[which::4]:
            try:
                store.put(issue, root, kind, source="test", at=now)
                outcomes.append("stored")
            except CollateralError as error:
                outcomes.append(str(error))
        store.close()

    threads = [threading.Thread(target=put, args=[which]) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 12
    assert all(outcome == "stored" or "is older" in outcome for outcome in outcomes)
    store = CollateralStore(url)
    assert store.get(root, kind) == issues[0]
    store.close()


def casemate(*arguments: str) -> str:
    command = [sys.executable, "-m", "casemate", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout
