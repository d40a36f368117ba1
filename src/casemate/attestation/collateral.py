"""Collateral: what a vendor signs about its platforms, by which quotes are judged.

TCB info, QE identity, two revocation lists and their issuers' chains, as Intel's Provisioning Certification
Service (API version 4) returns them. One `Collateral` serves every quote from platforms of one FMSPC and one
PCK authority. The file format is the JSON that dcap-qvl writes: names as here, binary values in hex.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from cryptography import x509

from casemate._core import QuoteCollateral
from casemate.attestation.chains import MALFORMED, read_chain, rewrite_chain
from casemate.attestation.errors import CollateralError
from casemate.attestation.roots import Root

_BINARY = ("root_ca_crl", "pck_crl", "tcb_info_signature", "qe_identity_signature")
_TEXT = (
    "pck_crl_issuer_chain",
    "tcb_info_issuer_chain",
    "tcb_info",
    "qe_identity_issuer_chain",
    "qe_identity",
)
# The first of `validity`: what the vendor renews every month.
_RENEWED_PARTS = 4
# Of Intel's, the largest TCB info has some 20 KB; a revocation list may grow.
MAX_BYTES = 16 << 20


@dataclass(frozen=True)
class Collateral:
    """Chains are PEM, leaf first; revocation lists DER; signatures 64 bytes (r, s); the rest is signed JSON text."""

    pck_crl_issuer_chain: str
    root_ca_crl: bytes
    pck_crl: bytes
    tcb_info_issuer_chain: str
    tcb_info: str
    tcb_info_signature: bytes
    qe_identity_issuer_chain: str
    qe_identity: str
    qe_identity_signature: bytes

    @classmethod
    def from_json(cls, text: str | bytes, where: str = "collateral") -> Collateral:
        if len(text) > MAX_BYTES:
            raise CollateralError(f"the file has more than {MAX_BYTES >> 20} MiB", where=where)
        try:
            value = json.loads(text)
            if not isinstance(value, dict):
                raise CollateralError("a JSON object was expected", where=where)
            return cls._from_object(value, where)
        except (ValueError, RecursionError) as error:
            raise CollateralError(f"this is no collateral in JSON: {error}", where=where) from None

    @classmethod
    def _from_object(cls, value: dict[str, Any], where: str) -> Collateral:
        fields: dict[str, Any] = {}
        for name in (*_BINARY, *_TEXT):
            text = value.get(name)
            if not isinstance(text, str):
                raise CollateralError(f"'{name}' is missing or not a string", where=where)
            text.encode()  # JSON can spell half a character, which no verifier takes: a ValueError.
            fields[name] = bytes.fromhex(text) if name in _BINARY else text
            if name.endswith("_chain"):
                fields[name] = rewrite_chain(text, f"{where}: {name}")
        return cls(**fields)

    def to_json(self) -> str:
        return json.dumps(
            {name: value.hex() if isinstance(value, bytes) else value for name, value in asdict(self).items()}
        )

    @cached_property
    def core(self) -> QuoteCollateral:
        """The same for the verifier."""
        return QuoteCollateral(**asdict(self))

    @cached_property
    def tcb(self) -> dict[str, Any]:
        return _signed_object(self.tcb_info, "TCB info", "fmspc")

    @cached_property
    def identity(self) -> dict[str, Any]:
        return _signed_object(self.qe_identity, "QE identity", "mrsigner")

    @property
    def fmspc(self) -> str:
        """Of which platforms this speaks: 12 digits of upper-case hex."""
        return str(self.tcb["fmspc"]).upper()

    def ends_at(self, root: Root) -> bool:
        """Whether its chains end at this root; they are not verified."""
        return read_chain(self.tcb_info_issuer_chain, "TCB info's issuers")[-1] == root.der

    def is_for_pcks_of(self, issuer: bytes) -> bool:
        """Whether its revocation list is of the PCK authority with this certificate (DER), by the authorities' names."""
        mine = read_chain(self.pck_crl_issuer_chain, "PCK CRL's issuers")[0]
        try:
            subjects = [x509.load_der_x509_certificate(der).subject for der in (mine, issuer)]
        except MALFORMED:
            raise CollateralError("a PCK authority's certificate is malformed") from None
        return subjects[0] == subjects[1]

    @cached_property
    def issued(self) -> datetime:
        """When the oldest of TCB info, QE identity and revocation lists was issued."""
        return min(start for _, start, _ in self.validity[:_RENEWED_PARTS])

    @cached_property
    def expires(self) -> datetime:
        """When the first of its parts stops being valid. Certificates' ends are among them."""
        return min(end for _, _, end in self.validity)

    @cached_property
    def validity(self) -> list[tuple[str, datetime, datetime]]:
        """(part, from, until) of each signed part."""
        parts = [
            ("TCB info", time_of(self.tcb, "issueDate"), time_of(self.tcb, "nextUpdate")),
            ("QE identity", time_of(self.identity, "issueDate"), time_of(self.identity, "nextUpdate")),
            ("root CA's revocation list", *_crl_times(self.root_ca_crl, "root CA's revocation list")),
            ("PCK authority's revocation list", *_crl_times(self.pck_crl, "PCK authority's revocation list")),
        ]
        for name in ("pck_crl_issuer_chain", "tcb_info_issuer_chain", "qe_identity_issuer_chain"):
            parts += [_certificate_times(der, name) for der in read_chain(getattr(self, name), name)]
        return parts

    @cached_property
    def versions(self) -> list[tuple[str, Version]]:
        """(part, its version) of what the vendor renews: a lower one was superseded by a higher one."""
        return [
            ("TCB info", _version_of(self.tcb)),
            ("QE identity", _version_of(self.identity)),
            ("root CA's revocation list", _crl_version(self.root_ca_crl, "root CA's revocation list")),
            ("PCK authority's revocation list", _crl_version(self.pck_crl, "PCK authority's revocation list")),
        ]


