"""``casemate build``: what comes out, that it is the same every time, and what it costs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from casemate._core import Index
from casemate.image.build import BuildOptions, BuildResult, build
from casemate.image.layers import PlainLayer
from casemate.image.references import parse_reference
from casemate.image.shielded import read_bundle
from casemate.image.sources import open_source
from casemate.image.tarstream import TarReader
from tests import images
from tests.image.builder import ELF, Layout, entry, hello, tar

pytestmark = pytest.mark.usefixtures("cache", "runtime_files")


def shield(source: str, target: str, **options: Any) -> BuildResult:
    return build(parse_reference(source), parse_reference(target), BuildOptions(**options))


def bundle_of(reference: str) -> tuple[dict[str, Any], Index]:
    with open_source(parse_reference(reference)) as image:
        files = read_bundle(image)
    manifest = json.loads(files["manifest.json"])
    return manifest, Index.from_bytes(files["index"], bytes.fromhex(manifest["index"]["root"]))


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "docker-archive"])
def test_keeps_the_layers_and_adds_one(debian_image: str, tmp_path: Path, transport: str) -> None:
    target = f"{transport}:{tmp_path}/out:x"
    result = shield(debian_image, target)
    with open_source(parse_reference(debian_image)) as before, open_source(parse_reference(target)) as after:
        assert [layer.diff_id for layer in after.layers[:-1]] == [layer.diff_id for layer in before.layers]
        if transport != "docker-archive":
            assert [layer.descriptor for layer in after.layers[:-1]] == [layer.descriptor for layer in before.layers]
        kept = {**before.config.raw["config"]}
        made = {**after.config.raw["config"]}
        assert made.pop("Entrypoint") == ["/casemate/casemate-host"]
        labels = made.pop("Labels")
        kept.pop("Entrypoint")
        kept.pop("Cmd")
        assert kept == made
        assert labels["io.casemate.source.digest"] == before.digest
        assert labels["io.casemate.manifest.digest"] == result.manifest_digest
    assert result.layer_size <= 12_000_000


def test_the_layer_holds_what_the_runtime_needs_and_nothing_else(tmp_path: Path) -> None:
    target = f"oci:{tmp_path}/out"
    shield(Layout([hello()]).write(tmp_path / "in"), target)
    with open_source(parse_reference(target)) as image, PlainLayer(image.layers[-1]) as stream:
        reader = TarReader(stream, "test")
        entries = [(entry, b"".join(reader.content())) for entry in reader]
    assert [(each.path, each.mode) for each, _ in entries] == [
        (b"casemate/", 0o755),
        (b"casemate/casemate-host", 0o755),
        (b"casemate/enclave", 0o755),
        (b"casemate/index", 0o644),
        (b"casemate/manifest.json", 0o644),
        (b"casemate/measured", 0o644),
    ]
    assert all((each.uid, each.gid, each.mtime_s, each.mtime_ns) == (0, 0, 0, 0) for each, _ in entries)
    manifest, measured = entries[4][1], entries[5][1]
    assert measured == b"CSMTMEAS" + bytes([1, 0, 0, 0, 0, 0, 0, 0]) + hashlib.sha256(manifest).digest() + bytes(16)
    assert manifest == json.dumps(json.loads(manifest), sort_keys=True, separators=(",", ":")).encode() + b"\n"


def test_the_index_is_the_tree_that_tar_unpacks(debian_image: str, debian_rootfs: Path, tmp_path: Path) -> None:
    target = f"oci:{tmp_path}/out"
    shield(debian_image, target)
    manifest, index = bundle_of(target)
    assert manifest["program"] == "/usr/bin/python3"
    assert manifest["argv"] == ["/usr/bin/python3", "-c", "print('hello')"]
    seen = {os.fsdecode(path).lstrip("/"): info for path, info in index.walk()}
    on_disk = {str(path.relative_to(debian_rootfs)): path for path in debian_rootfs.rglob("*")}
    on_disk = {name: path for name, path in on_disk.items() if not name.startswith("dev/")}
    assert {name for name in seen if name and not name.startswith("dev/")} == set(on_disk)
    for name, path in on_disk.items():
        info, stat = seen[name], path.lstat()
        assert info.mode == stat.st_mode & 0o7777 or info.kind == "symlink", name
        assert (info.uid, info.gid, info.mtime) == (stat.st_uid, stat.st_gid, stat.st_mtime_ns // 10**9), name
        if info.kind == "file":
            assert (info.size, info.nlink) == (stat.st_size, stat.st_nlink), name
        if info.kind == "symlink":
            assert info.target == os.fsencode(path.readlink()), name


def test_digests_in_the_index_are_fs_verity_digests(busybox_image: str, busybox_rootfs: Path, tmp_path: Path) -> None:
    if shutil.which("fsverity") is None:
        pytest.skip("fsverity is not installed")
    shield(busybox_image, f"oci:{tmp_path}/out")
    _, index = bundle_of(f"oci:{tmp_path}/out")
    said = images.run(["fsverity", "digest", "--compact", busybox_rootfs / "bin/busybox"]).strip()
    info = index.lookup(b"/bin/ls")
    assert info is not None
    assert info.digest is not None
    assert info.digest.hex() == said


def test_upper_layers_change_lower_ones(tmp_path: Path) -> None:
    lower = tar(
        entry("a", tarfile.DIRTYPE), (entry("a/gone"), b"1"), (entry("a/kept"), b"22"),
        entry("b", tarfile.DIRTYPE), (entry("b/hidden"), b"3"), (entry("hello"), ELF), (entry("old"), b"1"),
    )  # fmt: skip
    upper = tar(
        entry("a", tarfile.DIRTYPE, mode=0o700), entry("a/.wh.gone"), entry("b", tarfile.DIRTYPE),
        entry("b/.wh..wh..opq"), (entry("b/new"), b"4444"), entry("link", tarfile.LNKTYPE, linkname="hello"),
        entry(".wh.old"), (entry("/abs/./x/../deep"), b"55555"),
    )  # fmt: skip
    for number, compression in enumerate(("none", "gzip", "zstd")):
        layers = [lower, upper] if number else [lower, tar(entry("abs", tarfile.DIRTYPE)), upper]
        shield(Layout(layers, compression).write(tmp_path / f"in{number}"), f"oci:{tmp_path}/out{number}")
        _, index = bundle_of(f"oci:{tmp_path}/out{number}")
        paths = {path.decode(): info for path, info in index.walk()}
        assert set(paths) == {"/", "/a", "/a/kept", "/b", "/b/new", "/hello", "/link", "/abs", "/abs/deep"}
        assert paths["/a"].mode == 0o700
        assert paths["/link"].inode == paths["/hello"].inode
        assert paths["/abs/deep"].size == 5


def test_scratch_musl_and_directory_images(
    go_image: str, busybox_image: str, busybox_rootfs: Path, tmp_path: Path
) -> None:
    for number, source in enumerate((go_image, busybox_image)):
        result = shield(source, f"oci:{tmp_path}/out:{number}")
        # Bound by the runtime, not by the image.
        assert result.layer_size < 12_000_000
    with pytest.raises(Exception, match="neither Entrypoint nor Cmd"):
        shield(f"dir:{busybox_rootfs}", f"oci:{tmp_path}/out:dir")


def test_links_blobs_only_where_nobody_else_can_change_them(tmp_path: Path) -> None:
    for name, mode, links in (("own", 0o644, 2), ("shared", 0o664, 1)):
        source = Layout([hello()]).write(tmp_path / name)
        with open_source(parse_reference(source)) as image:
            blob = image.layers[0].file
            assert blob is not None
            blob.chmod(mode)
        shield(source, f"oci:{tmp_path}/out-{name}")
        assert blob.stat().st_nlink == links


REPRODUCIBLE = (
    {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1", "UMASK": "022"},
    {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "77", "UMASK": "077", "PYTHONUTF8": "0"},
)
_SCRIPT = """
import os, sys
os.umask(int(os.environ["UMASK"], 8))
from pathlib import Path
from casemate.loader import files
files.RUNTIME_DIRECTORY = Path(sys.argv[1])
from casemate.image.build import build, BuildOptions
from casemate.image.references import parse_reference
print(build(parse_reference(sys.argv[2]), parse_reference(sys.argv[3]), BuildOptions()).digest)
"""


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "docker-archive"])
def test_the_same_inputs_give_the_same_bytes(
    busybox_image: str, tmp_path: Path, transport: str, runtime_directory: Path
) -> None:
    """Another time, zone, locale, umask, hash seed, cache state and order of directory entries."""
    layout = Path(busybox_image.removeprefix("oci:").removesuffix(":latest"))
    outputs = []
    for number, environment in enumerate(REPRODUCIBLE):
        copy = tmp_path / f"source{number}"
        shutil.copytree(layout, copy)
        if number:  # the same blobs, made in another order
            blobs = list((copy / "blobs/sha256").iterdir())
            for blob in reversed(blobs):
                data = blob.read_bytes()
                blob.unlink()
                blob.write_bytes(data)
        target = tmp_path / f"out{number}"
        cache = {"XDG_CACHE_HOME": str(tmp_path / f"cache{number}")}
        Path(cache["XDG_CACHE_HOME"]).mkdir()
        command = [sys.executable, "-c", _SCRIPT, runtime_directory, f"oci:{copy}:latest", f"{transport}:{target}:x"]
        digest = images.run(command, env={"PATH": os.environ["PATH"], **environment, **cache}).strip()
        data = target.read_bytes() if target.is_file() else (target / "index.json").read_bytes()
        outputs.append((digest, hashlib.sha256(data).hexdigest()))
    assert outputs[0] == outputs[1]


def test_a_directory_gives_the_same_layer_in_any_order(tmp_path: Path) -> None:
    digests = set()
    for number, names in enumerate((["a", "b", "c"], ["c", "b", "a"])):
        root = tmp_path / f"root{number}"
        root.mkdir()
        for name in names:
            (root / name).write_bytes(ELF)
            (root / name).chmod(0o755)
            os.utime(root / name, (1, 1))
        root.chmod(0o755)
        os.utime(root, (1, 1))
        with open_source(parse_reference(f"dir:{root}")) as image:
            digests.add(image.digest)
    assert len(digests) == 1


def test_the_second_build_reads_layers_from_the_cache(debian_image: str, tmp_path: Path) -> None:
    first = shield(debian_image, f"oci:{tmp_path}/one")
    second = shield(debian_image, f"oci:{tmp_path}/two")
    assert (first.cached_layers, second.cached_layers) == (0, 1)
    assert first.digest == second.digest


def test_memory_does_not_grow_with_the_image(tmp_path: Path, runtime_directory: Path) -> None:
    """600 MB of content, of it one file of 500 MB, in less than 200 MB."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "hello").write_bytes(ELF)
    (root / "hello").chmod(0o755)
    block = os.urandom(1 << 20)
    for name, count in (("big", 500), ("other", 100)):
        with (root / name).open("wb") as file:
            for _ in range(count):
                file.write(block)
    layer = tmp_path / "layer.tar"
    images.run(["tar", "-cf", layer, "-C", root, "."])
    source = Layout([layer.read_bytes()], "none").write(tmp_path / "in")
    # Not ru_maxrss, which a process takes over from the one that started it.
    script = _SCRIPT + "\nprint(next(line for line in open('/proc/self/status') if 'VmHWM' in line))"
    command = [sys.executable, "-c", script, str(runtime_directory), source, f"oci-archive:{tmp_path}/out"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"UMASK": "022"})
    assert int(done.stdout.split()[-2]) < 200 * 1024
