"""Scanning layers: each once, into a ``LayerTable`` and the few facts that the manifest needs.

A scanned layer is cached under its diff ID. The cache only saves work: an entry that is damaged, or that
was not made from the very blob at hand, is made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from casemate import __version__
from casemate._core import SURVEY_VERSION, FileHasher, FileSummary, IndexFormatError, LayerTable
from casemate.errors import ImageError
from casemate.image.cachedir import cache_directory, replace_file
from casemate.image.layers import LimitError, Limits, PlainLayer
from casemate.image.programs import HEAD_BYTES, Program, read_program
from casemate.image.sources import Layer
from casemate.image.tarstream import TarEntry, TarReader

# Changes whenever this module would derive something else from the same layer.
FACTS_VERSION = 1
# Files whose content the manifest's derivation asks for.
KEPT_FILES = (b"etc/passwd", b"etc/group")
MAX_KEPT_BYTES = 1 << 20
_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_AUFS = b".wh..wh."

Progress = Callable[[int], None]
"""Told how many more bytes of plain tar were read."""


@dataclass(slots=True)
class LayerFacts:
    """What is known of a layer beside its table. Contents are keyed by fs-verity digest (hex)."""

    plain_size: int = 0
    """Bytes of the plain tar."""
    unpacked_size: int = 0
    """Plain tar and the holes of sparse files: what counts against the limit."""
    entries: int = 0
    blobs: list[str] = field(default_factory=list)
    """Digests of stored blobs that are known to unpack to this layer."""
    programs: dict[str, Program] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class ScannedLayer:
    layer: Layer
    table: LayerTable
    facts: LayerFacts
    cached: bool


def scan_layer(
    layer: Layer, limits: Limits, progress: Progress = lambda _size: None, *, fill_cache: bool = True
) -> ScannedLayer:
    """The layer's table and facts, from the cache where it has them."""
    cache = _cache_file(layer, make=fill_cache)
    known = _read_cache(cache) if cache else None
    if known is not None and layer.descriptor.digest in known[1].blobs:
        table, facts = known
        limits.spend(layer.where, size=facts.unpacked_size, entries=facts.entries)
        progress(facts.plain_size)
        return ScannedLayer(layer, table, facts, cached=True)
    table, facts = _scan(layer, limits, progress)
    facts.blobs = sorted({layer.descriptor.digest, *(known[1].blobs if known else ())})
    if cache and fill_cache:
        _write_cache(cache, table, facts)
    return ScannedLayer(layer, table, facts, cached=False)


# --- Reading a layer ------------------------------------------------------------------------------------


class _Counting:
    """Counts what passes against the limits, before anything is done with it."""

    def __init__(self, stream: PlainLayer, limits: Limits, where: str, progress: Progress) -> None:
        self._stream = stream
        self._limits = limits
        self._where = where
        self._progress = progress
        self.total = 0

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self.total += len(data)
        self._limits.spend(self._where, size=len(data))
        self._progress(len(data))
        return data

    def close(self) -> None:
        self._stream.close()


def _scan(layer: Layer, limits: Limits, progress: Progress) -> tuple[LayerTable, LayerFacts]:
    table = LayerTable(layer.descriptor.digest)
    facts = LayerFacts()
    with PlainLayer(layer) as plain:
        stream = _Counting(plain, limits, layer.where, progress)
        reader = TarReader(stream, layer.where)
        try:
            holes = _read_entries(table, facts, reader, limits, layer.where)
        except LimitError:
            raise
        except ImageError:
            # When the bytes are not those that were meant, that is the better explanation.
            reader.read_rest()
            raise
        facts.plain_size = stream.total
        facts.unpacked_size = stream.total + holes
    return table, facts


def _read_entries(table: LayerTable, facts: LayerFacts, reader: TarReader, limits: Limits, where: str) -> int:
    """Fills table and facts to the verified end of the layer; returns the bytes that are holes of sparse files."""
    holes = 0
    for entry in reader:
        facts.entries += 1
        hole = entry.size - entry.stored
        limits.spend(where, size=hole, entries=1)
        holes += hole
        try:
            _add(table, facts, entry, reader, where)
        except IndexFormatError as error:
            raise ImageError(str(error), where=where, remedy="refuse the image or rebuild it") from None
    reader.read_rest()
    return holes


