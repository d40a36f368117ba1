"""``casemate sign``, ``measure``, ``verify-image`` and ``info`` as a user types them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from casemate.attestation import read_policy
from casemate.enclave.keys import new_key
from tests.cli.test_commands import invoke
from tests.enclave.test_signing import secrets_of
from tests.image.shielded import changed_manifest, shielded_image, tampered

pytestmark = pytest.mark.usefixtures("cache", "runtime_files")

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors"


class Casemate:
    """The command in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def json(self, *arguments: str) -> dict[str, Any]:
        assert invoke(self._monkeypatch, *arguments, "--json") == 0
        value: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return value

    def text(self, *arguments: str, status: int = 0) -> str:
        assert invoke(self._monkeypatch, *arguments) == status
        captured = self._capsys.readouterr()
        assert "Traceback" not in captured.err
        return captured.err if status and not captured.out else captured.out

    def refuses(self, *arguments: str, status: int = 1) -> str:
        assert invoke(self._monkeypatch, *arguments) == status
        captured = self._capsys.readouterr()
        assert captured.out == ""
        assert "Traceback" not in captured.err
        return captured.err


@pytest.fixture
def casemate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Casemate:
    return Casemate(monkeypatch, capsys)


def test_sign_info_measure_and_verify_image_agree(tmp_path: Path, casemate: Casemate) -> None:
    source, shielded, manifest = shielded_image(tmp_path)
    key, signed = tmp_path / "key.pem", f"oci:{tmp_path}/signed:v1"
    casemate.text("key", "new", str(key))
    made = casemate.json("sign", shielded, "--key", str(key), "-o", signed, "--date", "2026-11-24")
    seen = casemate.json("info", signed)["signatures"]
    assert {each["variant"]: each["mrenclave"] for each in seen} == made["mrenclave"]
    for each in seen:
        assert (each["mrsigner"], each["isv_prod_id"], each["isv_svn"]) == (made["mrsigner"], 7, 3)
        assert (each["debug"], each["date"], each["problem"]) == (False, "2026-11-24", None)
        assert each["attributes"]["flags_names"] == ["MODE64BIT"]
    assert casemate.json("measure", source, "--manifest", str(manifest))["mrenclave"] == made["mrenclave"]
    verdict = casemate.json("verify-image", signed, "--from", source, "--manifest", str(manifest))
    assert (verdict["matches"], verdict["mrenclave"]) == (True, made["mrenclave"])
    table = casemate.text("info", signed)
    for text in (*made["mrenclave"].values(), made["mrsigner"], "2026-11-24", "valid"):
        assert text in table
    assert "no: sign it with casemate sign" in casemate.text("info", shielded)
    assert casemate.json("info", shielded)["signatures"] == []
    differs = casemate.text("verify-image", signed, "--from", source, status=1)
    assert "/casemate/manifest.json: 'brk_max_size' is 67108864 instead of 17179869184" in differs


def test_measure_writes_a_policy_that_accepts_the_image_with_dynamic_memory_alone(
    tmp_path: Path, casemate: Casemate
) -> None:
    source, _, manifest = shielded_image(tmp_path)
    path = tmp_path / "policy.toml"
    measured = casemate.json("measure", source, "--manifest", str(manifest), "--policy", str(path))["mrenclave"]
    read_policy(path)
    assert tomllib.loads(path.read_text()) == {"mrenclave": [measured["edmm"]]}
    assert measured["static"] in path.read_text()
    assert "cannot write the policy" in casemate.refuses(
        "measure", source, "--manifest", str(manifest), "--policy", str(tmp_path / "nowhere" / "p.toml")
    )


def test_a_signature_for_another_enclave_shows_in_info(tmp_path: Path, casemate: Casemate) -> None:
    _, shielded, _ = shielded_image(tmp_path)
    key, signed = tmp_path / "key.pem", f"oci:{tmp_path}/signed"
    new_key(key)
    casemate.text("sign", shielded, "--key", str(key), "-o", signed)
    moved = tampered(tmp_path / "moved", signed, {"manifest.json": changed_manifest(signed, uid=5)})
    assert "INVALID: it is for another enclave" in casemate.text("info", moved, status=1)
    broken = tampered(tmp_path / "broken", signed, {"manifest.json": b"[]"})
    assert "manifest.json" in casemate.refuses("info", broken)
    assert "manifest.json" in casemate.refuses("sign", broken, "--key", str(key), "-o", f"oci:{tmp_path}/x")
    assert not (tmp_path / "x").exists()


