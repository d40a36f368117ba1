"""What is shown of a SIGSTRUCT, and the commands that show it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from casemate._core import SgxFormatError, SigStruct, parse_quote
from casemate.enclave.describe import describe, read_sigstruct, rows
from casemate.enclave.errors import SigStructError
from casemate.enclave.keys import new_key

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors"
EXAMPLE = VECTORS / "sigstruct" / "example.sig"
needs_vectors = pytest.mark.skipif(not VECTORS.exists(), reason="../shared/vectors is not there")


def casemate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "casemate", *arguments], capture_output=True, text=True, check=False)


@needs_vectors
def test_another_implementations_sigstruct_reads_as_its_makers_say() -> None:
    value = describe(read_sigstruct(EXAMPLE.read_bytes(), "example.sig"))
    assert value["mrenclave"] == "3e680bfbc5f148f3b334b8fc47605c52981ce1f5a421c55492ac299335803d53"
    assert value["mrsigner"] == "a99a62455789f22932d4b363bdbe67ba62ba582917432e242d2a815166107943"
    assert (value["isv_prod_id"], value["isv_svn"], value["debug"], value["problem"]) == (0, 0, True, None)
    texts = dict(rows(value))
    assert texts["signature"] == "valid"
    assert texts["debug"].startswith("yes")


@needs_vectors
def test_the_command_shows_it_as_table_and_json(tmp_path: Path) -> None:
    shown = casemate("sigstruct", "show", str(EXAMPLE), "--json")
    assert shown.returncode == 0
    value: dict[str, Any] = json.loads(shown.stdout)
    assert value["date"] is not None
    table = casemate("sigstruct", "show", str(EXAMPLE)).stdout
    assert value["mrenclave"] in table
    damaged = tmp_path / "damaged.sig"
    data = bytearray(EXAMPLE.read_bytes())
    data[960] ^= 1
    damaged.write_bytes(data)
    bad = casemate("sigstruct", "show", str(damaged))
    assert bad.returncode == 1
    assert "INVALID" in bad.stdout
    assert "Traceback" not in bad.stderr


def test_a_file_of_another_size_is_no_sigstruct(tmp_path: Path) -> None:
    with pytest.raises(SigStructError, match="1808 bytes, this has 5"):
        read_sigstruct(b"hello", "file")
    file = tmp_path / "file"
    file.write_bytes(b"hello")
    shown = casemate("sigstruct", "show", str(file))
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr.startswith("casemate: ")
    assert casemate("sigstruct", "show", str(tmp_path / "absent")).returncode == 1


def test_zeros_are_described_without_a_date() -> None:
    value = describe(SigStruct.from_bytes(bytes(1808)))
    assert value["date"] is None
    assert "HEADER" in value["problem"]
    assert dict(rows(value))["signature"].startswith("INVALID")


@needs_vectors
def test_a_quote_from_hardware_is_taken_apart() -> None:
    data = (VECTORS / "quotes" / "sgx_quote").read_bytes()
    quote = parse_quote(data)
    assert quote.mrenclave.hex() == "33d8736db756ed4997e04ba358d27833188f1932ff7b1d156904d3f560452fbb"
    assert quote.certification_type == 5
    with pytest.raises(SgxFormatError):
        parse_quote(data[:1000])


def test_key_commands_make_and_show_keys(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    made = casemate("key", "new", str(path))
    assert made.returncode == 0
    shown = casemate("key", "show", str(path))
    assert len(shown.stdout.strip()) == 64
    assert shown.stdout.strip() in made.stdout
    again = casemate("key", "new", str(path))
    assert again.returncode == 1
    assert "never overwritten" in again.stderr
    public = tmp_path / "public.pem"
    public.write_text(casemate("key", "show", str(path), "--public").stdout)
    assert casemate("key", "show", str(public)).stdout == shown.stdout


def test_key_commands_take_a_passphrase_from_a_file(tmp_path: Path) -> None:
    passphrase, path = tmp_path / "passphrase", tmp_path / "key.pem"
    passphrase.write_text("a long one\n")
    assert casemate("key", "new", str(path), "--passphrase-file", str(passphrase)).returncode == 0
    assert casemate("key", "show", str(path)).returncode == 1
    assert casemate("key", "show", str(path), "--passphrase-file", str(passphrase)).returncode == 0
    new_key(tmp_path / "other.pem")
    both = casemate("key", "new", str(tmp_path / "x"), "--ask-passphrase", "--passphrase-file", str(passphrase))
    assert both.returncode == 2
