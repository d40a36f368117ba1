"""Verifying quotes: signatures, certificates and TCB by dcap-qvl, then the policy."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from casemate._core import QuoteBody, QuoteVerificationError, SgxFormatError, parse_quote, verify_quote
from casemate.attestation.chains import MALFORMED, ChainError, read_chain
from casemate.attestation.collateral import Collateral
from casemate.attestation.errors import Failure, QuoteFormatError, QuoteRefusedError
from casemate.attestation.evidence import VerifiedQuote, stamp
from casemate.attestation.policy import GENUINE, Claim
from casemate.attestation.roots import Root
from casemate.errors import CasemateError

# A quote with three certificates has under 5 KB; version 3 has no field that needs more than this.
MAX_QUOTE_BYTES = 64 << 10
_PCK_CHAIN = 5


def verify(quote: bytes, collateral: Collateral, at: datetime, root: Root, policy: Claim = GENUINE) -> VerifiedQuote:
    """Judges a quote (version 3, ECDSA P-256, with its PCK chain) by a vendor's word, at a time, under a policy.

    ``at`` must say its time zone. Raises `QuoteFormatError` for what is no such quote and `QuoteRefusedError`,
    which names each claim that failed, for everything that must not be believed.
    """
    if at.tzinfo is None:
        raise ValueError("the time of verification says no time zone")
    body = read_quote(quote)
    check_chain(body, root)
    try:
        claims = verify_quote(quote, collateral.core, root=root.der, at=max(int(at.timestamp()), 0))
    except QuoteVerificationError as error:
        raise QuoteRefusedError(_why(body, collateral, at, root, str(error)), simulated=root.simulated) from None
    verified = VerifiedQuote.from_parts(
        body, claims, at=at.astimezone(UTC), issued=collateral.issued, root=root.name, simulated=root.simulated
    )
    failures = policy.check(verified)
    if failures:
        raise QuoteRefusedError(failures, simulated=root.simulated)
    return verified


def read_quote(quote: bytes, where: str = "quote") -> QuoteBody:
    """Takes a quote apart; nothing about it is verified."""
    if len(quote) > MAX_QUOTE_BYTES:
        raise QuoteFormatError(f"a quote has at most {MAX_QUOTE_BYTES} bytes, this has {len(quote)}", where=where)
    try:
        return parse_quote(quote)
    except SgxFormatError as error:
        raise QuoteFormatError(f"this is no quote of version 3: {error}", where=where) from None


def pck_chain(body: QuoteBody) -> tuple[bytes, bytes, bytes]:
    """The platform's certificate, its issuer, and the root, DER, as the quote carries them: unverified.

    The quoting library ends the chain with a NUL.
    """
    if body.pck_chain is None:
        raise QuoteFormatError(
            f"the quote names its platform by certification data of type {body.certification_type}",
            remedy="have it made with the PCK certificate chain (type 5)",
        )
    try:
        text = body.pck_chain.removesuffix(b"\0").decode("ascii")
    except UnicodeDecodeError:
        raise ChainError("this is not a chain of PEM certificates", where="the quote's PCK chain") from None
    match read_chain(text, "the quote's PCK chain"):
        case (leaf, issuer, root):
            return leaf, issuer, root
        case chain:
            raise ChainError(f"3 certificates were expected, found {len(chain)}", where="the quote's PCK chain")


def check_chain(body: QuoteBody, root: Root) -> None:
    """Raises `QuoteRefusedError` unless the quote says that its platform is of this root. It may say so wrongly."""
    try:
        _, _, found = pck_chain(body)
    except ChainError as error:
        failure = Failure("pck_chain", "a platform's certificate, its issuer and the root", str(error))
        raise QuoteRefusedError([failure], simulated=root.simulated) from None
    if found != root.der:
        failure = Failure(
            "root", f"the root certificate '{root.name}'", "another root certificate in the quote's PCK chain"
        )
        raise QuoteRefusedError([failure], simulated=root.simulated)


def check_issuers(body: QuoteBody, root: Root) -> None:
    """Raises `QuoteRefusedError` unless the root's PCK authority issued the platform's certificate.

    So what the certificate says of its platform is true, revoked or expired as it may be; of the quote nothing is known.
    """
    check_chain(body, root)
    try:
        leaf, issuer, anchor = (x509.load_der_x509_certificate(der) for der in pck_chain(body))
        leaf.verify_directly_issued_by(issuer)
        issuer.verify_directly_issued_by(anchor)
    except (InvalidSignature, *MALFORMED):
        failure = Failure("pck_chain", f"certificates issued under the root '{root.name}'", "another signature")
        raise QuoteRefusedError([failure], simulated=root.simulated) from None


def _why(body: QuoteBody, collateral: Collateral, at: datetime, root: Root, reason: str) -> list[Failure]:
    """Which claims failed that a quote must satisfy before any policy is asked."""
    failures = []
    try:
        for part, start, end in collateral.validity:
            if not start <= at <= end:
                failures.append(Failure(f"validity of the {part}", f"{stamp(start)} to {stamp(end)}", stamp(at)))
        if not collateral.ends_at(root):
            failures.append(Failure("root", f"the root certificate '{root.name}'", "another root in the collateral"))
    except CasemateError as error:
        failures.append(Failure("collateral", "well-formed collateral", str(error)))
    return failures or [Failure("genuine", "a quote that the vendor's certificates vouch for", reason)]
