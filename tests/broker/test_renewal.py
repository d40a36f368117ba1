"""A broker that serves keeps its collateral: renewed ahead of expiry, fetched for platforms that are new to it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from casemate.attestation import QuoteRefusedError, roots
from casemate.attestation.chains import read_chain, write_chain
from casemate.attestation.pcs import INTEL, PlatformKind
from casemate.attestation.ratls import new_identity
from casemate.attestation.simulated.vendor import Vendor
from casemate.attestation.store import CollateralStore, Entry
from casemate.broker.errors import FetchingError
from casemate.broker.judging import quote_judge, stored_collateral, stored_expiries
from casemate.broker.metrics import METRICS
from casemate.broker.renewal import CollateralRenewal
from tests.attestation.live import live_vendor
from tests.attestation.paper import Platform, report_body
from tests.broker.enclaves import ENCLAVE, POLICY, Running, serving, values

NOBODY = "http://127.0.0.1:1"
SOON = timedelta(days=60)


class Cache:
    """A vendor that is served, and a cache of its collateral."""

    def __init__(self, vendor: Vendor, url: str, store: CollateralStore) -> None:
        self.vendor, self.url, self.store = vendor, url, store
        self.root = roots.simulated(vendor.path / "root.pem")
        self.kind = PlatformKind(vendor.state.fmspc, "processor")
        self.platform = Platform(vendor, datetime.now(UTC))

    def put_old(self, source: str) -> Entry:
        """An entry of yesterday's."""
        at = datetime.now(UTC).replace(microsecond=0)
        old = self.vendor.collateral(at - timedelta(days=1))
        return self.store.put(old, self.root, self.kind, source=source, at=at)

    def entry(self) -> Entry | None:
        return next(iter(self.store.entries()), None)

    def quote(self, report_data: bytes = b"") -> bytes:
        return self.platform.quote(report_body(mrenclave=ENCLAVE, report_data=report_data))


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    store = CollateralStore(f"sqlite:///{tmp_path}/collateral.db")
    with live_vendor(tmp_path / "vendor", at=datetime.now(UTC) - timedelta(days=100)) as (vendor, url):
        yield Cache(vendor, url, store)
    store.close()


def fetches(outcome: str) -> float:
    return METRICS.registry.get_sample_value("casemate_broker_collateral_fetches_total", {"outcome": outcome}) or 0


def until(holds: Callable[[], bool]) -> None:
    """A thread does it; how fast is not what is tested."""
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def renewed(cache: Cache, old: Entry, renewal: CollateralRenewal) -> Entry:
    renewal.start()
    try:
        until(lambda: (entry := cache.entry()) is not None and entry.issued > old.issued)
    finally:
        renewal.close()
    found = cache.entry()
    assert found is not None
    return found


def test_what_expires_soon_is_fetched_anew_from_where_it_came(cache: Cache) -> None:
    old = cache.put_old(cache.url)
    found = renewed(cache, old, CollateralRenewal(cache.store, cache.root, ahead=SOON))
    assert found.expires > old.expires
    assert found.source == cache.url


def test_it_is_fetched_from_the_service_that_is_named(cache: Cache) -> None:
    old = cache.put_old(NOBODY)
    found = renewed(cache, old, CollateralRenewal(cache.store, cache.root, pccs=cache.url, ahead=SOON))
    assert found.source == cache.url


def test_what_is_valid_for_long_is_left_alone(cache: Cache) -> None:
    cache.put_old(NOBODY)
    before = fetches("failed"), fetches("stored")
    renewal = CollateralRenewal(cache.store, cache.root)
    assert renewal._look() > 60
    assert (fetches("failed"), fetches("stored")) == before