@pytest.mark.skipif(not VECTORS.exists(), reason="../shared/vectors is not there")
def test_info_reads_a_sigstruct_in_a_file(casemate: Casemate) -> None:
    example = str(VECTORS / "sigstruct" / "example.sig")
    value = casemate.json("info", example)
    assert value["mrenclave"] == "3e680bfbc5f148f3b334b8fc47605c52981ce1f5a421c55492ac299335803d53"
    assert value == casemate.json("sigstruct", "show", example)
    assert value["mrenclave"] in casemate.text("info", example)


def test_signatures_made_elsewhere_complete_the_image(tmp_path: Path, casemate: Casemate) -> None:
    _, shielded, _ = shielded_image(tmp_path)
    key, public = tmp_path / "key.pem", tmp_path / "public.pem"
    new_key(key)
    public.write_text(casemate.text("key", "show", str(key), "--public"))
    tbs = tmp_path / "tbs"
    emitted = casemate.json("sign", shielded, "--emit", str(tbs))["to_be_signed"]
    assert {name: each["file"] for name, each in emitted.items()} == {"edmm": str(tbs), "static": f"{tbs}.static"}
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    arguments = ["sign", shielded, "--public-key", str(public)]
    for name, each in emitted.items():
        data = Path(each["file"]).read_bytes()
        assert len(data) == 256
        signature = tmp_path / f"{name}.sig"
        signature.write_bytes(private.sign(data, padding.PKCS1v15(), hashes.SHA256()))
        arguments += ["--attach", str(signature)]
    attached = casemate.json(*arguments, "-o", f"oci:{tmp_path}/attached")
    direct = casemate.json("sign", shielded, "--key", str(key), "-o", f"oci:{tmp_path}/direct")
    assert attached["digest"] == direct["digest"]
    late = casemate.refuses(*arguments, "-o", f"oci:{tmp_path}/late", "--date", "2026-11-24")
    assert "the same --date" in late
    assert not (tmp_path / "late").exists()


