"""``casemate build --manifest``: from an image and a TOML file to the manifest in the shielded image."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from casemate.errors import CasemateError
from casemate.image.build import BuildOptions, build
from casemate.image.references import parse_reference
from casemate.image.shielded import read_bundle
from casemate.image.sources import open_source
from casemate.manifest import EntryPointError, HostMount, ManifestError, UserError, parse_canonical
from tests.image.builder import ELF, Layout, entry, tar

pytestmark = pytest.mark.usefixtures("cache", "runtime_files")

PASSWD = b"root:x:0:0::/root:/bin/sh\napp:x:7:8::/home/app:/bin/sh\n"
GROUP = b"app:x:8:\nextra:x:9:app\n"


@pytest.fixture
def source(tmp_path: Path) -> str:
    files = tar(
        entry("etc", tarfile.DIRTYPE),
        (entry("etc/passwd"), PASSWD),
        (entry("etc/group"), GROUP),
        entry("bin", tarfile.DIRTYPE),
        (entry("bin/real"), ELF),
        entry("bin/hello", tarfile.SYMTYPE, linkname="real"),
    )
    config = {"Entrypoint": ["hello"], "Cmd": ["world"], "User": "app", "Env": ["PATH=/bin", "A=1"]}
    return Layout([files], config=config).write(tmp_path / "in")


def test_the_users_manifest_goes_over_the_image(source: str, tmp_path: Path) -> None:
    toml = tmp_path / "app.toml"
    toml.write_text('loader.env.A = "2"\nsgx.allowed_files = ["file:/data"]\nsgx.preheat_enclave = true\n')
    target = parse_reference(f"oci:{tmp_path}/out:x")
    result = build(parse_reference(source), target, BuildOptions(manifest=toml, insecure_args=True))
    with open_source(target) as image:
        files = read_bundle(image)
    manifest = parse_canonical(files["manifest.json"])
    assert (manifest.program, manifest.argv, manifest.default_args) == ("/bin/hello", ["hello"], ["world"])
    assert (manifest.uid, manifest.gid, manifest.groups) == (7, 8, [8, 9])
    assert [(var.name, var.value) for var in manifest.env] == [("PATH", "/bin"), ("A", "2"), ("HOME", "/home/app")]
    assert manifest.mounts == [HostMount(path="/data", source="/data", read_only=False)]
    assert (manifest.index.root, manifest.index.size) == (result.index_root, len(files["index"]))
    assert result.warnings == [f"{toml}:3: 'sgx.preheat_enclave': no effect: memory is added when it is first used"]


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        (
            "\nsgx.max_thread = 1",
            ManifestError,
            "app.toml:2: unknown key 'sgx.max_thread'; did you mean 'sgx.max_threads'?",
        ),
        ('\nlibos.entrypoint = "/gone"', EntryPointError, "app.toml:2: the program '/gone' is not in the image"),
        ('\nlibos.entrypoint = "/etc/passwd"', CasemateError, "'/etc/passwd' is neither an x86-64 ELF program"),
    ],
)
def test_a_mistake_in_it_leaves_nothing_behind(
    source: str, tmp_path: Path, text: str, kind: type[CasemateError], says: str
) -> None:
    toml = tmp_path / "app.toml"
    toml.write_text(text)
    with pytest.raises(kind) as caught:
        build(parse_reference(source), parse_reference(f"oci:{tmp_path}/out:x"), BuildOptions(manifest=toml))
    assert says in caught.value.diagnostics()
    assert not (tmp_path / "out").exists()


def test_an_image_whose_user_is_not_in_it_is_refused(tmp_path: Path) -> None:
    source = Layout([tar((entry("hello"), ELF))], config={"Entrypoint": ["/hello"], "User": "app"}).write(
        tmp_path / "in"
    )
    with pytest.raises(UserError, match="no user 'app'"):
        build(parse_reference(source), parse_reference(f"oci:{tmp_path}/out:x"), BuildOptions())
