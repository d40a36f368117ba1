"""The manifest of an image without a manifest of the user's: what its configuration says."""

from __future__ import annotations

from typing import Any

from casemate import __version__
from casemate.errors import ImageError
from casemate.image.config import ImageConfig
from casemate.image.descriptors import canonical_json
from casemate.image.entrypoint import find_program
from casemate.image.view import ImageView


def derive_manifest(view: ImageView, config: ImageConfig, insecure_args: bool, index_size: int) -> bytes:
    """Canonical manifest bytes (``runtime/manifest`` documents the members)."""
    command = config.entrypoint + config.cmd
    if not command:
        raise ImageError("the image has no entry point", remedy="set its Entrypoint or Cmd, or give loader.entrypoint")
    environment = dict(variable.partition("=")[::2] for variable in config.env)
    uid, gid = _user(view, config.user)
    split = len(config.entrypoint) if insecure_args and config.entrypoint else 1 if insecure_args else len(command)
    value: dict[str, Any] = {
        "args_from_host": insecure_args,
        "argv": command[:split],
        "brk_max_size": 1 << 30,
        "cwd": config.working_dir or "/",
        "debug": False,
        "default_args": command[split:],
        "disallow_subprocesses": False,
        "edmm": "auto",
        "enclave_size": 1 << 36,
        "env": [{"name": name, "value": text} for name, text in environment.items()],
        "env_from_host_all": False,
        "fds_limit": 1 << 16,
        "gid": gid,
        "groups": [],
        "index": {"root": view.index.root_digest.hex(), "size": index_size},
        "insecure_keys": {},
        "isv_prod_id": 0,
        "isv_svn": 0,
        "log_level": "warning",
        "max_threads": 256,
        "mounts": [],
        "names_from_host": True,
        "program": find_program(view, command[0], environment, config.working_dir or "/"),
        "runtime_version": __version__,
        "stack_size": 8 << 20,
        "uid": uid,
        "umask": 0o022,
        "version": 1,
    }
    return canonical_json(value) + b"\n"


def _user(view: ImageView, user: str) -> tuple[int, int]:
    name, _, group = user.partition(":")
    uid, gid = 0, 0
    if name.isdigit():
        uid = int(name)
    elif name:
        fields = _fields(view, "/etc/passwd", name)
        uid, gid = int(fields[2]), int(fields[3])
    if group.isdigit():
        gid = int(group)
    elif group:
        gid = int(_fields(view, "/etc/group", group)[2])
    return uid, gid


def _fields(view: ImageView, path: str, name: str) -> list[str]:
    for line in (view.content(path) or b"").decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) >= 4 and fields[2].isdigit():
            return fields
    raise ImageError(f"'{name}' is not in the image's {path}", remedy="correct the image's User, or give a number")
