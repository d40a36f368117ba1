"""Policies in TOML: what they require, what a refusal says, and mistakes in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.attestation import PolicyError, TcbStatus, VerifiedQuote, parse_policy
from casemate.attestation.policy import AnyOf

ENCLAVE = "ab" * 32
SIGNER = "cd" * 32
AT = datetime(2026, 3, 1, tzinfo=UTC)
QUOTE = VerifiedQuote(
    mrenclave=bytes.fromhex(ENCLAVE),
    mrsigner=bytes.fromhex(SIGNER),
    isv_prod_id=7,
    isv_svn=3,
    config_id=bytes(64),
    config_svn=0,
    attributes=(0x5, 0x7),
    miscselect=0,
    report_data=b"\x11\x22".ljust(64, b"\0"),
    tcb_status=TcbStatus.UP_TO_DATE,
    advisories=(),
    platform_status="UpToDate",
    qe_status="UpToDate",
    evaluation_number=17,
    tcb_date=datetime(2025, 8, 1, tzinfo=UTC),
    fmspc=bytes(6),
    ppid=bytes(16),
    cpusvn=bytes(16),
    pce_svn=13,
    at=AT,
    collateral_issued=AT - timedelta(days=10),
    collateral_expires=AT + timedelta(days=20),
    root="intel",
    simulated=False,
)


def failed(policy: str, quote: VerifiedQuote = QUOTE) -> list[str]:
    """The names of the claims that do not hold."""
    return [failure.claim for failure in parse_policy(policy).check(quote)]


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        (f'mrenclave = "{ENCLAVE}"', []),
        (f'mrenclave = ["{"00" * 32}", "{ENCLAVE.upper()}"]', []),
        (f'mrenclave = "{"00" * 32}"', ["mrenclave"]),
        (f'mrsigner = "{SIGNER}"\nproduct_id = 7\nmin_svn = 3', []),
        (f'mrsigner = "{SIGNER}"\nproduct_id = 8\nmin_svn = 4', ["product_id", "min_svn"]),
        (f'mrsigner = "{ENCLAVE}"', ["mrsigner"]),
        (f'mrenclave = "{ENCLAVE}"\nreport_data = "1122"', []),
        (f'mrenclave = "{ENCLAVE}"\nreport_data = "11"', ["report_data"]),
        (f'mrenclave = "{ENCLAVE}"\ntcb.min_evaluation_number = 17', []),
        (f'mrenclave = "{ENCLAVE}"\ntcb.min_evaluation_number = 18', ["tcb.min_evaluation_number"]),
        (f'mrenclave = "{ENCLAVE}"\ntcb.min_date = 2025-08-01', []),
        (f'mrenclave = "{ENCLAVE}"\ntcb.min_date = 2025-08-01T00:00:01Z', ["tcb.min_date"]),
        (f'mrenclave = "{ENCLAVE}"\nfreshness.max_collateral_age = "10d"', []),
        (f'mrenclave = "{ENCLAVE}"\nfreshness.max_collateral_age = "239h"', ["freshness.max_collateral_age"]),
    ],
)
def test_each_claim_holds_or_is_named(policy: str, names: list[str]) -> None:
    assert failed(policy) == names


def test_debug_enclaves_are_refused_unless_the_policy_is_insecure() -> None:
    debug = replace(QUOTE, attributes=(0x7, 0x7))
    assert failed(f'mrenclave = "{ENCLAVE}"', debug) == ["debug"]
    assert failed(f'mrenclave = "{ENCLAVE}"\ninsecure_debug = true', debug) == []


@pytest.mark.parametrize("status", [status for status in TcbStatus if status != TcbStatus.UP_TO_DATE])
def test_every_status_but_up_to_date_must_be_accepted_by_name(status: TcbStatus) -> None:
    quote = replace(QUOTE, tcb_status=status)
    assert failed(f'mrenclave = "{ENCLAVE}"', quote) == ["tcb.statuses"]
    assert failed(f'mrenclave = "{ENCLAVE}"\ntcb.statuses = ["UpToDate", "{status}"]', quote) == []


def test_each_advisory_must_be_accepted_by_name() -> None:
    quote = replace(QUOTE, advisories=("INTEL-SA-00289", "INTEL-SA-00615"))
    policy = parse_policy(f'mrenclave = "{ENCLAVE}"\ntcb.advisories = ["INTEL-SA-00289"]')
    (failure,) = policy.check(quote)
    assert str(failure) == "tcb.advisories: expected only INTEL-SA-00289, found INTEL-SA-00615"
    assert failed(f'mrenclave = "{ENCLAVE}"\ntcb.advisories = "any"', quote) == []


ALTERNATIVES = f"""
product_id = 7
[[any_of]]
mrenclave = "{"00" * 32}"
[[any_of]]
mrsigner = "{SIGNER}"
min_svn = %d
"""


def test_one_alternative_is_enough_and_all_are_named_when_none_holds() -> None:
    assert failed(ALTERNATIVES % 3) == []
    assert failed(ALTERNATIVES % 4) == ["alternative 1, mrenclave", "alternative 2, min_svn"]
    assert failed(ALTERNATIVES % 3, replace(QUOTE, isv_prod_id=1)) == ["product_id"]


def test_alternatives_may_each_say_what_they_accept_of_the_platform() -> None:
    policy = f"""
