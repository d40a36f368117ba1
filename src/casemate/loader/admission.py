"""What the command line may add to a manifest: checked here for a good message, enforced in the enclave."""

from __future__ import annotations

import json
from typing import Any

from casemate.errors import CasemateError, describe_os_error
from casemate.image.store import Placed
from casemate.loader.launch import RunOptions, Volume


def check_options(placed: Placed, options: RunOptions) -> None:
    """Raises for the first thing that the manifest does not admit, with the line that would admit it."""
    path = placed.bundle / "manifest.json"
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise describe_os_error(error, "cannot read the manifest", str(path)) from None
    if options.arguments:
        _check_arguments(manifest, options.arguments)
    for name in options.environment:
        _check_variable(manifest, name)
    for volume in options.volumes:
        _check_volume(manifest, volume)


def _check_arguments(manifest: dict[str, Any], arguments: list[str]) -> None:
    if not manifest["args_from_host"]:
        raise CasemateError(
            f"the image's arguments are fixed: {' '.join(arguments)!r} is not admitted",
            remedy="build it with --insecure-args, or with loader.insecure__use_cmdline_argv = true in its manifest",
        )


def _check_variable(manifest: dict[str, Any], name: str) -> None:
    if manifest["env_from_host_all"]:
        return
    entry = next((entry for entry in manifest["env"] if entry["name"] == name), None)
    if entry is None or not entry.get("from_host"):
        what = "fixes" if entry else "does not admit"
        raise CasemateError(
            f"the image's manifest {what} the variable '{name}'",
            where=f"-e {name}",
            remedy=f"build it with this line in its manifest: loader.env.{_toml_key(name)} = {{ passthrough = true }}",
        )


def _check_volume(manifest: dict[str, Any], volume: Volume) -> None:
    if not any(
        mount["path"] == volume.inside and mount["type"] in ("host", "encrypted") for mount in manifest["mounts"]
    ):
        path = json.dumps(volume.inside)
        raise CasemateError(
            f"the image's manifest does not admit a host directory at '{volume.inside}'",
            where=f"-v {volume}",
            remedy="build it with these lines in its manifest: "
            f'fs.mounts = [{{ type = "chroot", path = {path}, uri = {json.dumps("file:" + volume.inside)} }}] and '
            f"sgx.allowed_files = [{json.dumps('file:' + volume.inside + '/')}]",
        )


def _toml_key(name: str) -> str:
    bare = name.replace("_", "").replace("-", "")
    return name if bare.isascii() and bare.isalnum() else json.dumps(name)
