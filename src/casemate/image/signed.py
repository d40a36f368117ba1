"""Signing a shielded image: its enclaves are measured, and their SIGSTRUCTs go into the shielded layer.

The original layers stay as they are, and the same choices give the same bytes: the date is the owner's or the image's,
never the clock's. The private key is used through ``SigningKey`` alone and never comes here.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from casemate._core import SgxFormatError, SigStruct, mr_signer
from casemate.enclave.errors import SigStructError
from casemate.enclave.keys import SigningKey
from casemate.enclave.measure import variants
from casemate.enclave.signing import SigningOptions, attach, from_bcd, sign, unsigned
from casemate.errors import CasemateError
from casemate.image.config import ImageConfig
from casemate.image.descriptors import canonical_json
from casemate.image.references import Reference
from casemate.image.shielded import (
    ENCLAVE,
    LABEL_DEBUG,
    LABEL_MRENCLAVE,
    LABEL_MRENCLAVE_STATIC,
    LABEL_MRSIGNER,
    LABEL_PROD_ID,
    LABEL_SIGNED_ON,
    LABEL_SVN,
    MANIFEST,
    MEASURED,
    SIGSTRUCT_STATIC,
    Bundle,
    read_bundle,
    shielded_layer,
    signed_config,
)
from casemate.image.sources import SourceImage
from casemate.image.writers import OutputImage, write_image
from casemate.loader.files import runtime_file
from casemate.manifest.canonical import parse_canonical

# For an image that does not say when it was made, as tools for reproducible builds leave it.
UNDATED = datetime.date(1970, 1, 1)
_CREATED = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]")


@dataclass(frozen=True, slots=True)
class Choices:
    """What the owner says when signing; None leaves it to the manifest, and the date to the image."""

    date: datetime.date | None = None
    isv_prod_id: int | None = None
    isv_svn: int | None = None
    debug: bool | None = None


@dataclass(frozen=True, slots=True)
class Enclave:
    """One of an image's enclaves, measured; ``sigstruct`` is signed or not yet."""

    variant: str
    file: str
    sigstruct: SigStruct


@dataclass(frozen=True, slots=True)
class Measured:
    """A shielded image, ready to be signed."""

    bundle: Bundle
    enclaves: list[Enclave]
    """The preferred one first."""
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class SignResult:
    """What was made. Measurements are hex; ``mrenclave`` is by variant."""

    image: str
    digest: str
    layer_digest: str
    mrenclave: dict[str, str]
    mrsigner: str
    isv_prod_id: int
    isv_svn: int
    debug: bool
    date: str
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure_image(image: SourceImage, choices: Choices) -> Measured:
    """What is to be signed of a shielded image. Its old signatures, if any, do not matter."""
    files = read_bundle(image)
    where = f"{image.reference}: {MANIFEST}"
    manifest = parse_canonical(files[MANIFEST], where)
    options = SigningOptions(
        date=choices.date or created_on(image.config) or UNDATED,
        isv_prod_id=manifest.isv_prod_id if choices.isv_prod_id is None else choices.isv_prod_id,
        isv_svn=manifest.isv_svn if choices.isv_svn is None else choices.isv_svn,
        debug=manifest.debug if choices.debug is None else choices.debug,
    )
    enclaves = [
        Enclave(variant.name, variant.sigstruct_file, unsigned(variant.layout, options))
        for variant in variants(manifest.model_dump(), files[ENCLAVE], files[MEASURED])
    ]
    return Measured(Bundle.from_files(files), enclaves, _warnings(files, options))


def created_on(config: ImageConfig) -> datetime.date | None:
    """The day on which the image was made, as its configuration says (RFC 3339)."""
    match = _CREATED.match(str(config.raw.get("created", "")))
    try:
        return datetime.date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


def _warnings(files: dict[str, bytes], options: SigningOptions) -> list[str]:
    warnings = []
    if files[ENCLAVE] != runtime_file(ENCLAVE).read_bytes():
        warnings.append(
            "the image's library OS is not the one of this installation: sign it only if you know who built it "
            "(casemate verify-image tells)"
        )
    if options.debug:
        warnings.append("this signs a debug enclave: the host can read and change everything inside")
    return warnings


