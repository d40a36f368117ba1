"""The simulated vendor: what it signs verifies by its root and by no other, and everything that changes is refused."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from casemate.attestation import (
    Collateral,
    QuoteFormatError,
    QuoteRefusedError,
    VerifiedQuote,
    parse_policy,
    roots,
    verify,
)
from casemate.attestation.policy import GENUINE
from casemate.attestation.simulated.registration import Registration, RegistrationError
from casemate.attestation.simulated.vendor import Vendor, VendorError
from tests.attestation.conftest import AT
from tests.attestation.paper import DEBUG, Platform, report_body

ENCLAVE = bytes.fromhex("ab" * 32)


def root_of(vendor: Vendor) -> roots.Root:
    return roots.simulated(vendor.path / "root.pem")


def judge(vendor: Vendor, quote: bytes, policy: str | None = None, **arguments: Collateral) -> VerifiedQuote:
    collateral = arguments.get("collateral") or vendor.collateral(AT)
    claims = parse_policy(policy) if policy else GENUINE
    return verify(quote, collateral, AT + timedelta(hours=1), root_of(vendor), claims)


@pytest.fixture
def own_vendor(vendor_path: Path, tmp_path: Path) -> Vendor:
    """One that the test may change."""
    shutil.copytree(vendor_path, tmp_path / "vendor")
    return Vendor.open(tmp_path / "vendor")


def test_a_quote_from_a_registered_platform_is_up_to_date_and_says_that_it_is_simulated(
    vendor: Vendor, platform: Platform
) -> None:
    quote = platform.quote(report_body(mrenclave=ENCLAVE, prod_id=3, svn=4, report_data=b"hello"))
    found = judge(vendor, quote, f'mrenclave = "{ENCLAVE.hex()}"\nproduct_id = 3\nmin_svn = 4')
    assert found.simulated
    assert found.as_json()["simulated"]
    assert found.tcb_status == "UpToDate"
    assert found.advisories == ()
    assert found.ppid == platform.ppid
    assert found.fmspc.hex().upper() == vendor.state.fmspc
    assert found.report_data[:5] == b"hello"


def test_intels_root_refuses_it(vendor: Vendor, platform: Platform) -> None:
    with pytest.raises(QuoteRefusedError, match="root: expected the root certificate 'intel'"):
        verify(platform.quote(report_body()), vendor.collateral(AT), AT, roots.intel())


def test_another_simulated_vendors_root_refuses_it(vendor: Vendor, platform: Platform, tmp_path: Path) -> None:
    other = Vendor.create(tmp_path / "other", url="http://127.0.0.1:9", at=AT, signer=vendor.path / "enclaves.key")
    quote = platform.quote(report_body())
    for collateral in (vendor.collateral(AT), other.collateral(AT)):
        with pytest.raises(QuoteRefusedError):
            verify(quote, collateral, AT, root_of(other))
    with pytest.raises(QuoteRefusedError):
        judge(vendor, quote, collateral=other.collateral(AT))


def test_one_bit_changed_in_any_byte_is_refused(vendor: Vendor, platform: Platform) -> None:
    quote, collateral = platform.quote(report_body()), vendor.collateral(AT)
    choose = random.Random(11)
    judge(vendor, quote, collateral=collateral)
    for place in range(len(quote)):
        changed = bytearray(quote)
        changed[place] ^= 1 << choose.randrange(8)
        with pytest.raises((QuoteRefusedError, QuoteFormatError)):
            judge(vendor, bytes(changed), collateral=collateral)


def test_a_debug_enclave_is_refused_by_name(vendor: Vendor, platform: Platform) -> None:
    quote = platform.quote(report_body(flags=0x5 | DEBUG))
    with pytest.raises(QuoteRefusedError, match="debug: expected a production enclave, found a debug enclave"):
        judge(vendor, quote)
    assert judge(vendor, quote, "insecure_any_enclave = true\ninsecure_debug = true").debug


def test_expired_and_future_collateral_is_refused_by_name(vendor: Vendor, platform: Platform) -> None:
    quote = platform.quote(report_body())
    for issued in (AT - timedelta(days=31), AT + timedelta(days=1)):
        with pytest.raises(QuoteRefusedError, match="validity of the TCB info"):
            judge(vendor, quote, collateral=vendor.collateral(issued))


def test_a_recovery_makes_platforms_out_of_date_until_they_are_updated(own_vendor: Vendor) -> None:
    old = Platform(own_vendor, AT)
    own_vendor.recover("SIM-SA-00001", AT)
    with pytest.raises(QuoteRefusedError) as refusal:
        judge(own_vendor, old.quote(report_body()), "insecure_any_enclave = true")
    assert [(failure.claim, failure.found) for failure in refusal.value.failures] == [
        ("tcb.statuses", "OutOfDate"),
        ("tcb.advisories", "SIM-SA-00001"),
    ]
    updated = Platform(own_vendor, AT, cpusvn=b"\2" * 16)
    assert judge(own_vendor, updated.quote(report_body()), "insecure_any_enclave = true").evaluation_number == 2


def test_a_platform_below_every_level_is_refused(vendor: Vendor) -> None:
    with pytest.raises(QuoteRefusedError, match="No matching TCB level"):
        judge(vendor, Platform(vendor, AT, cpusvn=bytes(16), seed=4).quote(report_body()))


def test_a_revoked_platform_is_refused(own_vendor: Vendor) -> None:
    platform, other = Platform(own_vendor, AT), Platform(own_vendor, AT, seed=2)
    own_vendor.revoke(platform.ppid, AT)
    with pytest.raises(QuoteRefusedError, match="CertRevoked"):
        judge(own_vendor, platform.quote(report_body()))
    judge(own_vendor, other.quote(report_body()))


@pytest.mark.parametrize("change", [{"qe_svn": 0}, {"qe_flags": 0x17}, {"qe_flags": 0x95}])
def test_a_quoting_enclave_that_is_not_the_vendors_is_refused(
    vendor: Vendor, platform: Platform, change: dict[str, int]
) -> None:
    with pytest.raises(QuoteRefusedError):
        judge(vendor, platform.quote(report_body(), **change))


def test_collateral_of_other_platforms_is_refused(own_vendor: Vendor) -> None:
    quote = Platform(own_vendor, AT).quote(report_body())
    own_vendor.state.fmspc = "000000000000"
    with pytest.raises(QuoteRefusedError, match="Fmspc mismatch"):
        judge(own_vendor, quote)


def test_a_list_of_the_wrong_authority_is_refused(vendor: Vendor, platform: Platform) -> None:
    collateral = vendor.collateral(AT)
    with pytest.raises(QuoteRefusedError):
        judge(vendor, platform.quote(report_body()), collateral=replace(collateral, pck_crl=collateral.root_ca_crl))


def test_a_registration_must_be_signed_by_the_key_it_is_for(platform: Platform) -> None:
    good = platform.registration()
    Registration.parse(good)
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 1
        with pytest.raises(RegistrationError):
            Registration.parse(bytes(changed))
    with pytest.raises(RegistrationError):
        Registration.parse(good[:-1])


def test_a_vendors_secrets_are_its_owners_alone(vendor: Vendor) -> None:
    assert vendor.path.stat().st_mode & 0o077 == 0
    for key in vendor.path.glob("*.key"):
        assert key.stat().st_mode & 0o077 == 0


def test_a_vendor_is_never_made_over_another(vendor: Vendor) -> None:
    with pytest.raises(VendorError, match="something is there already"):
        Vendor.create(vendor.path, url="http://127.0.0.1:9")