[[any_of]]
mrenclave = "{ENCLAVE}"
tcb.statuses = ["UpToDate"]
[[any_of]]
mrsigner = "{SIGNER}"
tcb.statuses = ["OutOfDate"]
"""
    assert failed(policy, replace(QUOTE, tcb_status=TcbStatus.OUT_OF_DATE)) == []
    assert failed(policy, replace(QUOTE, tcb_status=TcbStatus.SW_HARDENING_NEEDED)) == [
        "alternative 1, tcb.statuses",
        "alternative 2, tcb.statuses",
    ]


def test_collateral_of_any_age_is_younger_than_millennia() -> None:
    policy = f'mrenclave = "{ENCLAVE}"\nfreshness.max_collateral_age = "999999d"'
    assert failed(policy) == []


def test_without_alternatives_none_holds() -> None:
    assert [failure.claim for failure in AnyOf([]).check(QUOTE)] == ["any_of"]


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        ("", "no enclave is named"),
        ("min_svn = 3", "no enclave is named"),
        ("[[any_of]]\nmin_svn = 1", "no enclave is named"),
        ("mrenclave = []", "at least 1 item"),
        ('mrenclave = "abcd"', "expected 64 hexadecimal digits, found 4"),
        (f'mrenclave = "{"zz" * 32}"', "expected 64 hexadecimal digits"),
        (f'mrenclave = "{ENCLAVE}"\nmr_signer = "{SIGNER}"', "mr_signer: there is no such key"),
        (f'mrenclave = "{ENCLAVE}"\ntcb.status = []', "tcb.status: there is no such key"),
        (f'mrenclave = "{ENCLAVE}"\ntcb.statuses = ["Revoked"]', "never acceptable"),
        (f'mrenclave = "{ENCLAVE}"\ntcb.statuses = ["Fine"]', "there is no TCB status 'Fine'"),
        (f'mrenclave = "{ENCLAVE}"\ntcb.statuses = []', "at least 1 item"),
        (f'mrenclave = "{ENCLAVE}"\ntcb.min_date = 2025-08-01T00:00:00', "says no time zone"),
        (f'mrenclave = "{ENCLAVE}"\nmin_svn = "3"', "min_svn"),
        (f'mrenclave = "{ENCLAVE}"\nmin_svn = 65536', "min_svn"),
        (f'mrenclave = "{ENCLAVE}"\nfreshness.max_collateral_age = "soon"', "expected a duration"),
        (f'mrenclave = "{ENCLAVE}"\nreport_data = "{"00" * 65}"', "report_data"),
        (f'mrenclave = "{ENCLAVE}"\n[[any_of]]', "asks for nothing"),
        ("mrenclave = ", "this is not TOML"),
        (f'mrenclave = "{ENCLAVE}"\ntcb.statuses = [["UpToDate"]]', "there is no TCB status"),
        (f'mrenclave = "{ENCLAVE}"\ntcb.min_date = 9999-12-31T23:59:59-10:00', "out of range"),
        (f'mrenclave = "{ENCLAVE}"\nmin_svn = {"9" * 5000}', "this is not TOML"),
        (f'mrenclave = "{ENCLAVE}"\nmin_svn = 0x{"f" * 5000}', "min_svn"),
        (f'mrenclave = "{ENCLAVE}"\ntcb.min_evaluation_number = 0x{"f" * 5000}', "min_evaluation_number"),
        (f"mrenclave = 0x{'f' * 5000}", "mrenclave"),
    ],
)
def test_a_mistake_in_a_policy_is_explained(policy: str, sentence: str) -> None:
    with pytest.raises(PolicyError) as error:
        parse_policy(policy, "p.toml")
    assert sentence in str(error.value)
    assert str(error.value).startswith("p.toml: ")


@given(st.text(max_size=200))
@settings(max_examples=300, derandomize=True)
def test_arbitrary_text_is_a_policy_error(text: str) -> None:
    with pytest.raises(PolicyError):
        parse_policy(text)
