"""``casemate info``: what a shielded image runs, with what, and what it was made from."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import typer

from casemate._core import SigStruct, enclave_variants
from casemate.cli.sigstruct import show_file
from casemate.enclave import describe as sigstructs
from casemate.enclave.measure import variants
from casemate.image.descriptors import sha256_digest
from casemate.image.references import DESTINATION_TRANSPORTS, parse_reference
from casemate.image.shielded import (
    ENCLAVE,
    INDEX,
    LABEL_SOURCE,
    LABEL_VERSION,
    LOADER,
    MANIFEST,
    MEASURED,
    read_bundle,
)
from casemate.image.sources import open_source
from casemate.manifest.canonical import parse_canonical


def info_command(reference: str, json_output: bool) -> None:
    """Of an image, or of a SIGSTRUCT in a file of its own."""
    if Path(reference).is_file():
        show_file(Path(reference), json_output)
        return
    value = describe(reference)
    if json_output:
        print(json.dumps(value))
    else:
        _print_rows(value)
    if any(each["problem"] for each in value["signatures"]):
        raise typer.Exit(1)


def describe(reference: str) -> dict[str, Any]:
    """Everything there is to say about a shielded image, as ``--json`` prints it."""
    with open_source(parse_reference(reference, DESTINATION_TRANSPORTS)) as image:
        files = read_bundle(image)
        parse_canonical(files[MANIFEST], f"{image.reference}: {MANIFEST}")
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
            "signatures": _signatures(files, manifest),
            "manifest": manifest,
        }


def _signatures(files: dict[str, bytes], manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """What each SIGSTRUCT of the image says, the preferred enclave's first; empty for an unsigned image."""
    measured = {each.sigstruct_file: each for each in variants(manifest, files[ENCLAVE], files[MEASURED])}
    found = []
    for variant, name in enclave_variants("auto"):
        if name not in files:
            continue
        value = {"variant": variant, **sigstructs.describe(SigStruct.from_bytes(files[name]))}
        if name not in measured:
            value["problem"] = value["problem"] or "the manifest allows no such enclave"
        elif (mrenclave := measured[name].layout.measure().hex()) != value["mrenclave"]:
            value["problem"] = value["problem"] or f"it is for another enclave: this one measures {mrenclave}"
        found.append(value)
    return found


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
    if not value["signatures"]:
        rows.append(("signed", "no: sign it with casemate sign"))
    rows += _signature_rows(value["signatures"])
    rows += [("insecure", sentence) for sentence in value["insecure"]]
    width = max(len(name) for name, _ in rows) + 2
    for name, text in rows:
        print(f"{name:<{width}}{_printable(text)}")


def _signature_rows(signatures: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Each line once; with the variant's name where two signatures differ."""
    tables = [(each["variant"], sigstructs.rows(each)) for each in signatures]
    rows: list[tuple[str, str]] = []
    for lines in zip(*(table for _, table in tables), strict=True):
        if len(set(lines)) == 1:
            rows.append(lines[0])
        else:
            rows += [(f"{label} ({tables[number][0]})", text) for number, (label, text) in enumerate(lines)]
    return rows


def _words(words: list[str]) -> str:
    return shlex.join(words)


def _printable(text: str) -> str:
    """The text without what would move a terminal's cursor: it comes from the image."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
