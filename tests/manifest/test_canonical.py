"""The canonical form: one manifest, one sequence of bytes, read by the enclave's own code."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate._core import check_manifest
from casemate.manifest import CanonicalManifest, EnvVar, HostMount, ManifestError, canonical_bytes, parse_canonical

from .images import ROOT, build, image

SAMPLE = build(
    image(["python3", "-c"], ["print('ä\\n')"], user="app"),
    'loader.env.TOKEN = { passthrough = true }\nsgx.allowed_files = ["file:/shared"]',
)


def test_the_bytes_are_sorted_compact_json_with_a_final_newline() -> None:
    data = canonical_bytes(SAMPLE)
    value = json.loads(data)
    assert data == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    assert value["index"] == {"root": ROOT.hex(), "size": 4096}
    assert value["env"][-1] == {"name": "TOKEN", "from_host": True}
    assert value["mounts"] == [{"path": "/shared", "read_only": False, "source": "/shared", "type": "host"}]


def test_the_defaults_are_the_documented_ones() -> None:
    manifest = build()
    assert (manifest.enclave_size, manifest.max_threads) == (64 << 30, 256)
    assert (manifest.stack_size, manifest.brk_max_size, manifest.fds_limit) == (8 << 20, 16 << 30, 1024)
    assert (manifest.log_level, manifest.edmm, manifest.umask) == ("warning", "auto", 0o022)
    assert manifest.names_from_host
    assert manifest.insecure == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('sgx.enclave_size = "256M"', {"enclave_size": 256 << 20, "brk_max_size": 64 << 20}),
        ('sys.stack.size = "100K"\nsys.brk.max_size = 5000', {"stack_size": 102400, "brk_max_size": 8192}),
        ("sys.fds.limit = 65536\nsgx.max_threads = 4", {"fds_limit": 65536, "max_threads": 4}),
        ("sgx.edmm_enable = true\nsgx.debug = true", {"edmm": "required", "debug": True}),
        ("sgx.edmm_enable = false", {"edmm": "off"}),
        ("sgx.exitless_threads = 2", {"exitless_threads": 2}),
        ("sgx.exitless_threads = 0", {}),
        ("sgx.isvprodid = 7\nsgx.isvsvn = 65535", {"isv_prod_id": 7, "isv_svn": 65535}),
        (
            'sgx.seal_key.flags_mask = "0xFFFFFFFFFFFFFFFD"\nsgx.seal_key.misc_mask = "0x0"',
            {"seal_key": {"flags_mask": (1 << 64) - 3, "misc_mask": 0, "xfrm_mask": 3}},
        ),
        ('loader.log_level = "all"', {"log_level": "all"}),
        ("sys.disallow_subprocesses = true", {"disallow_subprocesses": True}),
        ("sys.enable_extra_runtime_domain_names_conf = false", {"names_from_host": False}),
        ("loader.insecure__use_host_env = true", {"env_from_host_all": True}),
    ],
)
def test_each_key_reaches_its_member(text: str, expected: dict[str, object]) -> None:
    members = build(text=text).model_dump()
    assert {name: members[name] for name in expected} == expected
    untouched = build().model_dump()
    changed = {name for name, value in members.items() if value != untouched[name]}
    assert changed == set(expected)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('sgx.enclave_size = "64M"\n\nsys.stack.size = "32M"', "app.toml:3: the stack of 32M is more than a quarter"),
        ('sgx.enclave_size = "64M"\n\nsys.brk.max_size = "1G"', "app.toml:3: the program break of 1G is more than"),
    ],
)
def test_limits_that_do_not_fit_the_enclave_are_refused(text: str, says: str) -> None:
    with pytest.raises(ManifestError) as caught:
        build(text=text)
    assert caught.value.diagnostics().startswith(says)


def test_what_the_enclave_would_refuse_is_not_written() -> None:
    with pytest.raises(ManifestError, match="arguments and environment together have more than 2 MiB"):
        build(image(["sh"], ["x" * 100_000] * 30))
    with pytest.raises(ManifestError, match="an item has 128 KiB or more"):
        build(image(["sh"], ["x" * (128 << 10)]))
    with pytest.raises(ManifestError, match="half a character"):
        build(image(["sh"], ["\ud800"]))
    with pytest.raises(ManifestError, match="holds a NUL"):
        build(image(["sh"], ["a\0b"]))


def test_other_bytes_are_refused_by_the_enclaves_reader() -> None:
    data = canonical_bytes(SAMPLE)
    spaced, escaped = data.replace(b":", b": ", 1), data.replace("ä".encode(), b"\\u00e4")
    assert escaped != data
    for other in (b"", b"{}\n", data[:-1], data + b"\n", spaced, escaped):
        with pytest.raises(ManifestError) as caught:
            parse_canonical(other, "image.tar: manifest.json")
        assert caught.value.diagnostics().startswith("image.tar: manifest.json: the manifest ")


def test_missing_trusted_files_are_warned_about() -> None:
    warnings: list[str] = []
    listed = ['"file:/usr/bin/python3"', '"file:/etc/"', '"file:*.so"', '{ uri = "file:/gone" }']
    listed += [f'"file:/gone/{number}"' for number in range(4)]
    build(text=f"sgx.trusted_files = [\n{chr(10).join(item + ',' for item in listed)}\n]", warnings=warnings)
    assert warnings == [
        "app.toml:1: 'sgx.trusted_files': no effect: all files of the image are already vouched for by its file index",
        "app.toml:5: 'sgx.trusted_files': '/gone' is not in the image and will not be there at run time",
        "app.toml:6: 'sgx.trusted_files': '/gone/0' is not in the image and will not be there at run time",
        "app.toml:7: 'sgx.trusted_files': '/gone/1' is not in the image and will not be there at run time",
        "app.toml:1: 'sgx.trusted_files': 2 more files are not in the image",
    ]


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0="), min_size=1, max_size=8)
PARTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/."), min_size=1, max_size=6)


@given(
    argv=st.lists(TEXTS, min_size=1, max_size=4),
    env=st.dictionaries(NAMES, TEXTS | st.none(), max_size=4),
    paths=st.lists(PARTS.map(lambda part: f"/m-{part}"), max_size=3, unique=True),
    size=st.integers(26, 46).map(lambda bits: 1 << bits),
    ids=st.lists(st.integers(0, (1 << 31) - 1), min_size=2, max_size=4),
)
def test_what_python_writes_the_enclave_reads(
    argv: list[str], env: dict[str, str | None], paths: list[str], size: int, ids: list[int]
) -> None:
    variables = [
        EnvVar(name=name, value=value) if value is not None else EnvVar(name=name, from_host=True)
        for name, value in env.items()
    ]
    manifest = CanonicalManifest.model_validate(
        SAMPLE.model_dump()
        | {
            "argv": argv,
            "env": [variable.model_dump() for variable in variables],
            "mounts": [HostMount(path=path, source=path, read_only=True).model_dump() for path in paths],
            "enclave_size": size,
            "brk_max_size": size // 4,
            "stack_size": 64 << 10,
            "uid": ids[0],
            "gid": ids[1],
            "groups": ids[1:],
        }
    )
    data = canonical_bytes(manifest)
    check_manifest(data)
    assert parse_canonical(data) == manifest
    assert canonical_bytes(parse_canonical(data)) == data
