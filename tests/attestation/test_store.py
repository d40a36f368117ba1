"""The collateral cache: filled from a service, only with what is genuine, and used without a network."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from casemate.attestation import Collateral, CollateralError, read_quote, roots, verify
from casemate.attestation.appraise import appraise
from casemate.attestation.pcs import INTEL, PcsClient, PlatformKind, platform_kind
from casemate.attestation.simulated.vendor import Vendor
from casemate.attestation.store import CollateralStore
from casemate.attestation.transfer import export_entries, import_entries
from tests.attestation import vectors
from tests.attestation.conftest import AT
from tests.attestation.paper import Platform, report_body
from tests.attestation.vectors import needs_vectors

LiveVendor = tuple[Vendor, str]
KIND = PlatformKind("00A067110000", "processor")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CollateralStore]:
    found = CollateralStore(f"sqlite:///{tmp_path / 'collateral.db'}")
    yield found
    found.close()


def root_of(vendor: Vendor) -> roots.Root:
    return roots.simulated(vendor.path / "root.pem")


def kind_of(vendor: Vendor) -> PlatformKind:
    return PlatformKind(vendor.state.fmspc, "processor")


def test_collateral_is_fetched_stored_and_used_without_a_network(
    store: CollateralStore, live_vendor: LiveVendor, tmp_path: Path
) -> None:
    vendor, url = live_vendor
    quote = Platform(vendor, datetime.now(UTC)).quote(report_body())
    kind = platform_kind(read_quote(quote))
    assert kind == kind_of(vendor)
    at = datetime.now(UTC)
    with PcsClient(url + "/sgx/certification/v4/") as client:
        entry = store.put(client.fetch(kind), root_of(vendor), kind, source=client.url, at=at)
    assert entry.simulated
    again = CollateralStore(f"sqlite:///{tmp_path / 'collateral.db'}")
    assert verify(quote, again.get(root_of(vendor), kind), at, root_of(vendor)).tcb_status == "UpToDate"
    again.close()


@needs_vectors
def test_intels_own_answers_are_understood(store: CollateralStore) -> None:
    """As Intel's service sends them: signed texts in an envelope, chains in headers, the root's list elsewhere."""
    from urllib.parse import quote

    good = vectors.collateral()
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        match request.url.path.removeprefix("/sgx/certification/v4"):
            case "/pckcrl":
                headers = {"SGX-PCK-CRL-Issuer-Chain": quote(good.pck_crl_issuer_chain)}
                return httpx.Response(200, content=good.pck_crl, headers=headers)
            case "/tcb":
                text = f'{{"tcbInfo":{good.tcb_info},"signature":"{good.tcb_info_signature.hex()}"}}'
                return httpx.Response(
                    200, text=text, headers={"TCB-Info-Issuer-Chain": quote(good.tcb_info_issuer_chain)}
                )
            case "/qe/identity":
                text = f'{{"enclaveIdentity":{good.qe_identity},"signature":"{good.qe_identity_signature.hex()}"}}'
                headers = {"SGX-Enclave-Identity-Issuer-Chain": quote(good.qe_identity_issuer_chain)}
                return httpx.Response(200, text=text, headers=headers)
            case _:
                assert request.url == "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
                return httpx.Response(200, content=good.root_ca_crl)

    with PcsClient(INTEL, transport=httpx.MockTransport(answer)) as client:
        assert client.fetch(KIND) == good
    assert "/IntelSGXRootCA.der" in asked
    store.put(good, roots.intel(), KIND, source=INTEL, at=vectors.WITHIN)
    assert store.get(roots.intel(), KIND) == good


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, headers={"Error-Message": "unknown FMSPC"}),
        httpx.Response(200, text="junk"),
        httpx.Response(200, text="{}", headers={"SGX-PCK-CRL-Issuer-Chain": "junk"}),
        httpx.Response(302, headers={"Location": "http://127.0.0.1:1/"}),
    ],
)
def test_a_service_that_answers_nonsense_is_explained(answer: httpx.Response) -> None:
    with (
        PcsClient("http://pccs", transport=httpx.MockTransport(lambda _: answer)) as client,
        pytest.raises(CollateralError, match="http://pccs"),
    ):
        client.fetch(KIND)


def test_a_service_that_is_away_is_explained() -> None:
    with PcsClient("http://127.0.0.1:1") as client, pytest.raises(CollateralError, match="cannot be reached"):
        client.fetch(KIND)


def _other(collateral: Collateral, vendor: Vendor) -> Collateral:
    """The vendor's TCB info with a signature by somebody else."""
    return replace(collateral, tcb_info_signature=vendor.qe_identity(AT)[1])