def _add(table: LayerTable, facts: LayerFacts, entry: TarEntry, reader: TarReader, where: str) -> None:
    path = clean_path(entry.path, where)
    parent, _, name = path.rpartition(b"/")
    if name.startswith(_WHITEOUT):
        _add_whiteout(table, parent, name, where)
        return
    owner = {"uid": entry.uid, "gid": entry.gid}
    mtime, mtime_ns, xattrs = entry.mtime_s, entry.mtime_ns, entry.xattrs or None
    if entry.kind == "file":
        summary = _hash(path, facts, entry, reader)
        table.add_file(path, summary, mode=entry.mode, mtime=mtime, mtime_ns=mtime_ns, xattrs=xattrs, **owner)
    elif entry.kind == "dir":
        table.add_directory(path, mode=entry.mode, mtime=mtime, mtime_ns=mtime_ns, xattrs=xattrs, **owner)
    elif entry.kind == "symlink":
        table.add_symlink(path, entry.target, mtime=mtime, mtime_ns=mtime_ns, xattrs=xattrs, **owner)
    elif entry.kind == "hardlink":
        table.add_hardlink(path, clean_path(entry.target, where))
    else:
        table.add_device(
            path,
            "char" if entry.kind == "char" else "block" if entry.kind == "block" else "fifo",
            mode=entry.mode,
            mtime=mtime,
            mtime_ns=mtime_ns,
            major=entry.dev_major,
            minor=entry.dev_minor,
            xattrs=xattrs,
            **owner,
        )


def _hash(path: bytes, facts: LayerFacts, entry: TarEntry, reader: TarReader) -> FileSummary:
    """The file's summary; of programs the head is looked at, of a few small files the content is kept."""
    hasher = FileHasher(entry.size)
    keep = MAX_KEPT_BYTES if path in KEPT_FILES else HEAD_BYTES if entry.mode & 0o111 else 0
    head = b""
    for piece in reader.content():
        if len(head) < keep:
            head += bytes(piece[: keep - len(head)])
        hasher.update(piece)
    summary = hasher.finish()
    if path in KEPT_FILES:
        if entry.size <= MAX_KEPT_BYTES:
            facts.contents[summary.digest.hex()] = head
    elif keep:
        facts.programs[summary.digest.hex()] = read_program(head)
    return summary


def _add_whiteout(table: LayerTable, parent: bytes, name: bytes, where: str) -> None:
    if name == _OPAQUE:
        table.add_opaque(parent or b".")
        return
    if name.startswith(_AUFS):
        return  # bookkeeping of a file system that engines no longer use; they skip it too
    hidden = name[len(_WHITEOUT) :]
    if hidden in (b"", b".", b".."):
        raise ImageError(f"the whiteout {name!r} names nothing", where=where, remedy="refuse the image or rebuild it")
    table.add_whiteout(parent + b"/" + hidden if parent else hidden)


def clean_path(path: bytes, where: str) -> bytes:
    """A path of the archive relative to the image's root, as engines take it; ``b"."`` is the root.

    Leading slashes and ``.`` mean nothing, ``..`` takes a component back, and one that would leave the root
    is refused (engines differ in what they make of it, none of it is wanted).
    """
    if b"//" not in path and b"." not in path and path[:1] != b"/" and path[-1:] != b"/":
        return path
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part in (b"", b"."):
            continue
        if part == b"..":
            if not parts:
                shown = path.decode("utf-8", "backslashreplace")
                raise ImageError(
                    f"entry '{shown}' escapes the root", where=where, remedy="refuse the image or rebuild it"
                )
            parts.pop()
        else:
            parts.append(part)
    return b"/".join(parts) or b"."


# --- The cache ------------------------------------------------------------------------------------------


def _cache_file(layer: Layer, *, make: bool) -> Path | None:
    try:
        directory = cache_directory("layers", make=make)
    except OSError:
        return None  # no home, or one that cannot be written: everything works, only slower
    digits = layer.diff_id.replace(":", "-")
    return directory / f"{digits}.{__version__}-{FACTS_VERSION}-{SURVEY_VERSION}"


def _write_cache(path: Path, table: LayerTable, facts: LayerFacts) -> None:
    value = asdict(facts)
    value["contents"] = {digest: data.hex() for digest, data in facts.contents.items()}
    head = json.dumps(value).encode()
    body = b"%016x" % len(head) + head + table.to_bytes()
    try:
        replace_file(path, hashlib.sha256(body).digest() + body)
    except OSError:
        return  # a full disk must not fail the build here: the result decides that


def _read_cache(path: Path) -> tuple[LayerTable, LayerFacts] | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(memoryview(data)[32:]).digest() != data[:32]:
        return None
    try:
        length = int(data[32:48], 16)
        value = json.loads(data[48 : 48 + length])
        table = LayerTable.from_bytes(memoryview(data)[48 + length :])
    except (ValueError, IndexFormatError):
        return None
    value["programs"] = {digest: Program(**program) for digest, program in value["programs"].items()}
    value["contents"] = {digest: bytes.fromhex(text) for digest, text in value["contents"].items()}
    return table, LayerFacts(**value)
