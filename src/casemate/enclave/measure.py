"""From a canonical manifest and an enclave image to the enclave's layout and MRENCLAVE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from casemate._core import EnclaveLayout, SgxFormatError
from casemate.enclave.errors import LayoutError


@dataclass(frozen=True, slots=True)
class Variant:
    """One way in which the same image is built into an enclave. Each has its own MRENCLAVE."""

    name: str
    """``edmm``: memory and threads are added on demand; ``static``: all are there from the start."""
    layout: EnclaveLayout


def variants(manifest: Mapping[str, Any], enclave: bytes, measured: bytes) -> list[Variant]:
    """The enclaves that a manifest allows, the preferred one first.

    ``edmm = "auto"`` means: with dynamic memory where the platform has it. What the platform has is not known when the
    image is signed, so there are two enclaves then, and each needs its own SIGSTRUCT.
    """
    names = {"auto": ("edmm", "static"), "required": ("edmm",), "off": ("static",)}[manifest["edmm"]]
    return [Variant(name, _layout(manifest, enclave, measured, edmm=name == "edmm")) for name in names]


def _layout(manifest: Mapping[str, Any], enclave: bytes, measured: bytes, *, edmm: bool) -> EnclaveLayout:
    try:
        return EnclaveLayout(
            enclave,
            measured,
            enclave_size=manifest["enclave_size"],
            max_threads=manifest["max_threads"],
            edmm=edmm,
            # Every processor with dynamic memory reports faults on memory too.
            exinfo=edmm,
        )
    except SgxFormatError as error:
        raise LayoutError(
            str(error), where="the enclave", remedy="change sgx.enclave_size or sgx.max_threads in the manifest"
        ) from None
