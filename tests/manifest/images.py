"""Images as the derivation sees them: a table of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from casemate.manifest import CanonicalManifest, ImageFacts, UserManifest, build_canonical, parse_user_manifest

ROOT = bytes(range(32))
PASSWD = b"""\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
# a comment
broken line
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
app:x:1000:1000::/home/app:/bin/sh
nohome:x:1001:50:::
huge:x:4294967295:1::/:
"""
GROUP = b"""\
root:x:0:
adm:x:4:syslog,app
www-data:x:33:
staff:x:50:app,www-data
app:x:1000:
"""


@dataclass(frozen=True)
class Inode:
    kind: str = "file"
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


DIRECTORY = Inode("directory")
FILES: dict[str, Inode] = {
    **dict.fromkeys(("/", "/app", "/usr/bin", "/usr/lib", "/etc", "/srv", "/data", "/tmp"), DIRECTORY),
    "/usr/bin/python3": Inode(),
    "/usr/bin/env": Inode(),
    "/bin/sh": Inode(),
    "/app/run.sh": Inode(mode=0o750, uid=1000, gid=50),
    "/app/notes.txt": Inode(mode=0o644),
    "/usr/bin/notes": Inode(mode=0o644),
    "/etc/passwd": Inode(mode=0o644),
}


def image(
    entrypoint: Sequence[str] = (),
    cmd: Sequence[str] = (),
    env: Sequence[str] = ("PATH=/usr/bin:/bin",),
    working_dir: str = "",
    user: str = "",
    files: Mapping[str, Inode] = FILES,
    contents: Mapping[str, bytes] | None = None,
) -> ImageFacts:
    kept = {"/etc/passwd": PASSWD, "/etc/group": GROUP} if contents is None else contents
    return ImageFacts(entrypoint, cmd, env, working_dir, user, files.get, kept.get)


def read(text: str, directory: Path | None = None) -> UserManifest:
    return parse_user_manifest(text, where="app.toml", directory=directory)


def build(
    facts: ImageFacts | None = None,
    text: str | None = None,
    *,
    insecure_args: bool = False,
    warnings: list[str] | None = None,
    directory: Path | None = None,
) -> CanonicalManifest:
    return build_canonical(
        facts or image(["python3"]),
        read(text, directory) if text is not None else None,
        insecure_args=insecure_args,
        index_root=ROOT,
        index_size=4096,
        warn=(warnings if warnings is not None else []).append,
    )
