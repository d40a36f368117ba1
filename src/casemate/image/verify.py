"""Is a shielded image exactly what this version builds from its source? For owners who let others do the conversion.

Nothing of the shielded image is believed: its source is scanned again, its bundle, layer and configuration are made
again, and the two are compared: layers and files byte by byte, the configuration value by value, annotations not at
all. Where they differ, the first difference is put into words.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from casemate import __version__
from casemate._core import Index, IndexFormatError, SgxFormatError, SigStruct
from casemate.enclave.measure import Variant, variants
from casemate.enclave.signing import SigningOptions, from_bcd, unsigned
from casemate.errors import ImageError
from casemate.image.build import BuildOptions, Progress, Shielded, quiet, shield
from casemate.image.compare import index_difference, json_difference
from casemate.image.config import parse_config
from casemate.image.descriptors import canonical_json, sha256_digest
from casemate.image.layers import PlainLayer
from casemate.image.references import Reference
from casemate.image.shielded import (
    ENCLAVE,
    INDEX,
    LABEL_VERSION,
    LOADER,
    MANIFEST,
    MEASURED,
    SIGSTRUCT_FILES,
    Bundle,
    read_bundle,
    require_shielded,
    shielded_layer,
    signed_config,
)
from casemate.image.signed import Enclave, signing_labels
from casemate.image.sources import SourceImage, open_source


@dataclass(frozen=True, slots=True)
class Measurement:
    """What an image's enclaves will be, computed from the original image."""

    source: str
    source_digest: str
    manifest_digest: str
    index_root: str
    mrenclave: dict[str, str]
    """By variant, the preferred one first; hex."""
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``difference`` is None when the image is what it should be."""

    image: str
    source: str
    difference: str | None
    mrenclave: dict[str, str]
    """What the enclaves should be, by variant; hex."""
    signed: list[str] = field(default_factory=list)
    """The variants that are signed."""
    mrsigner: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"matches": self.difference is None, **asdict(self)}


def measure_source(source: Reference, options: BuildOptions, progress: Progress = quiet) -> Measurement:
    """MRENCLAVE of every enclave that ``build`` would make of this source. Writes nothing."""
    with open_source(source) as image:
        made = shield(image, options, progress)
        return Measurement(
            source=str(source),
            source_digest=image.digest,
            manifest_digest=sha256_digest(made.bundle.manifest),
            index_root=made.index.root_digest.hex(),
            mrenclave={each.name: each.layout.measure().hex() for each in _variants(made)},
            warnings=made.warnings,
        )


def verify_image(shielded: Reference, source: Reference, options: BuildOptions, progress: Progress = quiet) -> Verdict:
    """Compares a shielded image, signed or not, with what this version builds from ``source``."""
    with open_source(shielded) as image, open_source(source) as original:
        require_shielded(image)
        made = shield(original, options, progress)
        enclaves = _variants(made)
        mrenclave = {each.name: each.layout.measure().hex() for each in enclaves}
        try:
            signed = _compare(image, original, made, enclaves, progress)
        except _Differs as difference:
            return Verdict(str(shielded), str(source), str(difference), mrenclave)
        signer = signed[0].sigstruct.mrsigner.hex() if signed else None
        return Verdict(str(shielded), str(source), None, mrenclave, [each.variant for each in signed], signer)


class _Differs(Exception):  # noqa: N818 - it is the verdict, not an error
    """The first difference."""


def _variants(made: Shielded) -> list[Variant]:
    files = made.bundle.files()
    return variants(json.loads(files[MANIFEST]), files[ENCLAVE], files[MEASURED])


def _compare(
    image: SourceImage, original: SourceImage, made: Shielded, enclaves: list[Variant], progress: Progress
) -> list[Enclave]:
    """The image's signed enclaves; raises ``_Differs`` at the first difference."""
    _compare_layers(image, original, progress)
    try:
        files = read_bundle(image)
    except ImageError as error:
        raise _Differs(error.what) from None
    _compare_files(image, files, made)
    signed = _compare_signatures(files, enclaves)
    bundle = Bundle.from_files(files)
    layer = shielded_layer(bundle, len(image.layers))
    if layer.diff_id != image.layers[-1].diff_id:
        raise _Differs(
            f"the shielded layer is {image.layers[-1].diff_id} instead of {layer.diff_id}: its files are right, but not "
            "their order, owners, times or modes"
        )
    config: dict[str, Any] = made.config
    if signed:
        unsigned_config = parse_config(canonical_json(made.config), "the configuration")
        config = signed_config(unsigned_config, layer, signing_labels(signed))
    if difference := json_difference(image.config.raw, json.loads(canonical_json(config))):
        raise _Differs(f"the image's configuration: {difference}")
    return signed


