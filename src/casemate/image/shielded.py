"""The one layer that shielding adds, written and read: ``/casemate/`` and the configuration around it."""

from __future__ import annotations

import hashlib
import io
import json
import struct
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from casemate._core import FileHasher, LayerTable
from casemate.errors import ImageError
from casemate.image.config import ImageConfig
from casemate.image.descriptors import OCI_LAYER, Descriptor, sha256_digest
from casemate.image.layers import PlainLayer
from casemate.image.sources import Layer, SourceImage
from casemate.image.tarstream import TarEntry, TarReader
from casemate.image.tarwrite import END, header, padding

DIRECTORY = "casemate"
LOADER, ENCLAVE, INDEX, MANIFEST, MEASURED = "casemate-host", "enclave", "index", "manifest.json", "measured"
INIT = "init"
# Only where the manifest shows directories of the host: which of the container's tree the loader offers.
VOLUMES = "volumes"
ENTRYPOINT = f"/{DIRECTORY}/{LOADER}"
LABEL_VERSION = "io.casemate.version"
LABEL_MANIFEST = "io.casemate.manifest.digest"
LABEL_INDEX = "io.casemate.index.root"
LABEL_SOURCE = "io.casemate.source.digest"
# What signing says of the image, for registries and policies. Nothing trusts them: the SIGSTRUCTs say the same, signed.
LABEL_MRENCLAVE = "io.casemate.mrenclave"
LABEL_MRENCLAVE_STATIC = "io.casemate.mrenclave.static"
LABEL_MRSIGNER = "io.casemate.mrsigner"
LABEL_PROD_ID = "io.casemate.isv-prod-id"
LABEL_SVN = "io.casemate.isv-svn"
LABEL_DEBUG = "io.casemate.debug"
LABEL_SIGNED_ON = "io.casemate.signed-on"
SIGNING_LABELS = frozenset(
    (
        LABEL_MRENCLAVE,
        LABEL_MRENCLAVE_STATIC,
        LABEL_MRSIGNER,
        LABEL_PROD_ID,
        LABEL_SVN,
        LABEL_DEBUG,
        LABEL_SIGNED_ON,
    )
)
SIGSTRUCT_EDMM, SIGSTRUCT_STATIC = "sigstruct.edmm", "sigstruct.static"
SIGSTRUCT_FILES = (SIGSTRUCT_EDMM, SIGSTRUCT_STATIC)

_MODES = {LOADER: 0o755, ENCLAVE: 0o755, INDEX: 0o644, MANIFEST: 0o644, MEASURED: 0o644}
# Of the first, which is there where the manifest names a broker, the file index vouches.
_INIT_MODE = 0o755
_OPTIONAL_MODES = {INIT: _INIT_MODE, VOLUMES: 0o644}
_SIGSTRUCT_BYTES, _SIGSTRUCT_MODE = 1808, 0o644
_MEASURED = struct.Struct("<8sII32s16x")
_MEASURED_MAGIC, _MEASURED_VERSION = b"CSMTMEAS", 1
MAX_FILE_BYTES = 4 << 30


@dataclass(slots=True)
class Bundle:
    """The files of ``/casemate/``."""

    loader: bytes
    enclave: bytes
    index: bytes
    manifest: bytes
    sigstructs: dict[str, bytes] = field(default_factory=dict)
    """By file name; none before the image is signed."""
    volumes: bytes = b""
    """As `offered_volumes` makes them."""
    init: bytes | None = None
    """The program that asks the broker, where the manifest names one."""

    @classmethod
    def from_files(cls, files: dict[str, bytes]) -> Bundle:
        """From what ``read_bundle`` read."""
        sigstructs = {name: files[name] for name in SIGSTRUCT_FILES if name in files}
        return cls(
            files[LOADER],
            files[ENCLAVE],
            files[INDEX],
            files[MANIFEST],
            sigstructs,
            files.get(VOLUMES, b""),
            files.get(INIT),
        )

    def files(self) -> dict[str, bytes]:
        return {
            LOADER: self.loader,
            ENCLAVE: self.enclave,
            INDEX: self.index,
            MANIFEST: self.manifest,
            MEASURED: measured_block(self.manifest),
            **self.sigstructs,
            **({INIT: self.init} if self.init is not None else {}),
            **({VOLUMES: self.volumes} if self.volumes else {}),
        }


def measured_block(manifest: bytes) -> bytes:
    """The 64 bytes that carry the manifest's digest into the enclave's measurement."""
    return _MEASURED.pack(_MEASURED_MAGIC, _MEASURED_VERSION, 0, hashlib.sha256(manifest).digest())


def offered_volumes(manifest: bytes) -> bytes:
    """For each mount of a host's directory, where it is in the container's tree and where inside: `SOURCE:PATH` or
    `SOURCE:PATH:ro`, each with a NUL. The library OS admits what the manifest says, whatever stands here."""
    lines = []
    for mount in json.loads(manifest)["mounts"]:
        if mount["type"] == "host":
            lines.append(f"{mount['source']}:{mount['path']}" + (":ro" if mount["read_only"] else ""))
        elif mount["type"] == "encrypted":
            source = mount["uri"].removeprefix("file:")
            lines.append(f"{source if source.startswith('/') else '/' + source}:{mount['path']}")
    return b"".join(line.encode() + b"\0" for line in lines)


