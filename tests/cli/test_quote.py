"""``casemate quote`` as a person calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attestation import vectors
from tests.attestation.vectors import needs_vectors

ARGUMENTS = ["--collateral", str(vectors.COLLATERAL_FILE), "--at", "2025-07-01T00:00:00Z"]


def quote(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "casemate", "quote", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@needs_vectors
def test_verify_prints_status_and_advisories() -> None:
    done = quote("verify", vectors.QUOTE_FILE, *ARGUMENTS)
    assert done.returncode == 0, done.stderr
    assert f"TCB status        {vectors.STATUS}" in done.stdout
    assert "INTEL-SA-00289, INTEL-SA-00615" in done.stdout


@needs_vectors
def test_a_policy_refuses_in_one_sentence_that_names_every_claim(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(f'mrenclave = "{"00" * 32}"\n')
    done = quote("verify", vectors.QUOTE_FILE, *ARGUMENTS, "--policy", policy)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    for claim in ("mrenclave: expected 00", "tcb.statuses: expected UpToDate", "tcb.advisories: expected no advisory"):
        assert claim in done.stderr


@needs_vectors
def test_json_says_accepted_or_lists_the_failures(tmp_path: Path) -> None:
    accepted = quote("verify", vectors.QUOTE_FILE, *ARGUMENTS, "--json")
    value = json.loads(accepted.stdout)
    assert value["verified"]
    assert not value["simulated"]
    assert value["mrenclave"] == vectors.MRENCLAVE.hex()
    late = [*ARGUMENTS[:-1], "2027-01-01T00:00:00Z", "--json"]
    refused = quote("verify", vectors.QUOTE_FILE, *late)
    assert refused.returncode == 1
    value = json.loads(refused.stdout)
    assert not value["verified"]
    assert value["failures"][0]["claim"] == "validity of the TCB info"


@needs_vectors
def test_show_says_that_nothing_is_verified() -> None:
    done = quote("show", vectors.QUOTE_FILE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("verified          no")
    value = json.loads(quote("show", vectors.QUOTE_FILE, "--json").stdout)
    assert value["mrenclave"] == vectors.MRENCLAVE.hex()
    assert "CN=Intel SGX Root CA" in value["pck_chain"][2]["subject"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["verify", "missing"], "cannot read the quote"),
        (["show", "{empty}"], "this is no quote of version 3"),
        (["verify", "{empty}", "--at", "noon"], "'noon' is no time"),
        (["verify", "{empty}", "--at", "2025-01-01T00:00:00"], "says no time zone"),
        (["verify", "{empty}", "--at", "0001-01-01T00:00:00+10:00"], "is out of range"),
        (["verify", "{empty}", "--collateral", "{empty}"], "this is no collateral in JSON"),
        (["verify", "{empty}", "--policy", "missing.toml"], "cannot read the policy"),
    ],
)
def test_mistakes_get_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    done = quote(*[argument.format(empty=empty) for argument in arguments])
    assert done.returncode in (1, 2)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@needs_vectors
def test_an_unknown_root_is_explained() -> None:
    done = quote("verify", vectors.QUOTE_FILE, *ARGUMENTS, "--root", "amd")
    assert done.returncode == 2
    assert "say intel or simulated:FILE" in done.stderr