CHANGES: list[Callable[[Collateral, Vendor], Collateral]] = [
    _other,
    lambda good, _: replace(good, tcb_info=good.tcb_info.replace('"UpToDate"', '"OutOfDate"')),
    lambda good, _: replace(good, qe_identity=good.qe_identity.replace('"isvsvn":1', '"isvsvn":0')),
    lambda good, _: replace(good, pck_crl=good.root_ca_crl),
    lambda good, _: replace(good, root_ca_crl=good.pck_crl),
    lambda good, _: replace(good, root_ca_crl=good.root_ca_crl[:-1] + bytes([good.root_ca_crl[-1] ^ 1])),
    lambda good, _: replace(good, tcb_info_issuer_chain=good.pck_crl_issuer_chain),
    lambda good, _: replace(good, tcb_info_signature=good.tcb_info_signature[:-1]),
    lambda good, vendor: vendor.collateral(AT - timedelta(days=40)),
    lambda good, vendor: vendor.collateral(AT + timedelta(days=1)),
]


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_what_the_root_does_not_vouch_for_is_not_stored(store: CollateralStore, vendor: Vendor, number: int) -> None:
    good = vendor.collateral(AT)
    appraise(good, root_of(vendor), AT)
    with pytest.raises(CollateralError):
        store.put(CHANGES[number](good, vendor), root_of(vendor), kind_of(vendor), source="test", at=AT)
    with pytest.raises(CollateralError):
        store.put(good, roots.intel(), kind_of(vendor), source="test", at=AT)
    assert store.entries() == []


def test_collateral_of_an_older_evaluation_does_not_replace_newer(store: CollateralStore, vendor: Vendor) -> None:
    old = vendor.collateral(AT)
    vendor.state.evaluation_number += 1
    new = vendor.collateral(AT)
    store.put(new, root_of(vendor), kind_of(vendor), source="test", at=AT)
    with pytest.raises(CollateralError, match="older evaluation"):
        store.put(old, root_of(vendor), kind_of(vendor), source="test", at=AT)
    assert store.get(root_of(vendor), kind_of(vendor)) == new


def test_what_expires_soon_is_renewed_ahead_and_the_rest_left_alone(
    store: CollateralStore, live_vendor: LiveVendor
) -> None:
    vendor, url = live_vendor
    at = datetime.now(UTC)
    with PcsClient(url) as client:
        first = store.put(client.fetch(kind_of(vendor)), root_of(vendor), kind_of(vendor), source=url, at=at)
        assert store.refresh(client, root_of(vendor), at=at) == []
        assert store.refresh(client, roots.intel(), at=at, ahead=timedelta(days=60)) == []
        (renewed,) = store.refresh(client, root_of(vendor), at=at, ahead=timedelta(days=60))
    assert not isinstance(renewed, CollateralError)
    assert renewed.expires >= first.expires


def test_a_refresh_that_fails_keeps_what_is_there(store: CollateralStore, vendor: Vendor) -> None:
    store.put(vendor.collateral(AT), root_of(vendor), kind_of(vendor), source="test", at=AT)
    with PcsClient("http://127.0.0.1:1") as client:
        (outcome,) = store.refresh(client, root_of(vendor), at=AT, ahead=timedelta(days=60))
    assert isinstance(outcome, CollateralError)
    assert store.get(root_of(vendor), kind_of(vendor)) == vendor_collateral_without_signatures(store)


def vendor_collateral_without_signatures(store: CollateralStore) -> Collateral:
    """What the database holds, read past the store."""
    (row,) = json.loads(export_entries(store))["entries"]
    return Collateral.from_json(json.dumps(row["collateral"]))


def test_an_export_is_imported_elsewhere_for_the_root_that_is_trusted(
    store: CollateralStore, vendor: Vendor, tmp_path: Path
) -> None:
    store.put(vendor.collateral(AT), root_of(vendor), kind_of(vendor), source="test", at=AT)
    text = export_entries(store).encode()
    other = CollateralStore(f"sqlite:///{tmp_path / 'other.db'}")
    assert import_entries(other, text, roots.intel(), "processor", where="f", at=AT) == []
    (entry,) = import_entries(other, text, root_of(vendor), "processor", where="f", at=AT)
    assert entry.source == "test"
    assert other.get(root_of(vendor), kind_of(vendor)) == store.get(root_of(vendor), kind_of(vendor))
    for bad in (b"", b"[]", b'{"version": 2, "entries": []}', b'{"version": 1, "entries": [{}]}', b"[" * 100_000):
        with pytest.raises(CollateralError):
            import_entries(other, bad, root_of(vendor), "processor", where="f", at=AT)
    other.close()


def test_missing_collateral_says_how_to_get_it(store: CollateralStore) -> None:
    with pytest.raises(CollateralError, match="casemate collateral sync"):
        store.get(roots.intel(), KIND)


@pytest.mark.parametrize("url", ["nonsense", "mysterious://x", "sqlite:////nowhere/at/all/x.db"])
def test_a_database_that_cannot_be_used_is_explained(url: str) -> None:
    with pytest.raises(CollateralError):
        CollateralStore(url)


def test_a_damaged_database_is_explained(tmp_path: Path, vendor: Vendor) -> None:
    path = tmp_path / "c.db"
    store = CollateralStore(f"sqlite:///{path}")
    store.put(vendor.collateral(AT), root_of(vendor), kind_of(vendor), source="test", at=AT)
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE collateral SET data = 'x'")
    connection.close()
    with pytest.raises(CollateralError):
        CollateralStore(f"sqlite:///{path}").get(root_of(vendor), kind_of(vendor))
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(CollateralError):
        CollateralStore(f"sqlite:///{path}")
