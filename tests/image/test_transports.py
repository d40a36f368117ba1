"""What we read and write through each transport is what skopeo and umoci make of it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from casemate.errors import ImageError, UsageError
from casemate.image.layers import PlainLayer
from casemate.image.references import Reference, parse_reference
from casemate.image.sources import SourceImage, open_source
from casemate.image.tarstream import TarReader
from casemate.image.writers import OutputImage, write_image
from tests import images
from tests.image.builder import Layout, digest, hello


def opened(text: str) -> SourceImage:
    return open_source(parse_reference(text))


def plain_digest(image: SourceImage, number: int) -> tuple[str, int]:
    sha, size = hashlib.sha256(), 0
    with PlainLayer(image.layers[number]) as stream:
        while data := stream.read(1 << 20):
            sha.update(data)
            size += len(data)
    return f"sha256:{sha.hexdigest()}", size


@pytest.fixture(scope="session")
def converted(debian_image: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The Debian image through every transport and compression, as skopeo converts it."""
    base = tmp_path_factory.mktemp("converted")
    made = {
        "oci": f"oci:{base}/oci:one",
        "zstd": f"oci:{base}/zstd:one",
        "oci-archive": f"oci-archive:{base}/image.oci.tar:one",
        "docker-archive": f"docker-archive:{base}/image.docker.tar:debian:one",
    }
    try:
        for name, destination in made.items():
            options = ["--dest-compress-format", "zstd", "--dest-compress"] if name == "zstd" else []
            images.skopeo_copy(debian_image, destination, *options)
    except images.ToolMissingError as missing:
        pytest.skip(str(missing))
    return made


@pytest.mark.parametrize("transport", ["oci", "zstd", "oci-archive", "docker-archive"])
def test_reads_what_skopeo_writes(converted: dict[str, str], transport: str) -> None:
    seen = json.loads(images.run(["skopeo", "inspect", "--config", converted[transport]]))
    with opened(converted[transport]) as image:
        assert image.config.entrypoint == seen["config"]["Entrypoint"] == ["/usr/bin/python3"]
        assert image.config.env == seen["config"]["Env"]
        assert [layer.diff_id for layer in image.layers] == seen["rootfs"]["diff_ids"]
        assert plain_digest(image, 0)[0] == seen["rootfs"]["diff_ids"][0]
        assert image.layers[0].compression == {"zstd": "zstd", "docker-archive": "none"}.get(transport, "gzip")


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "docker-archive"])
@pytest.mark.parametrize("source", ["oci", "zstd", "docker-archive"])
def test_skopeo_reads_what_we_write(converted: dict[str, str], source: str, transport: str, tmp_path: Path) -> None:
    name = "debian:copy" if transport == "docker-archive" else "copy"
    target = f"{transport}:{tmp_path}/copy:{name}"
    with opened(converted[source]) as image:
        config = json.dumps(image.config.raw).encode()
        output = OutputImage(config, image.layers)
        written = write_image(parse_reference(target), output)
        seen = json.loads(images.run(["skopeo", "inspect", target]))
        if transport != "docker-archive":
            assert seen["Digest"] == written
            assert seen["Layers"] == [layer.descriptor.digest for layer in image.layers]
        # skopeo checks every digest of the layers when it copies.
        images.skopeo_copy(target, f"dir:{tmp_path}/checked")
        with opened(target) as copied:
            assert copied.config.raw == image.config.raw
            assert plain_digest(copied, 0) == plain_digest(image, 0)