def shielded_layer(bundle: Bundle, number: int) -> Layer:
    """The layer: names sorted, times and owners 0, not compressed (compressors differ between machines)."""
    pieces = [header(_entry(DIRECTORY, "dir", 0o755))]
    for name, data in sorted(bundle.files().items()):
        mode = (_MODES | _OPTIONAL_MODES).get(name, _SIGSTRUCT_MODE)
        pieces += (header(_entry(f"{DIRECTORY}/{name}", "file", mode, len(data))), data, padding(len(data)))
    pieces.append(END)
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    diff_id = f"sha256:{digest.hexdigest()}"
    size = sum(len(piece) for piece in pieces)
    return Layer(number, diff_id, "none", Descriptor(OCI_LAYER, diff_id, size), lambda: _Pieces(pieces))


def _entry(path: str, kind: str, mode: int, size: int = 0) -> TarEntry:
    return TarEntry(path.encode(), kind, mode, uid=0, gid=0, mtime_s=0, mtime_ns=0, size=size)


class _Pieces:
    """Byte strings one after the other, without joining them."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._streams = [io.BytesIO(piece) for piece in reversed(pieces)]

    def read(self, size: int, /) -> bytes:
        while self._streams:
            if data := self._streams[-1].read(size):
                return data
            self._streams.pop()
        return b""

    def close(self) -> None:
        self._streams.clear()


def shielded_config(config: ImageConfig, layer: Layer, labels: dict[str, str]) -> dict[str, Any]:
    """The original configuration with another entry point, one more layer, and what it was made from."""
    raw: dict[str, Any] = config.copy().raw
    inner = raw.get("config") or {}
    inner["Entrypoint"] = [ENTRYPOINT]
    inner.pop("Cmd", None)
    inner.pop("ArgsEscaped", None)
    inner["Labels"] = {**config.labels, **labels}
    raw["config"] = inner
    raw["rootfs"]["diff_ids"] = [*config.diff_ids, layer.diff_id]
    history = raw.get("history")
    if _history_fits(history, len(config.diff_ids)):
        created = raw.get("created")
        step = {"created_by": "casemate build", "comment": "the shielded layer"}
        raw["history"] = [*history, {"created": created, **step} if isinstance(created, str) else step]
    else:
        raw.pop("history", None)
    return raw


def signed_config(config: ImageConfig, layer: Layer, labels: dict[str, str]) -> dict[str, Any]:
    """A shielded image's configuration with another shielded layer and these labels of signing in place of others."""
    raw: dict[str, Any] = config.copy().raw
    kept = {name: text for name, text in config.labels.items() if name not in SIGNING_LABELS}
    inner = raw.get("config") or {}
    raw["config"] = {**inner, "Labels": {**kept, **labels}}
    raw["rootfs"]["diff_ids"] = [*config.diff_ids[:-1], layer.diff_id]
    return raw


def _history_fits(history: object, layers: int) -> TypeGuard[list[dict[str, Any]]]:
    """Engines refuse a history whose steps do not match the layers, so a wrong one is dropped."""
    if not isinstance(history, list) or not all(isinstance(step, dict) for step in history):
        return False
    return sum(1 for step in history if not step.get("empty_layer")) == layers


# --- Reading -------------------------------------------------------------------------------------------


def require_shielded(image: SourceImage) -> None:
    if LABEL_VERSION not in image.config.labels or not image.layers:
        raise ImageError(
            "this image is not shielded", where=str(image.reference), remedy="make it so with casemate build"
        )


def read_bundle(image: SourceImage) -> dict[str, bytes]:
    """The files of the shielded layer, checked against one another and the labels. SIGSTRUCTs are not looked into."""
    require_shielded(image)
    layer = image.layers[-1]
    files: dict[str, bytes] = {}
    with PlainLayer(layer) as stream:
        reader = TarReader(stream, layer.where)
        for entry in reader:
            name = entry.path.decode("utf-8", "backslashreplace").removeprefix(f"{DIRECTORY}/")
            if entry.kind == "file" and entry.size <= _limit(name):
                files[name] = b"".join(reader.content())
            elif entry.kind != "dir" or entry.path.rstrip(b"/") != DIRECTORY.encode():
                raise _damaged(image, f"its shielded layer holds '{name}'")
        reader.read_rest()
    missing = sorted(_MODES.keys() - files.keys())
    if missing:
        raise _damaged(image, f"its shielded layer lacks {', '.join(missing)}")
    for name in SIGSTRUCT_FILES:
        if len(files.get(name, bytes(_SIGSTRUCT_BYTES))) != _SIGSTRUCT_BYTES:
            raise _damaged(image, f"its {name} is not {_SIGSTRUCT_BYTES} bytes long")
    if files[MEASURED] != measured_block(files[MANIFEST]):
        raise _damaged(image, "its measured block is not that of its manifest")
    if image.config.labels.get(LABEL_MANIFEST) != sha256_digest(files[MANIFEST]):
        raise _damaged(image, f"its label {LABEL_MANIFEST} is not that of its manifest")
    return files


def _limit(name: str) -> int:
    """How many bytes a file of the shielded layer may have; -1 when there is no such file."""
    if name in SIGSTRUCT_FILES:
        return _SIGSTRUCT_BYTES
    return MAX_FILE_BYTES if name in _MODES or name in _OPTIONAL_MODES else -1


def init_table(init: bytes) -> LayerTable:
    """What the shielded layer adds to the file index: the program that asks the broker."""
    hasher = FileHasher(len(init))
    hasher.update(init)
    table = LayerTable("shielded")
    table.add_directory(DIRECTORY.encode(), mode=0o755, uid=0, gid=0, mtime=0)
    table.add_file(f"{DIRECTORY}/{INIT}".encode(), hasher.finish(), mode=_INIT_MODE, uid=0, gid=0, mtime=0)
    return table


def _damaged(image: SourceImage, what: str) -> ImageError:
    return ImageError(what, where=str(image.reference), remedy="it was changed or made by another tool: build it again")
