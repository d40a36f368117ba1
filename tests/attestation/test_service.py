"""The simulated vendor's service: third-party clients work against it, and it answers as Intel's does."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from urllib.parse import unquote

import dcap_qvl
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from casemate.attestation import Collateral, roots, verify
from casemate.attestation.simulated.registration import SIZE
from casemate.attestation.simulated.vendor import Vendor
from tests.attestation.paper import Platform, report_body

SGX = "/sgx/certification/v4"
LiveVendor = tuple[Vendor, str]


def now() -> datetime:
    return datetime.now(UTC)


def test_dcap_qvls_own_client_fetches_collateral_that_verifies(live_vendor: LiveVendor) -> None:
    vendor, url = live_vendor
    quote = Platform(vendor, now()).quote(report_body(mrenclave=b"\7" * 32))

    async def fetch() -> dcap_qvl.QuoteCollateralV3:
        return await dcap_qvl.get_collateral(url, quote)

    fetched = asyncio.run(fetch())
    root = vendor.chain["root"].public_bytes(Encoding.DER)
    report = dcap_qvl.verify_with_root_ca(quote, fetched, root, int(time.time()))
    assert report.status == "UpToDate"
    ours = Collateral.from_json(fetched.to_json())
    assert verify(quote, ours, now(), roots.simulated(vendor.path / "root.pem")).mrenclave == b"\7" * 32


def test_a_platform_registers_and_gets_its_certificate(live_vendor: LiveVendor) -> None:
    vendor, url = live_vendor
    platform = Platform(vendor, now(), seed=5)
    manifest = {"content": platform.registration(), "headers": {"content-type": "application/octet-stream"}}
    answer = httpx.post(f"{url}/sgx/registration/v1/platform", **manifest)
    assert (answer.status_code, answer.text) == (201, platform.ppid.hex().upper())
    query = {"encrypted_ppid": platform.ppid.hex(), "cpusvn": "01" * 16, "pcesvn": "0100", "pceid": "0000"}
    answer = httpx.get(f"{url}{SGX}/pckcert", params=query)
    assert answer.headers["SGX-TCBm"] == "01" * 16 + "0100"
    assert answer.headers["SGX-FMSPC"] == vendor.state.fmspc
    assert answer.headers["SGX-PCK-Certificate-CA-Type"] == "processor"
    assert answer.text + unquote(answer.headers["SGX-PCK-Certificate-Issuer-Chain"]) == platform.chain
    (entry,) = httpx.get(f"{url}{SGX}/pckcerts", params=query).json()
    assert unquote(entry["cert"]) == answer.text
    assert entry["tcb"]["sgxtcbcomp16svn"] == 1
    # A platform whose firmware is older than what it registered with has no certificate.
    assert httpx.get(f"{url}{SGX}/pckcert", params=query | {"cpusvn": "00" * 16}).status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tcb", 400),
        ("/tcb?fmspc=000000000000", 404),
        ("/tcb?fmspc={fmspc}&update=early", 200),
        ("/tcb?fmspc={fmspc}&update=late", 400),
        ("/tcb?fmspc={fmspc}&tcbEvaluationDataNumber=1", 200),
        ("/tcb?fmspc={fmspc}&tcbEvaluationDataNumber=9", 404),
        ("/tcb?fmspc={fmspc}&update=standard&tcbEvaluationDataNumber=1", 400),
        ("/qe/identity?tcbEvaluationDataNumber=9", 404),
        ("/pckcrl", 400),
        ("/pckcrl?ca=platform", 404),
        ("/pckcert?encrypted_ppid=zz&pceid=0000", 400),
        ("/pckcert?encrypted_ppid=" + "00" * 16 + "&pceid=0000", 404),
        ("/pckcerts?encrypted_ppid=" + "00" * 16 + "&pceid=0000", 404),
        ("/fmspcs", 200),
        ("/tcbevaluationdatanumbers", 200),
        ("/nothing", 404),
    ],
)
def test_parameters_are_judged_as_the_documentation_says(live_vendor: LiveVendor, path: str, status: int) -> None:
    vendor, url = live_vendor
    assert httpx.get(f"{url}{SGX}{path.format(fmspc=vendor.state.fmspc)}").status_code == status


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (bytes(SIZE), "application/octet-stream", 400),
        (bytes(SIZE + 1), "application/octet-stream", 413),
        (bytes(SIZE), "application/json", 415),
    ],
)
def test_what_is_no_registration_is_refused(live_vendor: LiveVendor, content: bytes, kind: str, status: int) -> None:
    address = f"{live_vendor[1]}/sgx/registration/v1/platform"
    assert httpx.post(address, content=content, headers={"content-type": kind}).status_code == status


def test_revocation_lists_come_in_both_encodings(live_vendor: LiveVendor) -> None:
    vendor, url = live_vendor
    der = httpx.get(f"{url}{SGX}/pckcrl", params={"ca": "processor", "encoding": "der"})
    pem = httpx.get(f"{url}{SGX}/pckcrl", params={"ca": "processor"})
    assert x509.load_der_x509_crl(der.content).issuer == x509.load_pem_x509_crl(pem.content).issuer
    assert unquote(der.headers["SGX-PCK-CRL-Issuer-Chain"]) == vendor.issuers("authority")
    assert der.headers["Request-ID"] != pem.headers["Request-ID"]
    point = vendor.chain["root"].extensions.get_extension_for_class(x509.CRLDistributionPoints).value[0]
    assert point.full_name is not None
    listed = httpx.get(point.full_name[0].value).content
    assert x509.load_der_x509_crl(listed).is_signature_valid(vendor.keys["root"].public_key())
