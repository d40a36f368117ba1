"""Images that must be refused: each with a message that says what, where and what to do, and nothing written."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from casemate.errors import CasemateError, OutputError
from casemate.image.build import BuildOptions, build
from casemate.image.references import parse_reference
from casemate.loader.files import RUNTIME_DIRECTORY
from tests.image.builder import ELF, MEDIA, Layout, compress, digest, entry, hello, tar

pytestmark = pytest.mark.usefixtures("cache", "runtime_files")


@pytest.fixture
def refuse(tmp_path: Path) -> Callable[..., str]:
    """Builds from a source that must be refused; returns the message. Nothing may be left where it would have gone."""

    def attempt(source: str, **options: Any) -> str:
        before = sorted(tmp_path.iterdir())
        with pytest.raises(CasemateError) as caught:
            build(parse_reference(source), parse_reference(f"oci:{tmp_path}/out:x"), BuildOptions(**options))
        assert sorted(tmp_path.iterdir()) == before
        assert caught.value.remedy, "a message says what to do"
        return caught.value.diagnostics()

    return attempt


def blob_of(layout: Path, media_type: str) -> Path:
    """The file of the blob that has this media type."""
    manifest = json.loads((layout / "index.json").read_text())["manifests"][0]
    if media_type == "manifest":
        wanted = manifest["digest"]
    else:
        path = layout / "blobs/sha256" / manifest["digest"].partition(":")[2]
        content = json.loads(path.read_text())
        wanted = (content["config"] if media_type == "config" else content["layers"][0])["digest"]
    return layout / "blobs/sha256" / wanted.partition(":")[2]


def change(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x20
    path.write_bytes(data)


# --- Blobs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_truncated_layer(tmp_path: Path, refuse: Callable[..., str], compression: str) -> None:
    source = Layout([hello()], compression).write(tmp_path / "in")
    blob = blob_of(tmp_path / "in", "layer")
    blob.write_bytes(blob.read_bytes()[:-20])
    message = refuse(source)
    assert message.startswith("layer 1 (sha256:")
    assert "truncated" in message


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_layer_that_was_cut_before_it_was_stored(
    tmp_path: Path, refuse: Callable[..., str], compression: str
) -> None:
    whole = tar((entry("hello"), ELF), (entry("data"), os.urandom(100_000)))
    stored = compress(whole, compression)[:-5000]
    source = Layout([stored], "none", media_type=MEDIA[compression], diff_ids=[digest(whole)]).write(tmp_path / "in")
    message = refuse(source)
    assert message.startswith("layer 1 (sha256:")
    assert any(word in message for word in ("truncated", "not the diff ID"))


@pytest.mark.parametrize(
    ("part", "shown"), [("layer", "layer 1"), ("config", "config sha256"), ("manifest", "manifest sha256")]
)
def test_a_blob_with_one_changed_bit(tmp_path: Path, refuse: Callable[..., str], part: str, shown: str) -> None:
    source = Layout([hello()], "none").write(tmp_path / "in")
    change(blob_of(tmp_path / "in", part), 40)
    message = refuse(source)
    assert message.startswith(shown)
    assert "not the sha256:" in message


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_corrupt_compression_behind_a_right_digest(
    tmp_path: Path, refuse: Callable[..., str], compression: str
) -> None:
    stored = bytearray(compress(hello(), compression))
    stored[len(stored) // 2] ^= 0xFF
    layout = Layout([bytes(stored)], "none", media_type=MEDIA[compression], diff_ids=[digest(hello())])
    message = refuse(layout.write(tmp_path / "in"))
    assert message.startswith("layer 1")
    assert f"{compression} data is corrupt" in message or "not the diff ID" in message


def test_a_layer_that_is_not_what_the_configuration_says(tmp_path: Path, refuse: Callable[..., str]) -> None:
    source = Layout([hello()], diff_ids=["sha256:" + "1" * 64]).write(tmp_path / "in")
    assert "not the diff ID sha256:1111" in refuse(source)


def test_a_cached_layer_does_not_hide_a_changed_blob(tmp_path: Path, refuse: Callable[..., str]) -> None:
    source = Layout([hello()], "none").write(tmp_path / "in")
    build(parse_reference(source), parse_reference(f"oci:{tmp_path}/good:x"), BuildOptions())
    change(blob_of(tmp_path / "in", "layer"), 40)
    assert "not the sha256:" in refuse(source)


def test_a_missing_blob(tmp_path: Path, refuse: Callable[..., str]) -> None:
    source = Layout([hello()]).write(tmp_path / "in")
    blob_of(tmp_path / "in", "layer").unlink()
    assert "is missing" in refuse(source)


@pytest.mark.parametrize(
    "media_type", ["application/vnd.oci.image.layer.v1.tar+encrypted", "application/vnd.in-toto+json", "text/plain"]
)
def test_an_unsupported_media_type(tmp_path: Path, refuse: Callable[..., str], media_type: str) -> None:
    message = refuse(Layout([hello()], media_type=media_type).write(tmp_path / "in"))
    assert f"the media type '{media_type}' is not supported" in message


@pytest.mark.parametrize("architecture", ["arm64", ""])
def test_another_machine(tmp_path: Path, refuse: Callable[..., str], architecture: str) -> None:
    assert "the image is for linux/" in refuse(Layout([hello()], architecture=architecture).write(tmp_path / "in"))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"a":1,"a":2}', "\ud800".encode("utf-16-le", "surrogatepass").decode("latin-1")]
)
def test_documents_that_are_no_json_objects(tmp_path: Path, refuse: Callable[..., str], text: str) -> None:
    source = Layout([hello()]).write(tmp_path / "in")
    (tmp_path / "in/index.json").write_text(text)
    assert "index.json: this is not" in refuse(source)


def test_no_image_where_one_was_named(tmp_path: Path, refuse: Callable[..., str]) -> None:
    (tmp_path / "file").write_bytes(b"no archive")
    assert "No such file" in refuse(f"oci:{tmp_path}/absent")
    assert "there is no oci-layout" in refuse(f"oci:{tmp_path}")
    assert "truncated" in refuse(f"oci-archive:{tmp_path}/file")
    assert "truncated" in refuse(f"docker-archive:{tmp_path}/file")
    assert "not a directory" in refuse(f"dir:{tmp_path}/file")


# --- What is in a layer --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../etc/passwd", "/../x", "a/../../x", "./..", "a/b/../../../c"])
def test_an_entry_that_escapes_the_root(tmp_path: Path, refuse: Callable[..., str], name: str) -> None:
    message = refuse(Layout([tar((entry("hello"), ELF), (entry(name), b"x"))]).write(tmp_path / "in"))
    assert message.startswith("layer 1")
    assert f"entry '{name}' escapes the root" in message


def test_a_hard_link_that_escapes_the_root(tmp_path: Path, refuse: Callable[..., str]) -> None:
    link = entry("link", tarfile.LNKTYPE, linkname="../../etc/shadow")
    assert "escapes the root" in refuse(Layout([tar((entry("hello"), ELF), link)]).write(tmp_path / "in"))


def test_an_entry_that_goes_through_a_symbolic_link(tmp_path: Path, refuse: Callable[..., str]) -> None:
    link = entry("out", tarfile.SYMTYPE, linkname="/etc")
    message = refuse(Layout([tar((entry("hello"), ELF), link, (entry("out/passwd"), b"x"))]).write(tmp_path / "in"))
    assert "out/passwd" in message


def test_a_hard_link_to_nothing(tmp_path: Path, refuse: Callable[..., str]) -> None:
    link = entry("link", tarfile.LNKTYPE, linkname="absent")
    assert "absent" in refuse(Layout([tar((entry("hello"), ELF), link)]).write(tmp_path / "in"))


def test_a_bomb_of_zeros(tmp_path: Path, refuse: Callable[..., str]) -> None:
    source = Layout([tar((entry("hello"), ELF), (entry("zeros"), bytes(20_000_000)))]).write(tmp_path / "in")
    message = refuse(source, max_unpacked_bytes=10_000_000)
    assert "unpacks to more than 10000000 bytes" in message
    assert "--max-unpacked-size" in message


def test_a_bomb_of_holes(tmp_path: Path, refuse: Callable[..., str]) -> None:
    sparse = entry("holes")
    sparse.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 60)}
    message = refuse(Layout([tar((entry("hello"), ELF), (sparse, b"x"))]).write(tmp_path / "in"))
    assert "unpacks to more than" in message


def test_bombs_that_are_small_one_by_one(tmp_path: Path, refuse: Callable[..., str]) -> None:
    layers = [tar((entry("hello"), ELF), (entry(f"zeros{n}"), bytes(5_000_000))) for n in range(4)]
    assert "layer 3" in refuse(Layout(layers).write(tmp_path / "in"), max_unpacked_bytes=12_000_000)


def test_a_bomb_of_entries(tmp_path: Path, refuse: Callable[..., str]) -> None:
    many = tar((entry("hello"), ELF), *(entry(f"d{n}", tarfile.DIRTYPE) for n in range(100)))
    assert "more than 50 entries" in refuse(Layout([many]).write(tmp_path / "in"), max_entries=50)


def test_a_name_that_shielding_needs(tmp_path: Path, refuse: Callable[..., str]) -> None:
    layer = tar((entry("hello"), ELF), entry("casemate", tarfile.DIRTYPE))
    assert "already holds /casemate" in refuse(Layout([layer]).write(tmp_path / "in"))


def test_an_image_that_is_shielded_already(tmp_path: Path, refuse: Callable[..., str]) -> None:
    source = Layout([hello()]).write(tmp_path / "in")
    build(parse_reference(source), parse_reference(f"oci:{tmp_path}/once:x"), BuildOptions())
    assert "shielded already" in refuse(f"oci:{tmp_path}/once:x")


# --- The entry point -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "config", "message"),
    [
        ([], {}, "neither Entrypoint nor Cmd"),
        ([], {"Entrypoint": [], "Cmd": []}, "neither Entrypoint nor Cmd"),
        ([], {"Entrypoint": ["/absent"]}, "'/absent' is not in the image"),
        ([], {"Entrypoint": ["absent"], "Env": ["PATH=/bin:/opt"]}, "'absent' is in no directory of PATH, /bin:/opt"),
        ([(entry("text"), b"just text")], {"Entrypoint": ["/text"]}, "neither an x86-64 ELF program nor a script"),
        ([(entry("hello", mode=0o644), ELF)], {"Entrypoint": ["/hello"]}, "may not be executed by uid 0 (mode 0644"),
        ([entry("hello", tarfile.DIRTYPE)], {"Entrypoint": ["/hello"]}, "is no file but of kind 'directory'"),
        ([(entry("arm"), ELF[:18] + b"\xb7\0" + ELF[20:])], {"Entrypoint": ["/arm"]}, "it is for AArch64"),
        ([(entry("old"), ELF[:4] + b"\x01" + ELF[5:18] + b"\x03\0" + ELF[20:])], {"Cmd": ["/old"]}, "x86 (32-bit)"),
        ([(entry("script"), b"#!/bin/sh\n")], {"Cmd": ["/script"]}, "'/bin/sh' is not in the image"),
        ([(entry("script"), b"#!\n")], {"Cmd": ["/script"]}, "names no interpreter"),
        ([(entry("a"), b"#!/a\n")], {"Cmd": ["/a"]}, "whose interpreters are scripts"),
        ([entry("a", tarfile.SYMTYPE, linkname="a")], {"Cmd": ["/a"]}, "'/a' is not in the image"),
    ],
)
def test_an_entry_point_that_cannot_start(
    tmp_path: Path, refuse: Callable[..., str], members: list[Any], config: dict[str, Any], message: str
) -> None:
    source = Layout([tar(entry("etc", tarfile.DIRTYPE), *members)], config=config).write(tmp_path / "in")
    assert message in refuse(source)


# --- The destination -----------------------------------------------------------------------------------------


def test_a_destination_that_is_something_else(tmp_path: Path) -> None:
    source = parse_reference(Layout([hello()]).write(tmp_path / "in"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    with pytest.raises(OutputError, match="no OCI image layout; choose another place"):
        build(source, parse_reference(f"oci:{tmp_path}/full"), BuildOptions())
    with pytest.raises(OutputError, match="the directory does not exist"):
        build(source, parse_reference(f"oci-archive:{tmp_path}/absent/file"), BuildOptions())


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "docker-archive"])
@pytest.mark.parametrize("exists", [False, True])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, transport: str, exists: bool) -> None:
    """RLIMIT_FSIZE ends a write as a full disk does, in a process of its own."""
    if not (RUNTIME_DIRECTORY / "enclave").is_file():
        pytest.skip("the runtime is not built")
    source = Layout([tar((entry("hello"), ELF), (entry("data"), os.urandom(3_000_000)))], "none").write(tmp_path / "in")
    os.chmod(blob_of(tmp_path / "in", "layer"), 0o666)  # a blob that others can write is copied, not linked
    target = f"{transport}:{tmp_path}/out/image"
    (tmp_path / "out").mkdir()
    if exists:
        small = Layout([hello()], "none").write(tmp_path / "small")
        build(parse_reference(small), parse_reference(target), BuildOptions())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    command = [sys.executable, "-m", "casemate", "build", source, "-o", target]
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limit)
    assert done.returncode == 1
    assert "cannot write the image: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert {path: time for path, time in after.items() if path.is_file()} == {
        path: time for path, time in before.items() if path.is_file()
    }


def test_a_layer_table_in_the_cache_that_was_damaged_is_made_again(tmp_path: Path, cache: Path) -> None:
    source = parse_reference(Layout([hello()]).write(tmp_path / "in"))
    first = build(source, parse_reference(f"oci:{tmp_path}/one"), BuildOptions())
    (table,) = (cache / "casemate/layers").iterdir()
    change(table, 100)
    second = build(source, parse_reference(f"oci:{tmp_path}/two"), BuildOptions())
    assert (second.cached_layers, second.digest) == (0, first.digest)
    third = build(source, parse_reference(f"oci:{tmp_path}/three"), BuildOptions())
    assert (third.cached_layers, third.digest) == (1, first.digest)
