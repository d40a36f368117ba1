"""The collateral cache: filled from a service, only with what is genuine, and used without a network."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from casemate.attestation import Collateral, CollateralError, QuoteRefusedError, pcs, read_quote, roots, verify
from casemate.attestation.appraise import appraise
from casemate.attestation.pcs import INTEL, PcsClient, PlatformKind, platform_kind
from casemate.attestation.simulated import platform
from casemate.attestation.simulated.vendor import Vendor
from casemate.attestation.store import CollateralStore
from casemate.attestation.transfer import export_entries, fitting, import_entries, read_collateral
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


class Endless(httpx.SyncByteStream):
    """Sixteen megabytes; how many were asked for is kept."""

    def __init__(self) -> None:
        self.given = 0

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(256):
            self.given += 1 << 16
            yield bytes(1 << 16)


def test_an_answer_that_is_too_long_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcs, "MAX_BYTES", 1 << 18)
    monkeypatch.setattr(platform, "_MAX_ANSWER_BYTES", 1 << 18)
    body = Endless()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=body))
    with PcsClient("http://pccs", transport=transport) as client, pytest.raises(CollateralError, match="more than 256"):
        client.fetch(KIND)
    assert body.given <= 1 << 19
    body.given = 0
    with httpx.Client(base_url="http://vendor", transport=transport) as client:
        with pytest.raises(platform.PlatformError, match="more than 256"):
            platform._ask(client, "GET", "/simulated/v1/enclaves/qe.sig")
        assert body.given <= 1 << 19


def test_an_answer_that_unpacks_to_more_is_not_unpacked() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["accept-encoding"])
        headers = {"Content-Encoding": "gzip"}
        return httpx.Response(200, stream=httpx.ByteStream(gzip.compress(bytes(1 << 16))), headers=headers)

    with (
        PcsClient("http://pccs", transport=httpx.MockTransport(answer)) as client,
        pytest.raises(CollateralError, match="gzip"),
    ):
        client.fetch(KIND)
    assert asked == ["identity"]


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
    with pytest.raises(CollateralError, match=r"older \(evaluation 1, "):
        store.put(old, root_of(vendor), kind_of(vendor), source="test", at=AT)
    assert store.get(root_of(vendor), kind_of(vendor)) == new


def _older_list(vendor: Vendor) -> Collateral:
    """Issued in the same second as the next one."""
    older = vendor.collateral(AT)
    vendor.state.crl_number += 1
    return older


EARLIER: list[Callable[[Vendor], Collateral]] = [_older_list, lambda vendor: vendor.collateral(AT - timedelta(days=1))]
PARTS = [("tcb_info", "tcb_info_signature"), ("qe_identity", "qe_identity_signature"), ("root_ca_crl",), ("pck_crl",)]


@pytest.mark.parametrize("parts", PARTS)
def test_no_part_goes_back_to_an_earlier_issue(store: CollateralStore, vendor: Vendor, parts: tuple[str, ...]) -> None:
    """Of the same evaluation: it may say less of revoked platforms, or of levels that are out of date."""
    root, kind = root_of(vendor), kind_of(vendor)
    earlier = [make(vendor) for make in (EARLIER if "crl" in parts[0] else EARLIER[1:])]
    new = vendor.collateral(AT)
    for old in earlier:
        mixed = replace(new, **{part: getattr(old, part) for part in parts})
        appraise(mixed, root, AT)
        store.put(new, root, kind, source="test", at=AT)
        with pytest.raises(CollateralError, match="is older"):
            store.put(mixed, root, kind, source="test", at=AT)
        assert store.get(root, kind) == new


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


def test_an_exports_entry_is_chosen_by_the_quotes_platform(
    store: CollateralStore, vendor: Vendor, vendor_path: Path, tmp_path: Path
) -> None:
    stranger = Vendor.create(
        tmp_path / "stranger", url="http://127.0.0.1:9", at=AT, signer=vendor_path / "enclaves.key"
    )
    for each in (stranger, vendor):
        store.put(each.collateral(AT), root_of(each), kind_of(each), source="test", at=AT)
    vendor.state.fmspc = "000000000000"
    store.put(vendor.collateral(AT), root_of(vendor), kind_of(vendor), source="test", at=AT)
    (tmp_path / "export").write_text(export_entries(store))
    found = read_collateral(tmp_path / "export")
    assert len(found) == 3
    for each in (stranger, Vendor.open(vendor_path)):
        quote = Platform(each, AT).quote(report_body())
        assert fitting(found, quote, root_of(each)).fmspc == each.state.fmspc
        verify(quote, fitting(found, quote, root_of(each)), AT, root_of(each))
        with pytest.raises(QuoteRefusedError, match="root"):
            fitting(found, quote, roots.intel())
        others = [one for one in found if one.fmspc != each.state.fmspc]
        with pytest.raises(CollateralError, match="no collateral fits"):
            fitting(others, quote, root_of(each))
    newer = stranger.collateral(AT + timedelta(minutes=1))
    assert fitting([newer, *found], Platform(stranger, AT).quote(report_body()), root_of(stranger)) == newer


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
