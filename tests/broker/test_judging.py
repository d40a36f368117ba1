"""The broker judges real quotes (of platforms that exist on paper) with dcap-qvl and the owner's policy, and init and log
say the same about each refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from casemate.attestation import roots
from casemate.attestation.pcs import PlatformKind
from casemate.attestation.ratls.certificate import QuoteSource
from casemate.attestation.simulated.vendor import Vendor
from casemate.attestation.store import CollateralStore
from casemate.attestation.transfer import export_entries
from casemate.broker.judging import collateral_files, quote_judge, stored_collateral
from tests.attestation.paper import DEBUG, Platform, report_body
from tests.broker.conftest import NewRoot
from tests.broker.enclaves import serving
from tests.broker.test_init import settings

ENCLAVE, OTHER = b"\5" * 32, b"\6" * 32
NOW = datetime.now(UTC)


@dataclass
class World:
    """A vendor, a platform of its, and where its root and collateral lie."""

    vendor: Vendor
    platform: Platform
    place: Path

    def quote_of(self, mrenclave: bytes = ENCLAVE, *, flags: int = 0x5) -> QuoteSource:
        return lambda report_data: self.platform.quote(
            report_body(mrenclave=mrenclave, report_data=report_data, flags=flags)
        )

    def collateral(self, at: datetime = NOW) -> Path:
        path = self.place / f"collateral-{at.timestamp()}.json"
        path.write_text(self.vendor.collateral(at).to_json())
        return path

    def root(self) -> roots.Root:
        return roots.simulated_from_bytes(self.vendor.chain["root"].public_bytes(Encoding.DER), "the vendor")


@pytest.fixture
def world(tmp_path: Path) -> World:
    vendor = Vendor.create(tmp_path / "vendor", url="http://127.0.0.1:9", at=NOW)
    return World(vendor, Platform(vendor, NOW), tmp_path)


def outcome(
    world: World, new_root: NewRoot, quote: QuoteSource, collateral: Path, root: roots.Root
) -> tuple[int, str, str]:
    """The exit status of init, what it says, and what the broker's log says."""
    judge = quote_judge(collateral_files([collateral], root), root)
    with serving(world.place / "b", judge=judge) as broker:
        broker.owner.put_policy("mine", f'mrenclave = "{ENCLAVE.hex()}"\n')
        broker.owner.put_secret("db", "env", "mine", b"hunter2")
        ask = settings(broker.home.pin, broker.addresses["enclaves"], required=["db"], env={"A": "db"})
        done = new_root(quote).run(ask, "echo $A")
        record = json.loads(broker.owner.log()[-1].record)
    assert (record["outcome"] == "released") == (done.returncode == 0)
    claims = "; ".join(
        f"{e['claim']}: expected {e['expected']}, found {e['found']}" for e in record.get("failures", [])
    )
    return done.returncode, done.stdout + done.stderr, claims


def test_a_genuine_enclave_of_an_up_to_date_platform_gets_the_secret(world: World, new_root: NewRoot) -> None:
    assert outcome(world, new_root, world.quote_of(), world.collateral(), world.root())[:2] == (0, "hunter2\n")


def another_enclave(world: World) -> tuple[QuoteSource, Path, str]:
    return world.quote_of(OTHER), world.collateral(), f"mrenclave: expected {ENCLAVE.hex()}, found {OTHER.hex()}"


def a_debug_enclave(world: World) -> tuple[QuoteSource, Path, str]:
    return world.quote_of(flags=0x5 | DEBUG), world.collateral(), "debug: expected a production enclave"


def an_outdated_platform(world: World) -> tuple[QuoteSource, Path, str]:
    world.vendor.recover("INTEL-SA-00999", NOW)
    return world.quote_of(), world.collateral(), "tcb.statuses: expected UpToDate, found OutOfDate"


def expired_collateral(world: World) -> tuple[QuoteSource, Path, str]:
    return world.quote_of(), world.collateral(NOW - timedelta(days=60)), "validity of the TCB info: expected"


def an_unknown_root(world: World) -> tuple[QuoteSource, Path, str]:
    stranger = Vendor.create(world.place / "stranger", url="http://127.0.0.1:9", at=NOW)
    platform = Platform(stranger, NOW)
    quote = World(stranger, platform, world.place).quote_of()
    return quote, world.collateral(), "root: expected the root certificate"


def a_revoked_platform(world: World) -> tuple[QuoteSource, Path, str]:
    world.vendor.revoke(world.platform.ppid, NOW)
    return world.quote_of(), world.collateral(), "genuine: expected a quote that the vendor's certificates vouch for"


@pytest.mark.parametrize(
    "case",
    [another_enclave, a_debug_enclave, an_outdated_platform, expired_collateral, an_unknown_root, a_revoked_platform],
    ids=lambda case: case.__name__,
)
def test_each_refusal_is_said_at_both_ends(
    world: World, new_root: NewRoot, case: Callable[[World], tuple[QuoteSource, Path, str]]
) -> None:
    quote, collateral, sentence = case(world)
    status, said, logged = outcome(world, new_root, quote, collateral, world.root())
    assert status == 77
    assert "hunter2" not in said
    assert sentence in said
    assert sentence in logged


def test_collateral_comes_from_the_cache(world: World, tmp_path: Path) -> None:
    store = CollateralStore(f"sqlite:///{tmp_path}/collateral.db")
    collateral = world.vendor.collateral(NOW)
    judge = quote_judge(stored_collateral(store, world.root()), world.root())
    quote = world.quote_of()(bytes(64))
    with pytest.raises(Exception, match="there is no collateral for platforms"):
        judge(quote)
    from casemate.attestation.pcs import platform_kind
    from casemate.attestation.verify import read_quote

    kind = platform_kind(read_quote(quote))
    assert kind == PlatformKind(collateral.fmspc, kind.authority)
    store.put(collateral, world.root(), kind, source="test", at=NOW)
    assert judge(quote).mrenclave == ENCLAVE
    store.close()


def test_an_export_of_the_cache_is_collateral(world: World, tmp_path: Path) -> None:
    store = CollateralStore(f"sqlite:///{tmp_path}/collateral.db")
    kind = PlatformKind(world.vendor.state.fmspc, "processor")
    store.put(world.vendor.collateral(NOW), world.root(), kind, source="test", at=NOW)
    (tmp_path / "export.json").write_text(export_entries(store))
    store.close()
    source = collateral_files([tmp_path / "export.json"], world.root())
    assert quote_judge(source, world.root())(world.quote_of()(bytes(64))).mrenclave == ENCLAVE


def test_several_files_of_collateral_are_tried(world: World, tmp_path: Path) -> None:
    stranger = Vendor.create(tmp_path / "stranger", url="http://127.0.0.1:9", at=NOW)
    (tmp_path / "other.json").write_text(stranger.collateral(NOW).to_json())
    source = collateral_files([tmp_path / "other.json", world.collateral()], world.root())
    assert quote_judge(source, world.root())(world.quote_of()(bytes(64))).mrenclave == ENCLAVE
