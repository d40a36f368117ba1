"""Small images made byte by byte, so that each test can make exactly the one that is wrong."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

MEDIA = {
    "none": "application/vnd.oci.image.layer.v1.tar",
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}
# The smallest thing that passes for a static x86-64 program: an ELF header and nothing to load.
ELF = (
    b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little") + (62).to_bytes(2, "little")
    + (1).to_bytes(4, "little") + bytes(28) + (64).to_bytes(2, "little") + (56).to_bytes(2, "little") + bytes(8)
)  # fmt: skip


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def entry(name: str, kind: bytes = tarfile.REGTYPE, **values: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = 0o755
    for key, value in values.items():
        setattr(info, key, value)
    return info


def tar(*members: tuple[tarfile.TarInfo, bytes] | tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            info, content = member if isinstance(member, tuple) else (member, b"")
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return out.getvalue()


def compress(data: bytes, compression: str) -> bytes:
    if compression == "gzip":
        return gzip.compress(data, mtime=0)
    return zstandard.compress(data) if compression == "zstd" else data


@dataclass
class Layout:
    """An OCI layout in the making; every part can be replaced before ``write``."""

    layers: list[bytes]
    compression: str = "gzip"
    config: dict[str, Any] = field(default_factory=lambda: {"Entrypoint": ["/hello"]})
    media_type: str | None = None
    diff_ids: list[str] | None = None
    history: list[dict[str, Any]] | None = None
    os: str = "linux"
    architecture: str = "amd64"

    def write(self, root: Path, tag: str = "latest") -> str:
        blobs = root / "blobs/sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

        def blob(data: bytes, media_type: str) -> dict[str, Any]:
            (blobs / digest(data).partition(":")[2]).write_bytes(data)
            return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

        stored = [
            blob(compress(layer, self.compression), self.media_type or MEDIA[self.compression]) for layer in self.layers
        ]
        config = {
            "architecture": self.architecture,
            "os": self.os,
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids or [digest(layer) for layer in self.layers]},
        }
        if self.history is not None:
            config["history"] = self.history
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": stored,
        }
        descriptor = blob(json.dumps(manifest).encode(), manifest["mediaType"])  # type: ignore[arg-type]
        descriptor["annotations"] = {"org.opencontainers.image.ref.name": tag}
        (root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor]}))
        return f"oci:{root}:{tag}"


def hello() -> bytes:
    """A layer with a program that can be an entry point."""
    return tar((entry("hello"), ELF))
