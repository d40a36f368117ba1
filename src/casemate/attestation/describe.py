"""Quotes in words: what one says, and what was verified about it."""

from __future__ import annotations

from typing import Any

from cryptography import x509

from casemate._core import QuoteBody
from casemate.attestation.chains import MALFORMED, ChainError
from casemate.attestation.errors import QuoteFormatError
from casemate.attestation.evidence import VerifiedQuote, stamp
from casemate.attestation.verify import pck_chain

_DEBUG = "yes: the host can read and change everything inside"
_UNKNOWN_TYPES = {
    1: "PPID",
    2: "PPID encrypted with RSA-2048",
    3: "PPID encrypted with RSA-3072",
    4: "PCK certificate",
    5: "PCK certificate chain",
    6: "QE report",
}


def describe(body: QuoteBody) -> dict[str, Any]:
    """Everything that a quote says, as ``casemate quote show --json`` prints it. None of it is verified."""
    return {
        "size": body.size,
        "mrenclave": body.mrenclave.hex(),
        "mrsigner": body.mrsigner.hex(),
        "isv_prod_id": body.isv_prod_id,
        "isv_svn": body.isv_svn,
        "debug": bool(body.attributes[0] & 2),
        "attributes": {"flags": f"{body.attributes[0]:#x}", "xfrm": f"{body.attributes[1]:#x}"},
        "miscselect": f"{body.miscselect:#x}",
        "config_id": body.config_id.hex(),
        "config_svn": body.config_svn,
        "report_data": body.report_data.hex(),
        "cpusvn": body.cpusvn.hex(),
        "qe": {
            "vendor": body.qe_vendor_id.hex(),
            "user_data": body.user_data.hex(),
            "mrenclave": body.qe_mrenclave.hex(),
            "mrsigner": body.qe_mrsigner.hex(),
            "isv_prod_id": body.qe_isv_prod_id,
            "isv_svn": body.qe_isv_svn,
            "pce_svn": body.pce_svn,
        },
        "certification_type": body.certification_type,
        "pck_chain": _chain(body),
    }


def quote_rows(value: dict[str, Any]) -> list[tuple[str, str]]:
    """`describe`'s result as labels and texts for a table."""
    qe = value["qe"]
    rows = [
        ("verified", "no: this only shows what the quote says"),
        ("measurement", value["mrenclave"]),
        ("signer", value["mrsigner"]),
        ("product", str(value["isv_prod_id"])),
        ("security version", str(value["isv_svn"])),
        ("debug", _DEBUG if value["debug"] else "no"),
        ("report data", value["report_data"]),
        ("processor's SVN", value["cpusvn"]),
        ("quoting enclave", f"{qe['mrenclave']}, security version {qe['isv_svn']}"),
        ("its signer", qe["mrsigner"]),
        ("platform by", _UNKNOWN_TYPES[value["certification_type"]]),
    ]
    rows += [("certificate", f"{entry['subject']}, until {entry['not_after']}") for entry in value["pck_chain"] or []]
    return rows


def verified_rows(quote: VerifiedQuote, *, with_policy: bool) -> list[tuple[str, str]]:
    """A verified quote as labels and texts for a table."""
    by = "a SIMULATED vendor: no hardware stands behind it" if quote.simulated else "Intel"
    return [
        ("verified", "yes, and the policy accepts it" if with_policy else "yes; no policy was given"),
        ("vouched for by", by),
        ("as of", stamp(quote.at)),
        ("measurement", quote.mrenclave.hex()),
        ("signer", quote.mrsigner.hex()),
        ("product", str(quote.isv_prod_id)),
        ("security version", str(quote.isv_svn)),
        ("debug", _DEBUG if quote.debug else "no"),
        ("report data", quote.report_data.hex()),
        ("TCB status", str(quote.tcb_status)),
        ("advisories", ", ".join(quote.advisories) or "none"),
        ("patch level of", stamp(quote.tcb_date)),
        ("platform", f"FMSPC {quote.fmspc.hex().upper()}, PPID {quote.ppid.hex()}"),
        ("collateral until", stamp(quote.collateral_expires)),
    ]


def _chain(body: QuoteBody) -> list[dict[str, str]] | None:
    """The certificates in the quote, or None where it carries none that can be read."""
    try:
        certificates = [x509.load_der_x509_certificate(der) for der in pck_chain(body)]
        return [
            {"subject": _name(certificate), "not_after": stamp(certificate.not_valid_after_utc)}
            for certificate in certificates
        ]
    except (ChainError, QuoteFormatError, *MALFORMED):
        return None


def _name(certificate: x509.Certificate) -> str:
    """The subject's name without what would move a terminal's cursor: it comes from the quote."""
    text = certificate.subject.rfc4514_string()
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