@dataclass(frozen=True, order=True)
class Version:
    """Orders the issues of one part. ``evaluation``: the TCB recovery of the vendor's that TCB info and QE identity are of
    (tcbEvaluationDataNumber). ``number``: a revocation list's, which may be issued twice in a second. 0 where there is none.
    """

    evaluation: int
    issued: datetime
    number: int


def time_of(value: dict[str, Any], name: str) -> datetime:
    """One of the times in TCB info or QE identity: ISO 8601 with its zone; UTC."""
    try:
        time = datetime.fromisoformat(value[name])
        if time.tzinfo is None:
            raise ValueError("no time zone")
        return time.astimezone(UTC)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise CollateralError(f"'{name}' is missing or no time with a time zone") from None


def _signed_object(text: str, what: str, needed: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not isinstance(value.get(needed), str):
        raise CollateralError(f"the {what} is not the JSON that it should be")
    return value


def _certificate_times(der: bytes, where: str) -> tuple[str, datetime, datetime]:
    try:
        found = x509.load_der_x509_certificate(der)
        return f"certificate {found.subject.rfc4514_string()}", found.not_valid_before_utc, found.not_valid_after_utc
    except MALFORMED:
        raise CollateralError("a certificate is malformed", where=where) from None


def _version_of(value: dict[str, Any]) -> Version:
    evaluation = value.get("tcbEvaluationDataNumber", 0)
    if not isinstance(evaluation, int):
        raise CollateralError("'tcbEvaluationDataNumber' is no number")
    return Version(evaluation, time_of(value, "issueDate"), 0)


def _crl_times(der: bytes, what: str) -> tuple[datetime, datetime]:
    try:
        crl = x509.load_der_x509_crl(der)
        start, end = crl.last_update_utc, crl.next_update_utc
    except MALFORMED:
        raise CollateralError(f"the {what} is not a DER-encoded CRL") from None
    if end is None:
        raise CollateralError(f"the {what} says no time of its next update")
    return start, end


def _crl_version(der: bytes, what: str) -> Version:
    issued, _ = _crl_times(der, what)
    try:
        number = x509.load_der_x509_crl(der).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        number = 0
    except MALFORMED:
        raise CollateralError(f"the {what} has malformed extensions") from None
    return Version(0, issued, number)
