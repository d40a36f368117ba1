"""docs/formats/index.md is true: a reader written from its tables alone finds in real indexes what lies in the image."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate._core import verity_digest
from casemate.image.build import BuildOptions, build
from casemate.image.references import parse_reference
from casemate.image.shielded import INDEX, LABEL_INDEX, read_bundle
from casemate.image.sources import open_source
from tests.image.builder import Layout, entry, hello, tar

DOCUMENT = Path(__file__).parents[2] / "docs/formats/index.md"
BLOCK, DIGEST = 4096, 32
SECTIONS = ("inodes", "entries", "names", "hashes", "sites", "auxiliary")

Fields = dict[str, tuple[int, int]]


def tables() -> dict[str, Fields]:
    """Offset and size of each field, by the heading above the table."""
    found: dict[str, Fields] = {}
    heading = ""
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0].isdigit():
            found.setdefault(heading, {})[cells[2]] = (int(cells[0]), int(cells[1]))
    return found


TABLES = tables()
# Records of the sections and the descriptor are these long.
LENGTHS = {"Header": 128, "Inode": 128, "Entry": 16, "Site": 8, "Auxiliary": 6, "Merkle tree and root digest": 256}


def record(kind: str, data: bytes, at: int) -> dict[str, int]:
    """The fields of one record; digests as numbers too."""
    return {
        name: int.from_bytes(data[at + offset : at + offset + size], "little")
        for name, (offset, size) in TABLES[kind].items()
    }


class Reader:
    """An index, by the document."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.header = record("Header", data, 0)

    def inode(self, number: int) -> dict[str, int]:
        return record("Inode", self.data, self.header["inodes offset"] + 128 * (number - 1))

    def entries(self, directory: dict[str, int]) -> Iterator[tuple[bytes, dict[str, int]]]:
        for number in range(directory["position"], directory["position"] + directory["count"]):
            found = record("Entry", self.data, self.header["entries offset"] + 16 * number)
            at = self.header["names offset"] + found["name offset"]
            assert at // BLOCK == (at + found["name length"] - 1) // BLOCK, "a name crosses no edge"
            yield self.data[at : at + found["name length"]], found

    def auxiliary(self, offset: int, length: int) -> bytes:
        assert offset + length <= self.header["auxiliary length"]
        at = self.header["auxiliary offset"] + offset
        return self.data[at : at + length]

    def xattrs(self, inode: dict[str, int]) -> dict[str, bytes]:
        data = self.auxiliary(inode["xattrs offset"], inode["xattrs length"])
        found, at = {}, 0
        while at < len(data):
            lengths = record("Auxiliary", data, at)
            name_end = at + 6 + lengths["name length"]
            found[data[at + 6 : name_end].decode()] = data[name_end : name_end + lengths["value length"]]
            at = name_end + lengths["value length"]
        assert list(found) == sorted(found)
        return found

    def hashes(self, inode: dict[str, int]) -> list[bytes]:
        count = 0 if inode["size"] <= BLOCK else -(-inode["size"] // BLOCK)
        at = self.header["hashes offset"] + DIGEST * inode["position"]
        return [self.data[at + DIGEST * i : at + DIGEST * (i + 1)] for i in range(count)]

    def sites(self, inode: dict[str, int]) -> list[dict[str, int]]:
        at = self.header["sites offset"] + 8 * inode["first"]
        return [record("Site", self.data, at + 8 * i) for i in range(inode["count"])]

    def walk(self, number: int = 1, path: str = "") -> Iterator[tuple[str, int, dict[str, int]]]:
        inode = self.inode(number)
        yield path or "/", number, inode
        if stat.S_ISDIR(inode["mode"]):
            names = [name for name, _ in self.entries(inode)]
            assert names == sorted(names)
            for name, found in self.entries(inode):
                child = self.inode(found["inode"])
                assert found["kind"] == child["mode"] >> 12
                if stat.S_ISDIR(child["mode"]):
                    assert child["first"] == number
                    assert found["inode"] > number
                yield from self.walk(found["inode"], f"{path}/{os.fsdecode(name)}")

    def root_digest(self) -> bytes:
        """From the tree as it is stored, every level of which is checked."""
        blocks = self.header["body blocks"]
        levels = [[hashlib.sha256(self.data[i * BLOCK : (i + 1) * BLOCK]).digest() for i in range(blocks)]]
        while len(levels[-1]) > 1:
            below = b"".join(levels[-1])
            padded = below + bytes(-len(below) % BLOCK)
            levels.append([hashlib.sha256(padded[i : i + BLOCK]).digest() for i in range(0, len(padded), BLOCK)])
        stored = b""
        for level in reversed(levels[:-1]):
            joined = b"".join(level)
            stored += joined + bytes(-len(joined) % BLOCK)
        assert self.data[blocks * BLOCK :] == stored
        descriptor = bytearray(256)
        values = {"version": 1, "hash algorithm": 1, "log block size": 12, "data size": blocks * BLOCK}
        for name, value in values.items():
            offset, size = TABLES["Merkle tree and root digest"][name]
            descriptor[offset : offset + size] = value.to_bytes(size, "little")
        offset, size = TABLES["Merkle tree and root digest"]["root hash"]
        descriptor[offset : offset + size] = levels[-1][0]
        return hashlib.sha256(descriptor).digest()


def shield(source: str, place: Path) -> tuple[Reader, str]:
    """The index of an image, and the root digest in the image's label."""
    target = parse_reference(f"oci:{place}/shielded:x")
    build(parse_reference(source), target, BuildOptions())
    with open_source(target) as image:
        return Reader(read_bundle(image)[INDEX]), image.config.labels[LABEL_INDEX]


def check_file(reader: Reader, inode: dict[str, int], content: bytes) -> None:
    assert inode["size"] == len(content)
    assert inode["digest"].to_bytes(DIGEST, "little") == verity_digest(content)
    for number, found in enumerate(reader.hashes(inode)):
        block = content[number * BLOCK : (number + 1) * BLOCK]
        assert found == hashlib.sha256(block + bytes(-len(block) % BLOCK)).digest()
    offsets = []
    for site in reader.sites(inode):
        at = site["file offset"] + site["before"]
        assert content[at : at + 2] == b"\x0f\x05"
        least = {0: 0, 1: max(5, site["before"]), 2: max(5, site["before"] + 2)}[site["kind"]]
        assert site["patch length"] >= least
        offsets.append(site["file offset"])
    assert offsets == sorted(offsets)


@pytest.mark.parametrize(("heading", "length"), list(LENGTHS.items()))
def test_the_tables_leave_no_byte_out(heading: str, length: int) -> None:
    end = 0
    section = DOCUMENT.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0].isdigit():
            assert int(cells[0]) == end
            end += int(cells[1])
    assert end == length


