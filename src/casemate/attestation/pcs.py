"""Fetching collateral: from Intel's Provisioning Certification Service (version 4) or any caching service (PCCS).

Nothing that comes back is believed here; `appraise` checks it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

import httpx
from cryptography import x509

from casemate._core import QuoteBody, pck_identity
from casemate._core import QuoteVerificationError as NotPck
from casemate.attestation.bounded import BadAnswerError, request
from casemate.attestation.chains import MALFORMED, read_chain, rewrite_chain
from casemate.attestation.collateral import MAX_BYTES, Collateral
from casemate.attestation.errors import CollateralError, QuoteFormatError
from casemate.attestation.verify import pck_chain

INTEL = "https://api.trustedservices.intel.com"
Authority = Literal["processor", "platform"]
_SGX = "/sgx/certification/v4"
_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class PlatformKind:
    """Which platforms collateral is for: FMSPC (12 digits of upper-case hex) and PCK authority."""

    fmspc: str
    authority: Authority

    def __str__(self) -> str:
        return f"{self.fmspc} ({self.authority})"


def platform_kind(body: QuoteBody) -> PlatformKind:
    """The kind of the platform that a quote says it is from."""
    leaf, _, _ = pck_chain(body)
    try:
        fmspc, _, authority = pck_identity(leaf)
    except NotPck as error:
        raise QuoteFormatError(f"the quote's first certificate is not a platform's: {error}") from None
    return PlatformKind(fmspc.hex().upper(), authority)


class PcsClient:
    """A service's address, and how to ask it. Close it, or use it as a context manager."""

    def __init__(self, url: str = INTEL, *, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/").removesuffix(_SGX)
        self._http = httpx.Client(timeout=_TIMEOUT_S, transport=transport, follow_redirects=False)

    def __enter__(self) -> PcsClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def fetch(self, kind: PlatformKind) -> Collateral:
        """Everything for one kind of platform."""
        crl = self._get("/pckcrl", {"ca": kind.authority, "encoding": "der"})
        tcb = self._get("/tcb", {"fmspc": kind.fmspc})
        identity = self._get("/qe/identity", {})
        identity_chain = _chain(identity, "SGX-Enclave-Identity-Issuer-Chain")
        tcb_info, tcb_signature = _signed(tcb, "tcbInfo")
        qe_identity, qe_signature = _signed(identity, "enclaveIdentity")
        return Collateral(
            pck_crl_issuer_chain=_chain(crl, "SGX-PCK-CRL-Issuer-Chain"),
            root_ca_crl=self._root_crl(identity_chain),
            pck_crl=crl.content,
            tcb_info_issuer_chain=_chain(tcb, "TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"),
            tcb_info=tcb_info,
            tcb_info_signature=tcb_signature,
            qe_identity_issuer_chain=identity_chain,
            qe_identity=qe_identity,
            qe_identity_signature=qe_signature,
        )

    def _root_crl(self, chain: str) -> bytes:
        """A PCCS has it, in hexadecimal digits; Intel's PCS does not, and its root names where the list is."""
        if self.url != INTEL:
            text = self._get("/rootcacrl", {}).text.strip()
            try:
                return bytes.fromhex(text)
            except ValueError:
                raise CollateralError("the root CA's revocation list is not in hexadecimal", where=self.url) from None
        address = _crl_address(read_chain(chain, "QE identity's issuers")[-1])
        return self._request(address, {}).content

    def _get(self, path: str, query: dict[str, str]) -> httpx.Response:
        return self._request(f"{self.url}{_SGX}{path}", query)

    def _request(self, address: str, query: dict[str, str]) -> httpx.Response:
        try:
            response = request(self._http, "GET", address, MAX_BYTES, params=query)
        except BadAnswerError as error:
            raise CollateralError(str(error), where=address) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise CollateralError(
                f"cannot be reached: {error}", where=address, remedy="check the address and the network, then try again"
            ) from None
        if response.status_code != httpx.codes.OK:
            reason = response.headers.get("Error-Message", response.reason_phrase)
            raise CollateralError(f"answered {response.status_code}: {reason}", where=str(response.url))
        return response


def _chain(response: httpx.Response, *names: str) -> str:
    for name in names:
        if value := response.headers.get(name):
            return rewrite_chain(unquote(value), f"{response.url}: {name}")
    raise CollateralError(f"the header {names[0]} is missing", where=str(response.url))


def _signed(response: httpx.Response, key: str) -> tuple[str, bytes]:
    """The signed text, byte for byte as it was sent, and its signature."""
    where = str(response.url)
    try:
        text = response.content.decode()
        value = json.loads(text)
        signature = bytes.fromhex(value["signature"])
        start = text.index(f'"{key}"') + len(key) + 2
        start = text.index(":", start) + 1
        start += len(text[start:]) - len(text[start:].lstrip())
        found, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CollateralError(f"the answer is no signed '{key}'", where=where) from None
    if found != value.get(key):
        raise CollateralError(f"the answer names '{key}' more than once", where=where)
    return text[start:end], signature


def _crl_address(der: bytes) -> str:
    try:
        points = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.CRLDistributionPoints)
        names = [name for point in points.value for name in point.full_name or []]
        return str(next(name.value for name in names if isinstance(name, x509.UniformResourceIdentifier)))
    except (StopIteration, x509.ExtensionNotFound, *MALFORMED):
        raise CollateralError("the root's certificate does not say where its revocation list is") from None
