"""``secrets`` of the user's manifest: what becomes of it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.manifest import canonical_bytes, parse_canonical
from casemate.manifest.canonical import CanonicalManifest, TmpfsMount
from casemate.manifest.errors import ManifestError
from tests.manifest.images import build

PIN = "ab" * 32
HEAD = f'[secrets]\nbroker = "broker.example:8443"\nbroker_key = "sha256:{PIN}"\n'


def secrets_of(text: str, directory: Path | None = None) -> CanonicalManifest:
    return build(text=text, directory=directory)


def test_without_a_broker_the_member_is_absent() -> None:
    manifest = build(text="")
    assert manifest.secrets is None
    assert b"secrets" not in canonical_bytes(manifest)


def test_every_place_a_secret_can_have() -> None:
    manifest = secrets_of(
        HEAD + 'required = ["db"]\noptional = ["extra"]\nenv.PASSWORD = "db"\nargs = ["flag"]\nkeys.default = "model"\n'
        'files."/run/secrets/app/token" = "token"\ntimeout = 9\n'
    )
    found = manifest.secrets
    assert found is not None
    assert found.broker == ["broker.example:8443"]
    assert found.broker_key == PIN
    assert found.required == ["db", "flag", "model", "token"]
    assert found.files == {"/run/secrets/app/token": "token", "/run/secrets/extra": "extra"}
    assert found.timeout_s == 9
    assert TmpfsMount(path="/run/secrets") in manifest.mounts
    assert parse_canonical(canonical_bytes(manifest)) == manifest


def test_results_get_a_place_in_enclave_memory() -> None:
    manifest = secrets_of(HEAD + 'results = true\nresult_files = ["/out/report.csv"]\n')
    assert manifest.secrets is not None
    assert manifest.secrets.results == ["/dev/casemate/results", "/out/report.csv"]
    assert manifest.mounts == [TmpfsMount(path="/dev/casemate/results")]


def test_several_brokers_are_asked_in_their_order() -> None:
    manifest = secrets_of(HEAD.replace('"broker.example:8443"', '["a:1", "[::1]:2"]') + 'required = ["x"]\n')
    assert manifest.secrets is not None
    assert manifest.secrets.broker == ["a:1", "[::1]:2"]


def test_a_certificate_is_read_for_its_key(tmp_path: Path) -> None:
    from casemate.broker.home import Home

    home = Home(tmp_path / "b")
    text = HEAD.replace(f'broker_key = "sha256:{PIN}"', 'broker_certificate = "file:b/certificate.pem"')
    manifest = secrets_of(text + 'required = ["x"]\n', tmp_path)
    assert manifest.secrets is not None
    assert manifest.secrets.broker_key == home.pin.hex()
    (tmp_path / "b" / "certificate.pem").write_text("nonsense")
    with pytest.raises(ManifestError, match="not a certificate in PEM format"):
        secrets_of(text + 'required = ["x"]\n', tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[secrets]\nrequired = ["x"]\n', "without 'broker'"),
        ('[secrets]\nbroker = "a:1"\nrequired = ["x"]\n', "'broker_key' or by 'broker_certificate'"),
        (HEAD, "no secrets and no results"),
        (HEAD.replace(":8443", "") + 'required = ["x"]\n', "expected HOST:PORT"),
        (HEAD.replace(PIN, "12") + 'required = ["x"]\n', "64 hexadecimal digits"),
        (HEAD + 'required = ["x"]\noptional = ["x"]\n', "both required and optional"),
        (HEAD + 'files."/etc/token" = "x"\n', "not in enclave memory"),
        (HEAD + 'files."/run/secrets" = "x"\n', "not in enclave memory"),
        (HEAD + 'required = ["../x"]\n', "secrets.required"),
        (HEAD + 'requird = ["x"]\n', "did you mean 'secrets.required'"),
        (HEAD + f"required = [{', '.join(repr(f's{n}') for n in range(65))}]\n".replace("'", '"'), "more than 64"),
    ],
)
def test_mistakes_are_explained(text: str, sentence: str) -> None:
    with pytest.raises(ManifestError, match=sentence):
        secrets_of(text)


def test_a_secret_never_lies_in_a_host_directory() -> None:
    text = HEAD + 'files."/run/secrets/host/x" = "x"\n[sgx]\nallowed_files = ["file:/run/secrets/host/"]\n'
    with pytest.raises(ManifestError, match="not in enclave memory"):
        secrets_of(text)