def test_the_index_of_debian_holds_what_the_tree_holds(
    debian_image: str, debian_rootfs: Path, tmp_path: Path, runtime_files: None
) -> None:
    reader, label = shield(debian_image, tmp_path)
    assert reader.data[:8] == b"CSMTINDX"
    assert label == reader.root_digest().hex()
    seen, links, sites = set(), 0, 0
    for path, number, inode in reader.walk():
        seen.add(number)
        if path.startswith("/dev/") or path == "/":  # not unpacked; the directory's own root belongs to the test
            continue
        real = debian_rootfs / path[1:]
        facts = real.lstat()
        assert inode["mode"] == facts.st_mode, path
        if stat.S_ISREG(inode["mode"]):
            check_file(reader, inode, real.read_bytes())
            sites += inode["count"]
        elif stat.S_ISLNK(inode["mode"]):
            assert os.fsdecode(reader.auxiliary(inode["position"], inode["size"])) == os.readlink(real)
            links += 1
            continue
        assert (inode["nlink"], inode["mtime"]) == (facts.st_nlink, int(facts.st_mtime)) or path == "/dev", path
    assert seen == set(range(1, reader.header["inode count"] + 1))
    assert links > 50
    assert sites > 500


def test_devices_attributes_owners_and_sections_are_where_the_document_says(
    tmp_path: Path, runtime_files: None
) -> None:
    layer = tar(
        entry("null", b"3", devmajor=1, devminor=3, mode=0o666),
        (entry("owned", uid=70_000, gid=70_001, mtime=-5, pax_headers={"SCHILY.xattr.user.b": "two",
                                                                      "SCHILY.xattr.user.a": "1"}), b"x" * 9000),
        entry("again", b"1", linkname="owned"),
    )  # fmt: skip
    reader, _ = shield(Layout([hello(), layer]).write(tmp_path / "in"), tmp_path)
    found = {path: (number, inode) for path, number, inode in reader.walk()}
    null = found["/null"][1]
    assert (null["mode"], null["device major"], null["device minor"]) == (stat.S_IFCHR | 0o666, 1, 3)
    owned = found["/owned"][1]
    assert (owned["uid"], owned["gid"], owned["nlink"]) == (70_000, 70_001, 2)
    assert owned["mtime"] == (-5) % (1 << 64)
    assert reader.xattrs(owned) == {"user.a": b"1", "user.b": b"two"}
    assert found["/again"][0] == found["/owned"][0]
    check_file(reader, owned, b"x" * 9000)
    at = BLOCK
    for section in SECTIONS:
        assert reader.header[f"{section} offset"] == at
        at += -(-reader.header[f"{section} length"] // BLOCK) * BLOCK
    assert at == reader.header["body blocks"] * BLOCK