def test_a_failure_is_said_and_counted_and_what_is_there_stays(cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    old, before = cache.put_old(NOBODY), fetches("failed")
    renewal = CollateralRenewal(cache.store, cache.root, ahead=SOON)
    with caplog.at_level(logging.WARNING, "casemate.broker"):
        pause = renewal._look()
    assert 1 <= pause <= 60
    assert cache.entry() == old
    assert fetches("failed") == before + 1
    assert f"collateral for platforms {cache.kind} cannot be fetched (what is there is valid until" in caplog.text
    assert NOBODY in caplog.text
    # Its pause is not over: nothing is asked.
    renewal._look()
    assert fetches("failed") == before + 1
    assert not renewal.want(cache.kind)


def test_a_simulated_vendor_of_unknown_address_is_not_looked_for_at_intels(cache: Cache) -> None:
    old, before = cache.put_old("a file"), fetches("failed")
    asked: list[str] = []

    def connect(url: str) -> None:
        asked.append(url)
        raise AssertionError

    renewal = CollateralRenewal(cache.store, cache.root, ahead=SOON, connect=connect)  # type: ignore[arg-type]
    renewal._look()
    assert (asked, cache.entry(), fetches("failed")) == ([], old, before + 1)
    real = CollateralRenewal(cache.store, roots.intel(), connect=connect)  # type: ignore[arg-type]
    assert real.want(PlatformKind("00A067110000", "processor"))
    real._look()
    assert asked == [INTEL]


def test_only_so_many_kinds_of_platforms_are_asked_for(cache: Cache) -> None:
    renewal = CollateralRenewal(cache.store, cache.root)
    kinds = [PlatformKind(f"{number:012X}", "processor") for number in range(20)]
    assert all(renewal.want(kinds[0]) for _ in range(20))
    assert [renewal.want(kind) for kind in kinds] == [True] * 16 + [False] * 4
    renewal.close()
    assert not renewal.want(kinds[-1])


def ask(broker: Running, cache: Cache) -> httpx.Response:
    identity = new_identity(cache.quote)
    with broker.enclave(identity=identity) as client:
        return client.post("/v1/secrets", json={"required": ["db"]})


def test_an_enclave_of_a_platform_that_is_new_asks_again_and_is_served(cache: Cache, tmp_path: Path) -> None:
    renewal = CollateralRenewal(cache.store, cache.root, pccs=cache.url)
    judge = quote_judge(stored_collateral(cache.store, cache.root, renewal.want), cache.root)
    with serving(tmp_path / "b", judge=judge) as broker:
        broker.owner.put_policy("mine", POLICY)
        broker.owner.put_secret("db", "env", "mine", b"hunter2")
        answer = ask(broker, cache)
        assert (answer.status_code, "is being fetched" in answer.text) == (503, True)
        assert json.loads(broker.owner.log()[-1].record)["outcome"] == "deferred"
        renewal.start()
        until(lambda: cache.entry() is not None)
        assert values(ask(broker, cache)) == {"db": b"hunter2"}
        renewal.close()


def test_what_has_expired_is_asked_for(cache: Cache) -> None:
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(days=40)
    cache.store.put(cache.vendor.collateral(at), cache.root, cache.kind, source=cache.url, at=at)
    wanted: list[PlatformKind] = []
    source = stored_collateral(cache.store, cache.root, lambda kind: not wanted.append(kind))  # type: ignore[func-returns-value]
    with pytest.raises(FetchingError):
        source(cache.quote())
    assert wanted == [cache.kind]
    refused = quote_judge(stored_collateral(cache.store, cache.root, lambda _: False), cache.root)
    with pytest.raises(QuoteRefusedError, match="validity"):
        refused(cache.quote())


def test_nothing_is_fetched_for_a_certificate_that_the_authority_did_not_issue(cache: Cache) -> None:
    """A stranger can put the right root, and the right authority, behind a certificate of its own making."""
    leaf, issuer, root = read_chain(cache.platform.chain, "chain")
    old, key = x509.load_der_x509_certificate(leaf), ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(
        old.issuer,
        old.subject,
        old.public_key(),
        old.serial_number,
        old.not_valid_before_utc,
        old.not_valid_after_utc,
        list(old.extensions),
    )
    forged = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    cache.platform.chain = write_chain(forged, issuer, root)
    wanted: list[PlatformKind] = []
    source = stored_collateral(cache.store, cache.root, lambda kind: not wanted.append(kind))  # type: ignore[func-returns-value]
    with pytest.raises(QuoteRefusedError, match="pck_chain: expected certificates issued under the root"):
        source(cache.quote())
    assert wanted == []


def test_readiness_and_metrics_say_until_when_collateral_is_valid(cache: Cache, tmp_path: Path) -> None:
    with serving(tmp_path / "b", expiries=stored_expiries(cache.store, cache.root)) as broker:
        entry = cache.put_old(cache.url)
        address = f"https://{broker.addresses['admin']}"
        with httpx.Client(verify=False, headers={"Authorization": f"Bearer {broker.home.token}"}) as client:
            assert client.get(f"{address}/readyz").text == "ready\n"
            metrics = client.get(f"{address}/metrics").text
            expiry = "casemate_broker_collateral_expiry_timestamp_seconds"
            (line,) = [line for line in metrics.splitlines() if line.startswith(expiry)]
            assert float(line.split()[1]) == entry.expires.timestamp()
            at = datetime.now(UTC).replace(microsecond=0) - timedelta(days=29)
            other = PlatformKind("AAAAAAAAAAAA", "processor")
            cache.vendor.state.fmspc = other.fmspc
            cache.store.put(cache.vendor.collateral(at), cache.root, other, source=cache.url, at=at)
            answer = client.get(f"{address}/readyz")
            assert answer.status_code == 200
            assert answer.text.startswith(f"ready\ncollateral for platforms {other} expires at ")
