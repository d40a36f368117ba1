"""The tar reader agrees with GNU tar and Python's own on what is sound, and stops at what is not."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.errors import ImageError
from casemate.image.tarstream import TarEntry, TarReader
from casemate.image.tarwrite import END, header, padding

NAME = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=60).filter(
    lambda name: name not in (".", "..")
)
PATH = st.lists(NAME, min_size=1, max_size=5).map("/".join)


def read(data: bytes) -> list[tuple[TarEntry, bytes]]:
    reader = TarReader(io.BytesIO(data), "test")
    found = [(entry, b"".join(reader.content())) for entry in reader]
    reader.read_rest()
    return found


def made_by_tarfile(members: list[tuple[tarfile.TarInfo, bytes]], tar_format: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tar_format) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


@settings(max_examples=150, deadline=None)
@given(
    tar_format=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    members=st.lists(
        st.tuples(
            PATH,
            st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]),
            PATH,
            st.integers(0, 0o7777),
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**33),
            st.binary(max_size=2000),
        ),
        max_size=6,
    ),
)
def test_reads_what_pythons_tarfile_writes(tar_format: int, members: list[tuple]) -> None:  # type: ignore[type-arg]
    infos = []
    for name, kind, target, mode, owner, mtime, content in members:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode, info.uid, info.gid, info.mtime = kind, "", mode, owner, owner, mtime
        if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            info.linkname = target
        infos.append((info, content if kind == tarfile.REGTYPE else b""))
    found = read(made_by_tarfile(infos, tar_format))
    assert len(found) == len(infos)
    kinds = {b"0": "file", b"5": "dir", b"2": "symlink", b"1": "hardlink", b"6": "fifo"}
    for (info, content), (entry, data) in zip(infos, found, strict=True):
        assert entry.path.rstrip(b"/").decode() == info.name
        assert (entry.kind, entry.mode, entry.uid, entry.mtime_s) == (kinds[info.type], info.mode, info.uid, info.mtime)
        assert (entry.target.decode(), data) == (info.linkname, content)


ENTRY = st.builds(
    TarEntry,
    path=st.lists(st.binary(min_size=1, max_size=80).filter(lambda b: b"\0" not in b and b"/" not in b), min_size=1, max_size=4).map(b"/".join),
    kind=st.sampled_from(["file", "dir", "symlink", "hardlink", "char", "block", "fifo"]),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**32 - 1),
    gid=st.integers(0, 2**32 - 1),
    mtime_s=st.integers(-(2**40), 2**40),
    mtime_ns=st.just(0),
    size=st.integers(0, 2000),
    target=st.binary(min_size=1, max_size=300).filter(lambda b: b"\0" not in b),
    dev_major=st.integers(0, 2**21 - 1),
    dev_minor=st.integers(0, 2**21 - 1),
    xattrs=st.dictionaries(st.just(b"user.name"), st.binary(max_size=40), max_size=1),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(ENTRY, max_size=5))
def test_reads_back_what_we_write(entries: list[TarEntry]) -> None:
    data = b""
    for entry in entries:
        entry.size = entry.size if entry.kind == "file" else 0
        entry.stored = entry.size
        entry.target = entry.target if entry.kind in ("symlink", "hardlink") else b""
        if entry.kind not in ("char", "block"):
            entry.dev_major = entry.dev_minor = 0
        data += header(entry) + b"x" * entry.size + padding(entry.size)
    found = [entry for entry, _ in read(data + END)]
    for entry in found:
        entry.path = entry.path.removesuffix(b"/") if entry.kind == "dir" else entry.path
    assert found == entries


@pytest.mark.parametrize("second", [b"nolength\n", b"0 a=b\n", b" a=b\n", b"-5 a=b\n", b"6 a=b\n\n", b"99 a=b\n"])
def test_a_pax_record_without_a_true_length_is_refused(second: bytes) -> None:
    records = b"12 key=val1\n" + second
    info = tarfile.TarInfo("PaxHeaders/x")
    info.type, info.size = b"x", len(records)
    data = info.tobuf(tarfile.USTAR_FORMAT) + records.ljust(512, b"\0") + tarfile.TarInfo("file").tobuf() + END
    with pytest.raises(ImageError, match="PAX record is malformed"):
        read(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 4000), st.binary(min_size=1, max_size=8))
def test_any_bytes_end_in_entries_or_an_image_error(noise: bytes, at: int, change: bytes) -> None:
    info = tarfile.TarInfo("some/" + "long/" * 40 + "name")
    info.pax_headers = {"SCHILY.xattr.user.a": "b", "mtime": "12.5"}
    good = bytearray(made_by_tarfile([(info, b"content" * 99)], tarfile.PAX_FORMAT))
    good[at : at + len(change)] = change
    for data in (noise, bytes(good)):
        with suppress(ImageError):
            read(data)


@pytest.mark.parametrize("sparse", ["gnu", "0.0", "0.1", "1.0"])
def test_reads_sparse_files_in_every_format_of_gnu_tar(tmp_path: Path, sparse: str) -> None:
    path = tmp_path / "holes"
    with path.open("wb") as file:
        for number in range(40):  # more segments than one header and one extension block hold
            file.seek(number * 131072 + 65536)
            file.write(b"%d" % number * 100)
        file.truncate(41 * 131072)
    style = ["--format=gnu"] if sparse == "gnu" else ["--format=pax", f"--sparse-version={sparse}"]
    command = ["tar", "-C", str(tmp_path), "-cSf", "-", *style, "holes"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    ((entry, content),) = read(data)
    assert entry.path == b"holes"
    assert len(data) < 1 << 20 < entry.size
    assert entry.stored < entry.size
    assert content == path.read_bytes()


def test_reads_extended_attributes_and_fractions_of_seconds(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    os.utime(path, ns=(0, 1_500_000_000_123_456_789))
    try:
        os.setxattr(path, "user.note", b"\x00\xff=\n")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    command = ["tar", "-C", str(tmp_path), "--xattrs", "--format=pax", "-cf", "-", "file"]
    ((entry, _),) = read(subprocess.run(command, check=True, capture_output=True).stdout)
    assert entry.xattrs[b"user.note"] == b"\x00\xff=\n"
    assert (entry.mtime_s, entry.mtime_ns) == (1_500_000_000, 123_456_789)


def test_ignores_global_headers_as_go_does() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", pax_headers={"uid": "77", "comment": "x"}) as archive:
        archive.addfile(tarfile.TarInfo("name"))
    ((entry, _),) = read(out.getvalue())
    assert entry.uid == 0


def test_a_bad_header_in_the_middle_is_no_end_of_the_archive() -> None:
    members = [(tarfile.TarInfo("one"), b"1"), (tarfile.TarInfo("two"), b"2")]
    data = bytearray(made_by_tarfile(members, tarfile.USTAR_FORMAT))
    data[1024 + 5] ^= 1
    with pytest.raises(ImageError, match=r"checksum is wrong \(at byte 1536"):
        read(bytes(data))


@pytest.mark.parametrize("keep", [100, 512 + 10, 1024 + 100])
def test_truncation_is_named(keep: int) -> None:
    data = made_by_tarfile([(tarfile.TarInfo("one"), b"1" * 600), (tarfile.TarInfo("two"), b"")], tarfile.USTAR_FORMAT)
    with pytest.raises(ImageError, match="truncated"):
        read(data[:keep])


def test_huge_extended_headers_are_refused_before_they_are_read() -> None:
    block = bytearray(header(TarEntry(b"x", "file", 0, 0, 0, 0, 0, size=7 << 30)))
    block[156:157] = b"x"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    with pytest.raises(ImageError, match="PAX header has 7516192768 bytes"):
        read(bytes(block))


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "5"}, "sparse map"),
        ({"GNU.sparse.map": "10,2,0,2", "GNU.sparse.size": "20"}, "not in order"),
        ({"GNU.sparse.map": "0,9999", "GNU.sparse.size": "20"}, "does not fit"),
        ({"GNU.sparse.map": "0", "GNU.sparse.size": "20"}, "does not fit"),
        ({"size": "-4"}, "PAX record 'size'"),
        ({"mtime": "1e9"}, "PAX record mtime"),
    ],
)
def test_hostile_records_are_refused(records: dict[str, str], message: str) -> None:
    info = tarfile.TarInfo("name")
    info.pax_headers = records
    with pytest.raises(ImageError, match=message):
        read(made_by_tarfile([(info, b"abcd")], tarfile.PAX_FORMAT))
