"""From a canonical manifest and an enclave image to the enclave's layout and MRENCLAVE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from casemate._core import EnclaveLayout, SgxFormatError, enclave_variants
from casemate.enclave.errors import LayoutError


@dataclass(frozen=True, slots=True)
class Variant:
    """One way in which the same image is built into an enclave. Each has its own MRENCLAVE."""

    name: str
    """``edmm``: memory and threads are added on demand; ``static``: all are there from the start."""
    sigstruct_file: str
    """The file of ``/casemate/`` that holds its SIGSTRUCT."""
    layout: EnclaveLayout


def variants(manifest: Mapping[str, Any], enclave: bytes, measured: bytes) -> list[Variant]:
    """The enclaves that a manifest allows, the preferred one first.

    ``edmm = "auto"`` means: with dynamic memory where the platform has it. What the platform has is not known when the
    image is signed, so there are two enclaves then, and each needs its own SIGSTRUCT. The static one beside a dynamic one
    is at most 4 GiB large (``runtime/sgx/src/variant.rs`` says why).
    """
    return [
        Variant(name, file, _layout(manifest, enclave, measured, name))
        for name, file in enclave_variants(manifest["edmm"])
    ]


def _layout(manifest: Mapping[str, Any], enclave: bytes, measured: bytes, variant: str) -> EnclaveLayout:
    try:
        return EnclaveLayout.of_manifest(
            enclave,
            measured,
            enclave_size=manifest["enclave_size"],
            max_threads=manifest["max_threads"],
            edmm=manifest["edmm"],
            variant=variant,
        )
    except SgxFormatError as error:
        raise LayoutError(
            str(error), where="the enclave", remedy="change sgx.enclave_size or sgx.max_threads in the manifest"
        ) from None
