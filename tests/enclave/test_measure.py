"""The measurement against a second implementation, and what it depends on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate._core import EnclaveLayout, SgxFormatError
from casemate.enclave.errors import LayoutError
from casemate.enclave.measure import variants
from tests.enclave import images, sdm

MIB = 1 << 20


def measure_again(layout: EnclaveLayout) -> bytes:
    enclave = sdm.Enclave(layout.ssa_frame_size, layout.enclave_size)
    for number, (offset, pages, flags, _, measured) in enumerate(layout.regions()):
        for index in range(pages):
            address = offset + index * 4096
            enclave.eadd(address, flags)
            if measured:
                page = layout.page(number, index)
                for start in range(0, 4096, 256):
                    enclave.eextend(address + start, page[start : start + 256])
    return enclave.einit()


def layout(**changes: Any) -> EnclaveLayout:
    arguments: dict[str, Any] = {
        "enclave_size": 256 * MIB,
        "max_threads": 4,
        "edmm": True,
        "exinfo": True,
        **changes,
    }
    image = arguments.pop("image", images.enclave())
    return EnclaveLayout(image, arguments.pop("measured", images.measured()), **arguments)


@pytest.mark.parametrize("edmm", [True, False])
def test_two_implementations_agree(edmm: bool) -> None:
    it = layout(edmm=edmm, exinfo=edmm)
    assert it.measure() == measure_again(it)


ANY_LAYOUT = st.fixed_dictionaries(
    {
        "image": st.binary(min_size=1, max_size=9000).map(images.enclave),
        "measured": st.binary(min_size=32, max_size=32).map(images.measured),
        "enclave_size": st.integers(26, 30).map(lambda power: 1 << power),
        "max_threads": st.integers(1, 6),
        "heap_size": st.integers(256, 1000).map(lambda pages: pages * 4096),
        "edmm": st.booleans(),
        "exinfo": st.booleans(),
        "optional_xfrm": st.sampled_from([0, 4, 0xE4, 0x600E4]),
    }
)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(ANY_LAYOUT)
def test_two_implementations_agree_on_any_enclave(arguments: dict[str, Any]) -> None:
    it = layout(**arguments)
    assert it.measure() == measure_again(it)


@pytest.mark.long
@settings(max_examples=1000, deadline=None)
@given(ANY_LAYOUT)
def test_two_implementations_agree_on_very_many_enclaves(arguments: dict[str, Any]) -> None:
    it = layout(**arguments)
    assert it.measure() == measure_again(it)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(text=st.binary(min_size=1, max_size=9000), digest=st.binary(min_size=32, max_size=32))
def test_pages_hold_the_image_and_the_manifests_digest(text: bytes, digest: bytes) -> None:
    it = layout(image=images.enclave(text), measured=images.measured(digest))
    regions = list(enumerate(it.regions()))
    (block,) = [number for number, region in regions if region[3] == "measured"]
    assert it.page(block, 0)[:64] == images.measured(digest)
    code, data = [number for number, region in regions if region[3] == "image"]
    loaded = b"".join(it.page(code, index) for index in range(it.regions()[code][1]))
    assert loaded.rstrip(b"\0") == text.rstrip(b"\0")
    assert it.page(data, 0)[0x40:0x68] == b"data" * 10
    assert it.page(data, 0)[0x68:] == bytes(4096 - 0x68)
    assert it.regions()[code][2] & 7 == 5
    assert it.regions()[data][2] & 7 == 3


def test_pages_ascend_and_only_memory_that_is_cleared_inside_is_unmeasured() -> None:
    it = layout(edmm=False)
    end = 0
    for offset, pages, flags, content, measured in it.regions():
        assert offset >= end
        end = offset + pages * 4096
        assert measured or (content == "zero" and flags in (0x207, 0x203))
    assert end <= 256 * MIB
    assert all(measured for *_, measured in layout().regions())


def test_the_manifest_decides_which_enclaves_there_are() -> None:
    manifest = {"edmm": "auto", "enclave_size": 256 * MIB, "max_threads": 4}

    def names(edmm: str) -> list[str]:
        found = variants({**manifest, "edmm": edmm}, images.enclave(), images.measured())
        assert len({variant.layout.measure() for variant in found}) == len(found)
        return [variant.name for variant in found]

    assert names("auto") == ["edmm", "static"]
    assert names("required") == ["edmm"]
    assert names("off") == ["static"]


def test_the_static_enclave_beside_a_dynamic_one_is_small_enough_to_start() -> None:
    manifest = {"edmm": "auto", "enclave_size": 64 << 30, "max_threads": 4}

    def sizes(**changes: Any) -> list[int]:
        found = variants({**manifest, **changes}, images.enclave(), images.measured())
        return [variant.layout.enclave_size >> 30 for variant in found]

    assert sizes() == [64, 4]
    assert sizes(enclave_size=2 << 30) == [2, 2]
    assert sizes(max_threads=1 << 16) == [64, 32]
    assert sizes(edmm="off") == [64]


def test_an_enclave_that_is_too_small_says_what_would_do() -> None:
    manifest = {"edmm": "off", "enclave_size": 64 * MIB, "max_threads": 1000}
    with pytest.raises(LayoutError, match=r"too small; \d+ are needed; change sgx\.enclave_size"):
        variants(manifest, images.enclave(), images.measured())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"image": b"not an image"}, "no enclave image: it is shorter"),
        ({"measured": bytes(63)}, "needs 64 bytes, 63 are there"),
        ({"max_threads": 0}, "number of threads is 0"),
        ({"enclave_size": 3 * MIB}, "power of two"),
        ({"optional_xfrm": 1 << 8}, "components that do not exist"),
        ({"optional_xfrm": 1 << 5}, "cannot be used together"),
    ],
)
def test_what_cannot_be_laid_out_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(SgxFormatError, match=why):
        layout(**changes)
