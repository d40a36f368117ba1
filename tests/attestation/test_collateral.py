"""Collateral in JSON, and certificate chains in their one spelling."""

from __future__ import annotations

import contextlib
import json
from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casemate.attestation import Collateral, CollateralError, roots
from casemate.attestation.appraise import appraise
from casemate.attestation.chains import ChainError, read_chain, rewrite_chain, write_chain
from casemate.attestation.collateral import time_of
from casemate.attestation.simulated.vendor import Vendor
from casemate.errors import CasemateError
from tests.attestation import vectors
from tests.attestation.conftest import AT
from tests.attestation.vectors import needs_vectors


@needs_vectors
def test_collateral_survives_being_written() -> None:
    assert Collateral.from_json(vectors.collateral().to_json()) == vectors.collateral()
    assert json.loads(vectors.collateral().to_json()).items() <= json.loads(vectors.COLLATERAL_FILE.read_text()).items()


@needs_vectors
def test_collateral_knows_its_platforms_and_how_long_it_is_valid() -> None:
    assert vectors.collateral().fmspc == "00A067110000"
    assert vectors.collateral().expires == vectors.VALID_UNTIL


@needs_vectors
@pytest.mark.parametrize("name", ["root_ca_crl", "tcb_info", "tcb_info_issuer_chain"])
def test_collateral_that_lacks_a_part_is_refused_by_name(name: str) -> None:
    value = json.loads(vectors.COLLATERAL_FILE.read_text())
    del value[name]
    with pytest.raises(CollateralError, match=f"'{name}' is missing"):
        Collateral.from_json(json.dumps(value))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"root_ca_crl": "xy"}'])
def test_what_is_no_collateral_is_refused(text: str) -> None:
    with pytest.raises(CollateralError):
        Collateral.from_json(text)


@pytest.mark.parametrize(
    "time", ["2026-03-01T00:00:00", "0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00", "noon", 7, None]
)
def test_times_are_times_with_a_zone(vendor: Vendor, time: object) -> None:
    assert time_of({"x": "2026-03-01T02:00:00+02:00"}, "x") == datetime(2026, 3, 1, tzinfo=UTC)
    good = vendor.collateral(AT)
    with pytest.raises(CollateralError, match="'issueDate' is missing or no time"):
        replace(good, tcb_info=json.dumps(good.tcb | {"issueDate": time})).validity  # noqa: B018 - it raises


def test_a_chain_of_what_are_no_certificates_has_no_validity(vendor: Vendor) -> None:
    bad = replace(vendor.collateral(AT), pck_crl_issuer_chain=write_chain(b"neither", b"nor"))
    with pytest.raises(CollateralError, match="a certificate is malformed"):
        bad.validity  # noqa: B018 - it raises


@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=4))
@settings(max_examples=200, derandomize=True)
def test_a_chain_is_read_as_it_was_written(certificates: list[bytes]) -> None:
    assert list(read_chain(write_chain(*certificates), "chain")) == certificates


@needs_vectors
def test_a_chain_has_one_spelling() -> None:
    good = vectors.collateral().tcb_info_issuer_chain
    read_chain(good, "chain")
    for changed in (good + "\n", "\n" + good, good.replace("\n", "\r\n"), good[:-1], good.replace("\n", "", 2)):
        with pytest.raises(ChainError):
            read_chain(changed, "chain")
    assert rewrite_chain("junk\n" + good.replace("\n", "\r\n"), "chain") == good


@given(st.text(max_size=100))
@settings(max_examples=100, derandomize=True)
def test_arbitrary_text_is_no_chain(text: str) -> None:
    with pytest.raises(ChainError):
        read_chain(text, "chain")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
TIMES = st.sampled_from(
    ["2026-03-01T00:00:00Z", "0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00", "2026-13-01"]
)
FIELDS = st.sampled_from(["issueDate", "nextUpdate", "tcbEvaluationDataNumber", "fmspc", "mrsigner"])


@given(part=st.sampled_from(["tcb_info", "qe_identity"]), field=FIELDS, value=JSON | TIMES)
@settings(
    max_examples=200, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_a_signed_text_says_is_read_or_explained(vendor: Vendor, part: str, field: str, value: object) -> None:
    good = vendor.collateral(AT)
    text = json.dumps(json.loads(getattr(good, part)) | {field: value})
    changed = Collateral.from_json(replace(good, **{part: text}).to_json())
    for read in ("fmspc", "validity", "versions", "issued", "expires"):
        with contextlib.suppress(CollateralError):
            getattr(changed, read)


@given(
    name=st.sampled_from([each.name for each in fields(Collateral)]),
    value=JSON | st.binary(max_size=60).map(bytes.hex) | st.binary(min_size=1, max_size=60).map(write_chain),
)
@settings(
    max_examples=200, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_a_part_is_it_is_read_or_explained(vendor: Vendor, name: str, value: object) -> None:
    text = json.dumps(json.loads(vendor.collateral(AT).to_json()) | {name: value})
    with contextlib.suppress(CasemateError):
        appraise(Collateral.from_json(text), roots.simulated(vendor.path / "root.pem"), AT)


@pytest.mark.parametrize("name", ["tcb_info", "qe_identity", "pck_crl_issuer_chain"])
def test_text_that_has_no_bytes_is_refused_when_it_is_read(vendor: Vendor, name: str) -> None:
    """JSON can spell half a character."""
    text = json.dumps(json.loads(vendor.collateral(AT).to_json()) | {name: '{"fmspc": "\ud800"}'})
    with pytest.raises(CasemateError):
        Collateral.from_json(text)
