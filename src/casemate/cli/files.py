"""``casemate encrypt``, ``decrypt`` and ``verify-files``."""

from __future__ import annotations

import json
from pathlib import Path

from casemate.errors import UsageError
from casemate.files import Outcome, decrypt, encrypt, read_file_key, verify


def encrypt_command(source: Path, output: Path, key: Path, path: str | None, json_output: bool) -> None:
    _say(str(output), encrypt(source, output, read_file_key(key), path), json_output)


def decrypt_command(source: Path, output: Path, key: Path, path: str | None, any_path: bool, json_output: bool) -> None:
    _refuse_both(path, any_path)
    _say(str(output), decrypt(source, output, read_file_key(key), path, any_path=any_path), json_output)


def verify_command(source: Path, key: Path, path: str | None, any_path: bool, json_output: bool) -> None:
    _refuse_both(path, any_path)
    _say(str(source), verify(source, read_file_key(key), path, any_path=any_path), json_output)


def _refuse_both(path: str | None, any_path: bool) -> None:
    if path is not None and any_path:
        raise UsageError("--path and --any-path exclude each other", remedy="choose one")


def _say(place: str, outcome: Outcome, json_output: bool) -> None:
    if json_output:
        print(json.dumps({"path": place, "files": outcome.files, "bytes": outcome.bytes}))
    else:
        print(f"{place}\n  files     {outcome.files}\n  bytes     {outcome.bytes}")