def test_entries_are_what_umoci_unpacks(debian_image: str, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("umoci keeps owners only as root")
    images.run(["umoci", "unpack", "--image", debian_image.removeprefix("oci:"), tmp_path / "bundle"])
    root = tmp_path / "bundle/rootfs"
    names = set()
    with opened(debian_image) as image, PlainLayer(image.layers[0]) as stream:
        reader = TarReader(stream, "test")
        for entry in reader:
            content = b"".join(reader.content())
            name = os.fsdecode(entry.path).removeprefix("./").rstrip("/")
            names.add(name)
            info = os.lstat(root / name)
            kinds = {"file": stat.S_ISREG, "hardlink": stat.S_ISREG, "dir": stat.S_ISDIR, "symlink": stat.S_ISLNK,
                     "char": stat.S_ISCHR, "block": stat.S_ISBLK}  # fmt: skip
            assert kinds[entry.kind](info.st_mode), name
            if entry.kind == "file":
                assert (root / name).read_bytes() == content
            if entry.kind == "symlink":
                assert os.readlink(root / name) == os.fsdecode(entry.target)
            if entry.kind in ("file", "dir"):
                assert stat.S_IMODE(info.st_mode) == entry.mode, name
                assert (info.st_uid, info.st_gid) == (entry.uid, entry.gid), name
                assert info.st_mtime_ns // 10**9 == entry.mtime_s or entry.kind == "dir", name
    unpacked = {str(path.relative_to(root)) for path in root.rglob("*")}
    assert unpacked == names - {"", "."}


def test_a_directory_is_the_tar_that_gnu_tar_would_extract(busybox_rootfs: Path, tmp_path: Path) -> None:
    with opened(f"dir:{busybox_rootfs}") as image:
        stream = image.layers[0].open_stored()
        tar = tmp_path / "layer.tar"
        with tar.open("wb") as file:
            while data := stream.read(1 << 20):
                file.write(data)
        assert digest(tar.read_bytes()) == image.layers[0].diff_id
    out = tmp_path / "out"
    out.mkdir()
    images.run(["tar", "-xpf", tar, "-C", out])
    images.run(["diff", "--no-dereference", "-r", busybox_rootfs, out])
    assert (out / "tmp").stat().st_mode & 0o7777 == 0o1777


def test_a_directory_keeps_hard_links_and_skips_sockets(tmp_path: Path) -> None:
    import socket

    root = tmp_path / "root"
    root.mkdir()
    (root / "b").write_text("content")
    os.link(root / "b", root / "a")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        with opened(f"dir:{root}") as image, PlainLayer(image.layers[0]) as stream:
            kinds = {entry.path: (entry.kind, entry.target) for entry in TarReader(stream, "test")}
    assert kinds == {b"./": ("dir", b""), b"a": ("file", b""), b"b": ("hardlink", b"a")}


def test_picks_linux_amd64_from_nested_indexes(tmp_path: Path) -> None:
    Layout([hello()]).write(tmp_path)
    index = json.loads((tmp_path / "index.json").read_text())
    ours = index["manifests"][0]
    ours["platform"] = {"os": "linux", "architecture": "amd64"}
    other = {**ours, "digest": "sha256:" + "0" * 64, "platform": {"os": "linux", "architecture": "arm64"}}
    nested = json.dumps({"schemaVersion": 2, "manifests": [other, ours]}).encode()
    (tmp_path / "blobs/sha256" / hashlib.sha256(nested).hexdigest()).write_bytes(nested)
    outer = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest(nested), "size": len(nested)}
    (tmp_path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [outer]}))
    with opened(f"oci:{tmp_path}") as image:
        assert image.digest == ours["digest"]

    nested = json.dumps({"schemaVersion": 2, "manifests": [other]}).encode()
    outer |= {"digest": digest(nested), "size": len(nested)}
    (tmp_path / "blobs/sha256" / hashlib.sha256(nested).hexdigest()).write_bytes(nested)
    (tmp_path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [outer]}))
    with pytest.raises(ImageError, match=r"no linux/amd64 variant; it has: linux/arm64"):
        opened(f"oci:{tmp_path}")


def test_a_tag_must_exist_and_is_needed_among_several(tmp_path: Path) -> None:
    Layout([hello()]).write(tmp_path, "one")
    with pytest.raises(ImageError, match="there is no image 'two'; it has: one"):
        opened(f"oci:{tmp_path}:two")
    first = json.loads((tmp_path / "index.json").read_text())["manifests"][0]
    Layout([hello()], config={"Entrypoint": ["/x"]}).write(tmp_path, "two")
    index = json.loads((tmp_path / "index.json").read_text())
    index["manifests"].append(first)
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(ImageError, match="several images; name one: one, two"):
        opened(f"oci:{tmp_path}")
    assert opened(f"oci:{tmp_path}:two").config.entrypoint == ["/x"]


def test_writing_into_a_layout_replaces_only_its_own_tag(tmp_path: Path) -> None:
    source = Layout([hello()]).write(tmp_path / "source")
    target = tmp_path / "target"
    with opened(source) as image:
        for tag, config in (("a", b"{}"), ("b", b"{}"), ("a", b'{"x":1}')):
            write_image(Reference("oci", target, tag), OutputImage(config, image.layers, [0]))
    index = json.loads((target / "index.json").read_text())
    assert [item["annotations"]["org.opencontainers.image.ref.name"] for item in index["manifests"]] == ["b", "a"]
    assert sorted(path.name for path in target.iterdir()) == ["blobs", "index.json", "oci-layout"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("debian", "not an image reference"),
        ("docker://debian", "not an image reference"),
        ("oci:", "the path is missing"),
        ("oci:x:a b", "not a valid image name"),
        ("docker-archive:x:UPPER", "not a valid image name"),
    ],
)
def test_bad_references_say_how_to_write_them(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_reference(text)
    assert caught.value.remedy
    with pytest.raises(UsageError, match="cannot be used here"):
        parse_reference("dir:/", ("oci",))