def _compare_layers(image: SourceImage, original: SourceImage, progress: Progress) -> None:
    if len(image.layers) != len(original.layers) + 1:
        raise _Differs(
            f"the image has {len(image.layers)} layers; the source's {len(original.layers)} and one more are expected"
        )
    for layer, source in zip(image.layers, original.layers, strict=False):
        if layer.diff_id != source.diff_id:
            raise _Differs(f"layer {layer.number} is {layer.diff_id}, in the source it is {source.diff_id}")
        # The names agree; only reading tells whether the contents do.
        try:
            with PlainLayer(layer) as plain:
                while data := plain.read(1 << 20):
                    progress("comparing", len(data), 0)
        except ImageError as error:
            raise _Differs(f"{error.where}: {error.what}") from None


def _compare_files(image: SourceImage, files: dict[str, bytes], made: Shielded) -> None:
    wanted = made.bundle.files()
    version = image.config.labels[LABEL_VERSION]
    made_by = "" if version == __version__ else f" (the image was made by casemate {version!r}, this is {__version__})"
    for name, what in ((LOADER, "the loader"), (ENCLAVE, "the library OS")):
        if files[name] != wanted[name]:
            raise _Differs(
                f"/casemate/{name}, {what}, is {sha256_digest(files[name])}; this installation has "
                f"{sha256_digest(wanted[name])}{made_by}"
            )
    if files[INDEX] != wanted[INDEX]:
        raise _Differs(f"/casemate/{INDEX}: {_index_difference(files, made)}")
    if files[MANIFEST] != wanted[MANIFEST]:
        try:
            difference = json_difference(json.loads(files[MANIFEST]), json.loads(wanted[MANIFEST]))
        except (ValueError, RecursionError):
            difference = "it is not valid JSON"
        raise _Differs(f"/casemate/{MANIFEST}: {difference or 'it is written differently'}{made_by}")
    if files[MEASURED] != wanted[MEASURED]:
        raise _Differs(f"/casemate/{MEASURED} is not that of the manifest")


def _index_difference(files: dict[str, bytes], made: Shielded) -> str:
    try:
        root = bytes.fromhex(json.loads(files[MANIFEST])["index"]["root"])
        difference = index_difference(Index.from_bytes(files[INDEX], root), made.index)
    except (IndexFormatError, ValueError, KeyError, TypeError, RecursionError):
        return "it is damaged, or not the one that the manifest names"
    return difference or "it says the same of every path and is stored differently"


def _compare_signatures(files: dict[str, bytes], enclaves: list[Variant]) -> list[Enclave]:
    """Every SIGSTRUCT must be exactly what ``sign`` makes, up to the owner's choices and key."""
    allowed = {each.sigstruct_file: each for each in enclaves}
    signed: list[Enclave] = []
    for name in SIGSTRUCT_FILES:
        if name not in files:
            continue
        if name not in allowed:
            raise _Differs(f"/casemate/{name} is there, but the manifest allows no such enclave")
        sigstruct = SigStruct.from_bytes(files[name])
        try:
            sigstruct.verify()
        except SgxFormatError as error:
            raise _Differs(f"/casemate/{name}: {error}") from None
        _compare_sigstruct(name, sigstruct, allowed[name])
        if signed and sigstruct.modulus != signed[0].sigstruct.modulus:
            raise _Differs(f"/casemate/{name} is signed by another key than /casemate/{signed[0].file}")
        signed.append(Enclave(allowed[name].name, name, sigstruct))
    return signed


def _compare_sigstruct(name: str, found: SigStruct, variant: Variant) -> None:
    date = from_bcd(found.date)
    if date is None:
        raise _Differs(f"/casemate/{name}: its date is {found.date:#x}")
    options = SigningOptions(date, found.isv_prod_id, found.isv_svn, found.debug)
    wanted = unsigned(variant.layout, options)
    for what, one, other in (
        ("MRENCLAVE", found.mrenclave.hex(), wanted.mrenclave.hex()),
        ("ATTRIBUTES", found.attributes, wanted.attributes),
        ("ATTRIBUTEMASK", found.attribute_mask, wanted.attribute_mask),
        ("MISCSELECT", found.miscselect, wanted.miscselect),
        ("MISCMASK", found.miscmask, wanted.miscmask),
    ):
        if one != other:
            raise _Differs(f"/casemate/{name}: its {what} is {one} instead of {other}")
    if found.to_be_signed() != wanted.to_be_signed():
        raise _Differs(f"/casemate/{name}: it signs fields that casemate sign leaves 0")
