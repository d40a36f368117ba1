"""``casemate info``: what a shielded image runs, with what, and what it was made from."""

from __future__ import annotations

import json
import shlex
from typing import Any

from casemate.image.descriptors import sha256_digest
from casemate.image.references import DESTINATION_TRANSPORTS, parse_reference
from casemate.image.shielded import (
    ENCLAVE,
    INDEX,
    LABEL_SOURCE,
    LABEL_VERSION,
    LOADER,
    MANIFEST,
    read_bundle,
)
from casemate.image.sources import open_source


def info_command(reference: str, json_output: bool) -> None:
    value = describe(reference)
    if json_output:
        print(json.dumps(value))
    else:
        _print_rows(value)


def describe(reference: str) -> dict[str, Any]:
    """Everything there is to say about a shielded image, as ``--json`` prints it."""
    with open_source(parse_reference(reference, DESTINATION_TRANSPORTS)) as image:
        files = read_bundle(image)
        manifest = json.loads(files[MANIFEST])
        return {
            "image": str(image.reference),
            "digest": image.digest,
            "version": image.config.labels[LABEL_VERSION],
            "source_digest": image.config.labels.get(LABEL_SOURCE),
            "manifest_digest": sha256_digest(files[MANIFEST]),
            "index_root": manifest["index"]["root"],
            "enclave_digest": sha256_digest(files[ENCLAVE]),
            "loader_digest": sha256_digest(files[LOADER]),
            "layers": [
                {"digest": layer.descriptor.digest, "diff_id": layer.diff_id, "size": layer.descriptor.size}
                for layer in image.layers
            ],
            "shielded_layer_size": image.layers[-1].descriptor.size,
            "index_size": len(files[INDEX]),
            "user": image.config.user,
            "insecure": insecure_settings(manifest),
            "manifest": manifest,
        }


def insecure_settings(manifest: dict[str, Any]) -> list[str]:
    """What weakens the protection, one sentence each, in the words of the banner at start."""
    found = []
    if manifest["debug"]:
        found.append("debug enclave: the host can read and change everything inside (sgx.debug)")
    if manifest["args_from_host"]:
        found.append("the host chooses the program's arguments (loader.insecure__use_cmdline_argv)")
    if manifest["env_from_host_all"]:
        found.append("the host chooses the program's environment (loader.insecure__use_host_env)")
    for mount in manifest["mounts"]:
        if mount["type"] == "host":
            change = "" if mount["read_only"] else ", and sees what is written there"
            found.append(f"the host chooses what is in {mount['path']}{change} (from {mount['source']})")
    for name in manifest["insecure_keys"]:
        found.append(f"the key '{name}' is in the image for all to read (fs.insecure__keys.{name})")
    if manifest["log_level"] in ("debug", "trace", "all"):
        found.append("the log tells the host what the program does (loader.log_level)")
    return found


def _print_rows(value: dict[str, Any]) -> None:
    manifest = value["manifest"]
    from_host = [entry["name"] for entry in manifest["env"] if entry.get("from_host")]
    size = value["shielded_layer_size"] / 1e6
    rows = [
        ("image", value["image"]),
        ("digest", value["digest"]),
        ("made from", value["source_digest"] or "not stated"),
        ("casemate", value["version"]),
        ("enclave", value["enclave_digest"]),
        ("manifest", value["manifest_digest"]),
        ("index", f"{value['index_root']} ({value['index_size'] / 1e6:.1f} MB)"),
        ("layers", f"{len(value['layers'])}, of them one of casemate's ({size:.1f} MB)"),
        ("program", manifest["program"]),
        ("arguments", _words(manifest["argv"])),
        ("directory", manifest["cwd"]),
        ("user", f"{manifest['uid']}:{manifest['gid']}"),
        ("environment", ", ".join(entry["name"] for entry in manifest["env"] if "value" in entry) or "none"),
        ("from the host", ", ".join(from_host) or "no variables"),
        ("mounts", ", ".join(f"{mount['path']} ({mount['type']})" for mount in manifest["mounts"]) or "none"),
        ("memory", f"{manifest['enclave_size'] >> 20} MiB, {manifest['max_threads']} threads"),
    ]
    if manifest["default_args"]:
        rows.insert(10, ("default arguments", _words(manifest["default_args"])))
    rows += [("insecure", sentence) for sentence in value["insecure"]]
    for name, text in rows:
        print(f"{name:<18}{_printable(text)}")


def _words(words: list[str]) -> str:
    return shlex.join(words)


def _printable(text: str) -> str:
    """The text without what would move a terminal's cursor: it comes from the image."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