def write_key(path: Path, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> tuple[str, str]:
    """Private and public half in PEM files."""
    private, public = path.with_suffix(".pem"), path.with_suffix(".pub")
    none = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none))
    private.chmod(0o600)
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, info))
    return str(private), str(public)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: rsa.generate_private_key(65537, 3072), "public exponent is 65537, SGX needs 3"),
        (lambda: rsa.generate_private_key(3, 2048), "the key has 2048 bits, SGX needs 3072"),
        (lambda: ec.generate_private_key(ec.SECP256R1()), "this is not an RSA key"),
    ],
    ids=["exponent", "size", "kind"],
)
def test_keys_that_sgx_cannot_use_are_refused(tmp_path: Path, casemate: Casemate, make: Any, why: str) -> None:
    _, shielded, _ = shielded_image(tmp_path)
    private, public = write_key(tmp_path / "key", make())
    signature = tmp_path / "sig"
    signature.write_bytes(bytes(384))
    output = ["-o", f"oci:{tmp_path}/out"]
    assert why in casemate.refuses("sign", shielded, "--key", private, *output)
    attach = ["--attach", str(signature), "--public-key", public]
    assert why in casemate.refuses("sign", shielded, *attach, *output)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "nothing to sign with"),
        (["--key", "k", "--emit", "t"], 2, "--key and --emit exclude each other"),
        (["--key", "k"], 2, "give it with -o DEST"),
        (["--emit", "t", "-o", "oci:/x"], 2, "--emit writes no image"),
        (["--attach", "s", "-o", "oci:/x"], 2, "needs the public key"),
        (["--key", "k", "--public-key", "p", "-o", "oci:/x"], 2, "--public-key has no meaning with --key"),
        (["--emit", "t", "--passphrase-file", "p"], 2, "--passphrase-file has no meaning"),
        (["--key", "k", "-o", "oci:/x", "--date", "24.11.2026"], 2, "not a date"),
        (["--key", "k", "-o", "oci:/x", "--isv-svn", "65536"], 2, "65535"),
        (["--key", "/absent", "-o", "oci:/x"], 1, "/absent"),
        (["--attach", "/absent", "--public-key", "/absent", "-o", "oci:/x"], 1, "/absent"),
        (["--key", "/dev/null", "-o", "dir:/x"], 2, "cannot be used here"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_command_lines_that_make_no_sense_are_explained(
    casemate: Casemate, arguments: list[str], status: int, message: str
) -> None:
    assert message in casemate.refuses("sign", "oci:/absent", *arguments, status=status)


def test_signatures_of_the_wrong_length_are_refused(tmp_path: Path, casemate: Casemate) -> None:
    _, shielded, _ = shielded_image(tmp_path)
    _, public = write_key(tmp_path / "key", rsa.generate_private_key(3, 3072))
    for size, found in ((0, "has 0"), (383, "has 383"), (385, "has more than 384"), (5000, "has more than 384")):
        signature = tmp_path / "sig"
        signature.write_bytes(bytes(size))
        arguments = ["sign", shielded, "--attach", str(signature), "--public-key", public, "-o", f"oci:{tmp_path}/o"]
        assert f"a signature has 384 bytes, this {found}" in casemate.refuses(*arguments)


WATCHED = """
import json, os, sys
written = []
def hook(event, arguments):
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        written.append(os.path.abspath(os.fsdecode(arguments[0])) if not isinstance(arguments[0], int) else arguments[0])
    elif event.startswith(("os.putenv", "subprocess.", "os.exec", "os.posix_spawn", "os.fork", "socket.")):
        written.append([event, repr(arguments)])
sys.addaudithook(hook)
from casemate.cli import main
sys.argv[0] = "casemate"
try:
    main()
finally:
    print(json.dumps([each for each in written if each != "/dev/null"]), file=sys.stderr)
"""


@pytest.mark.parametrize("encrypted", [False, True])
def test_nothing_of_the_key_is_in_any_byte_that_signing_writes(tmp_path: Path, encrypted: bool) -> None:
    keys, work = tmp_path / "keys", tmp_path / "work"
    keys.mkdir()
    work.mkdir()
    passphrase = b"correct horse battery staple"
    new_key(keys / "key.pem", passphrase if encrypted else None)
    (keys / "passphrase").write_bytes(passphrase + b"\n")
    pem = (keys / "key.pem").read_bytes()
    private = serialization.load_pem_private_key(pem, passphrase if encrypted else None)
    assert isinstance(private, rsa.RSAPrivateKey)
    _, shielded, _ = shielded_image(tmp_path)
    secrets = secrets_of(private, pem, passphrase)
    assert len(secrets) > 200
    everything = b""
    home = {"HOME": str(work), "TMPDIR": str(work), "XDG_CACHE_HOME": str(work / "cache")}
    for transport in ("oci", "oci-archive", "docker-archive"):
        command = ["sign", shielded, "--key", str(keys / "key.pem"), "-o", f"{transport}:{work}/{transport}", "--json"]
        command += ["--passphrase-file", str(keys / "passphrase")] if encrypted else []
        result = subprocess.run(
            [sys.executable, "-B", "-c", WATCHED, *command],
            cwd=work,
            env={**os.environ, **home},
            capture_output=True,
            check=True,
        )
        opened = json.loads(result.stderr.splitlines()[-1])
        # Variables that libraries set are searched with the rest of standard error.
        opened = [each for each in opened if not (isinstance(each, list) and each[0] == "os.putenv")]
        assert opened
        assert all(isinstance(each, int) or str(each).startswith(f"{work}/") for each in opened), opened
        everything += result.stdout + result.stderr
    paths = [path for path in work.rglob("*") if path.is_file()]
    assert len(paths) > 5
    everything += b"\n".join(path.read_bytes() for path in paths)
    assert everything.count(private.public_key().public_numbers().n.to_bytes(384, "little")) == 6
    for secret in secrets:
        assert secret not in everything
    # The search finds what it looks for.
    number = private.private_numbers().d.to_bytes(384, "big")
    assert any(secret in base64.b16encode(number) for secret in secrets)