def sign_measured(measured: Measured, key: SigningKey) -> list[Enclave]:
    """All enclaves signed with this key."""
    try:
        return [replace(enclave, sigstruct=sign(enclave.sigstruct, key)) for enclave in measured.enclaves]
    except SgxFormatError as error:
        raise SigStructError(f"the key makes no valid signature ({error})", remedy="make another key") from None


def attach_measured(measured: Measured, signatures: dict[str, bytes], modulus: bytes) -> list[Enclave]:
    """The enclaves that these signatures (raw, by what names them in messages) belong to, in the image's order."""
    found: dict[str, Enclave] = {}
    for where, signature in signatures.items():
        enclave = _owner_of(signature, measured.enclaves, modulus, where)
        if enclave.variant in found:
            raise SigStructError(
                f"two of the signatures are for the enclave '{enclave.variant}'", where=where, remedy="give one of them"
            )
        found[enclave.variant] = enclave
    return [found[enclave.variant] for enclave in measured.enclaves if enclave.variant in found]


def _owner_of(signature: bytes, enclaves: list[Enclave], modulus: bytes, where: str) -> Enclave:
    """A signature says itself to which enclave it belongs."""
    refusal: CasemateError | None = None
    for enclave in enclaves:
        try:
            return replace(enclave, sigstruct=attach(enclave.sigstruct.to_be_signed(), signature, modulus))
        except SigStructError as error:
            refusal = error
    what = refusal.what if refusal else "there is no enclave"
    raise SigStructError(
        what,
        where=where,
        remedy="sign exactly what --emit wrote (PKCS #1 v1.5, SHA-256) with the private half of this public key, and give "
        "the same --date, --isv-prod-id, --isv-svn and --debug as with --emit",
    )


def write_signed(
    image: SourceImage,
    measured: Measured,
    signed: list[Enclave],
    destination: Reference,
    progress: Callable[[int, int], None] = lambda _more, _total: None,
) -> SignResult:
    """Writes the image with these SIGSTRUCTs in place of those that it had. ``progress``: bytes more, bytes in all."""
    bundle = replace(measured.bundle, sigstructs={each.file: each.sigstruct.to_bytes() for each in signed})
    layer = shielded_layer(bundle, len(image.layers))
    labels = signing_labels(signed)
    output = OutputImage(
        config=canonical_json(signed_config(image.config, layer, labels)),
        layers=[*image.layers[:-1], layer],
        annotations=image.annotations,
    )
    total = sum(each.descriptor.size for each in output.layers)
    digest = write_image(destination, output, lambda size: progress(size, total))
    first = signed[0].sigstruct
    return SignResult(
        image=str(destination),
        digest=digest,
        layer_digest=layer.descriptor.digest,
        mrenclave={each.variant: each.sigstruct.mrenclave.hex() for each in signed},
        mrsigner=first.mrsigner.hex(),
        isv_prod_id=first.isv_prod_id,
        isv_svn=first.isv_svn,
        debug=first.debug,
        date=labels[LABEL_SIGNED_ON],
        warnings=[*measured.warnings, *_missing(measured, signed)],
    )


def _missing(measured: Measured, signed: list[Enclave]) -> list[str]:
    done = {each.variant for each in signed}
    where = {"edmm": "with", "static": "without"}
    return [
        f"the enclave '{each.variant}' is not signed: the image will not start {where[each.variant]} dynamic memory (SGX2)"
        for each in measured.enclaves
        if each.variant not in done
    ]


def signing_labels(signed: list[Enclave]) -> dict[str, str]:
    """What the image's labels say of these SIGSTRUCTs; all are by one signer, with the same choices."""
    first = signed[0].sigstruct
    date = from_bcd(first.date)
    labels = {
        LABEL_MRENCLAVE: first.mrenclave.hex(),
        LABEL_MRSIGNER: mr_signer(first.modulus).hex(),
        LABEL_PROD_ID: str(first.isv_prod_id),
        LABEL_SVN: str(first.isv_svn),
        LABEL_DEBUG: "true" if first.debug else "false",
        LABEL_SIGNED_ON: date.isoformat() if date else "",
    }
    for other in signed[1:]:
        if other.file == SIGSTRUCT_STATIC:
            labels[LABEL_MRENCLAVE_STATIC] = other.sigstruct.mrenclave.hex()
    return labels
