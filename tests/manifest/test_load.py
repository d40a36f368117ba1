"""User manifests that are refused or warned about, and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.errors import CasemateError
from casemate.manifest import ManifestError, load_user_manifest
from casemate.manifest.load import dotted, nearest_key
from casemate.manifest.unused import UNUSED

from .images import read


def refusal(text: str) -> str:
    with pytest.raises(ManifestError) as caught:
        read(text)
    return caught.value.diagnostics()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[sgx]\nenclave_sise = "1G"', "app.toml:2: unknown key 'sgx.enclave_sise'; did you mean 'sgx.enclave_size'?"),
        ("max_threads = 4", "app.toml:1: unknown key 'max_threads'; did you mean 'sgx.max_threads'?"),
        ("[slg]", "app.toml:1: unknown key 'slg'; did you mean 'sgx'?"),
        ("sgx.uid = 0", "app.toml:1: unknown key 'sgx.uid'; did you mean 'loader.uid'?"),
        ("fs.mount.lib = 1", "app.toml:1: unknown key 'fs.mount'; did you mean 'fs.mounts'?"),
        ("sgx.prehaet_enclave = true", "did you mean 'sgx.preheat_enclave'?"),
        ("sys.stack.sise = 1", "unknown key 'sys.stack.sise'; did you mean 'sys.stack.size'?"),
        (
            'fs.mounts = [\n{ path = "/x", url = "file:/x" }]',
            "app.toml:2: unknown key 'fs.mounts[0].url'; did you mean 'fs.mounts.uri'?",
        ),
        ("zzqx = 1", "app.toml:1: unknown key 'zzqx'; take it out"),
    ],
)
def test_an_unknown_key_names_its_line_and_the_nearest_known_one(text: str, says: str) -> None:
    assert says in refusal(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('sgx.max_threads = "4"', "'sgx.max_threads': expected an integer, found \"4\""),
        ("sgx.max_threads = 4.0", "expected an integer, found 4.0"),
        ("sgx.max_threads = true", "expected an integer, found true"),
        ("sgx.max_threads = 0", "expected at least 1, found 0"),
        ("sgx.isvsvn = 65536", "expected at most 65535, found 65536"),
        ("sgx.debug = 1", "'sgx.debug': expected true or false, found 1"),
        ("sgx.seal_key.xfrm_mask = 3", "'sgx.seal_key.xfrm_mask': expected a string of hexadecimal digits"),
        ('sgx.seal_key.misc_mask = "0x100000000"', "'sgx.seal_key.misc_mask': expected at most 4294967295"),
        ('sgx.seal_key.flags_mask = "0x10000000000000000"', "expected a string of hexadecimal digits"),
        ("sgx = 1", "'sgx': expected a table, found 1"),
        ('loader.argv = "python3"', "'loader.argv': expected an array, found \"python3\""),
        ("loader.argv = []", "expected at least one item, found an array"),
        ('loader.argv = ["a", 1979-05-27]', "'loader.argv[1]': expected a string, found a date"),
        ('loader.argv = ["a\\u0000"]', "'loader.argv[0]': it holds a NUL character"),
        ("loader.uid = -1", "'loader.uid': expected at least 0, found -1"),
        ('loader.log_level = "info"', "expected one of 'none', 'error', 'warning', 'debug', 'trace' or 'all'"),
        ('sgx.enclave_size = "3G"', 'expected a power of two, found "3G"'),
        ('sgx.enclave_size = "1M"', "expected 64M to 65536G"),
        ('sgx.enclave_size = "big"', 'expected a size like "256M"'),
        ('sys.stack.size = "4K"', "expected at least 64K"),
        ("loader.env.A = 1", 'expected a string, { value = "…" } or { passthrough = true }, found 1'),
        ('loader.env.A = { value = "x", passthrough = true }', "expected either value or passthrough"),
        ("loader.env.A = {}", "expected either value or passthrough"),
        ("loader.env.A = { passthrough = false }", "variables of the host do not come in unless named"),
        ('loader.env."A=B" = "x"', "'A=B' cannot be a variable's name"),
        ('fs.start_dir = "app"', "expected an absolute path, found 'app'"),
        ('fs.mounts = [{ type = "tmpfs" }]', "'fs.mounts[0].path' is missing"),
        ('fs.mounts = [{ path = "/x" }]', "a mount of type 'chroot' needs a 'uri'"),
        ('fs.mounts = [{ path = "/x/../y", uri = "file:/y" }]', "expected an absolute path without '..'"),
        ('fs.mounts = [{ path = "/x", uri = "/y" }]', "expected a URI like 'file:/path', found '/y'"),
        ('fs.mounts = [{ path = "/dev/x", uri = "dev:x" }]', "a device of the host, which cannot be reached"),
        ('fs.mounts = [{ type = "tmpfs", path = "/proc" }]', "nothing can be mounted at '/proc'"),
        ('fs.mounts = [{ type = "tmpfs", path = "/x", key_name = "k" }]', "a mount of type 'tmpfs' has no 'key_name'"),
        (
            'fs.mounts = [{ type = "tmpfs", path = "/x", read_only = true }]',
            "a mount of type 'tmpfs' has no 'read_only'",
        ),
        (
            'fs.mounts = [{ type = "untrusted_shm", path = "/x", uri = "dev:x" }]',
            "expected one of 'chroot', 'encrypted' or 'tmpfs'",
        ),
        ('fs.insecure__keys.k = "00"', "'fs.insecure__keys.k': expected 32 hexadecimal digits, found \"00\""),
        ('fs.insecure__keys."a/b" = "00112233445566778899aabbccddeeff"', "cannot be a key's name"),
        ('fs.root.uri = "file:/other"', "'fs.root' can only be the image itself"),
        ('sgx.allowed_files = ["/data"]', "expected a URI like 'file:/path'"),
        ('loader.argv = ["a"]\nloader.insecure__use_cmdline_argv = true', "exclude each other"),
    ],
)
def test_a_wrong_value_says_what_was_expected(text: str, says: str) -> None:
    message = refusal(text)
    assert message.startswith("app.toml:1: ")
    assert says in message


def test_all_mistakes_are_told_at_once_each_on_its_line() -> None:
    text = '[loader]\nuid = "x"\n\n[sgx]\n# five\nmax_thread = 1\ndebug = 0\n'
    assert [line.split(": ")[0] for line in refusal(text).splitlines()] == ["app.toml:2", "app.toml:6", "app.toml:7"]


def test_text_that_is_no_toml_names_line_and_column() -> None:
    assert (
        refusal("sgx.debug = true\nsgx.debug = = 1")
        == "app.toml:2:13: this is not TOML: invalid value; correct the line"
    )
    assert "app.toml:2:" in refusal("a = 1\na = 2\n")
    assert refusal('a = "').startswith("app.toml:1")


def test_a_jinja_template_is_recognised() -> None:
    assert "app.toml:2: '{% set x = 1 %}' is Jinja" in refusal("sgx.debug = true\n{% set x = 1 %}\n")
    assert refusal("sgx.edmm_enable = {{ edmm }}").startswith("app.toml:1: '{{ edmm }}' is Jinja")
    [warning] = read('loader.env.A = "/lib:{{ arch_libdir }}"').warnings
    assert str(warning) == "app.toml:1: '{{ arch_libdir }}': taken as it stands, although it looks like a template"
    assert read("# {{ comment }}\n").warnings == ()


@pytest.mark.parametrize("name", UNUSED)
def test_keys_without_effect_are_accepted_with_a_reason(name: str) -> None:
    manifest = read(f"\n{name} = true")
    [warning] = manifest.warnings
    assert (warning.where, warning.key) == ("app.toml:2", name)
    assert str(warning) == f"app.toml:2: '{name}': no effect: {UNUSED[name]}"


def test_a_table_without_effect_is_passed_over_whole() -> None:
    warnings = read('[sgx.profile]\nenable = "all"\nfrequency = 50\n').warnings
    assert [warning.key for warning in warnings] == ["sgx.profile"]


def test_former_names_are_taken() -> None:
    manifest = read("\nsgx.thread_num = 8")
    assert manifest.sgx.max_threads == 8
    assert [str(w) for w in manifest.warnings] == [
        "app.toml:2: 'sgx.thread_num': this is the former name of 'sgx.max_threads'"
    ]
    assert "app.toml:1: 'sgx.max_threads': expected an integer" in refusal('sgx.thread_num = "8"')
    assert "unknown key 'sgx.thread_num'" in refusal("sgx.thread_num = 8\nsgx.max_threads = 9")


def test_gramines_name_of_a_key_is_taken() -> None:
    manifest = read("sgx.insecure__rpc_thread_num = 2")
    assert manifest.sgx.exitless_threads == 2
    assert [str(w) for w in manifest.warnings] == [
        "app.toml:1: 'sgx.insecure__rpc_thread_num': this is Gramine's name of 'sgx.exitless_threads'"
    ]
    assert "'sgx.exitless_threads': expected at most 64, found 65" in refusal("sgx.insecure__rpc_thread_num = 65")
    both = "sgx.exitless_threads = 1\nsgx.insecure__rpc_thread_num = 2"
    assert "unknown key 'sgx.insecure__rpc_thread_num'" in refusal(both)


def test_a_root_that_is_the_image_anyway_and_an_open_policy_are_warned_about() -> None:
    text = 'fs.root = { type = "chroot", uri = "file:/" }\nsgx.file_check_policy = "allow_all_but_log"\n'
    assert [warning.key for warning in read(text).warnings] == ["fs.root", "sgx.file_check_policy"]


def test_files_are_read_with_their_own_errors(tmp_path: Path) -> None:
    path = tmp_path / "app.toml"
    with pytest.raises(CasemateError, match=r"app\.toml: the file cannot be read: No such file"):
        load_user_manifest(path)
    path.write_bytes(b"sgx.debug = true\n# \xff\n")
    with pytest.raises(ManifestError, match=r"app\.toml:2: the manifest is not UTF-8"):
        load_user_manifest(path)
    path.write_text("sgx.debug = true\n")
    assert load_user_manifest(str(path)).sgx.debug


def test_arguments_and_variables_come_from_files_beside_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "args").write_bytes("python3\0-c\0ä\0\0".encode())
    (tmp_path / "env").write_bytes(b"A=1\0B=x=y\0")
    path = tmp_path / "app.toml"
    path.write_text('loader.argv_src_file = "file:args"\nloader.env_src_file = "file:env"\n')
    manifest = load_user_manifest(path)
    assert manifest.argv == ["python3", "-c", "ä", ""]
    assert manifest.env_from_file == ["A=1", "B=x=y"]


@pytest.mark.parametrize(
    ("key", "data", "says"),
    [
        ("argv_src_file", None, "the file cannot be read"),
        ("argv_src_file", b"a\0b", "does not end with a NUL"),
        ("argv_src_file", b"", "holds no arguments"),
        ("argv_src_file", b"\xff\0", "not UTF-8"),
        ("env_src_file", b"A=1\0novalue\0", "'novalue', which is not NAME=VALUE"),
        ("env_src_file", b"=1\0", "'=1', which is not NAME=VALUE"),
    ],
)
def test_unusable_argument_files_are_refused(tmp_path: Path, key: str, data: bytes | None, says: str) -> None:
    if data is not None:
        (tmp_path / "items").write_bytes(data)
    with pytest.raises(CasemateError) as caught:
        read(f'loader.{key} = "file:items"', tmp_path)
    assert caught.value.diagnostics().startswith("app.toml:1")
    assert says in caught.value.diagnostics()


def test_an_empty_manifest_is_one() -> None:
    assert read("").warnings == ()


def answer(text: str) -> str:
    """Empty when the text is accepted, otherwise the refusal. Any other exception is a bug."""
    try:
        read(text)
    except CasemateError as error:
        return error.diagnostics()
    return ""


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    assert answer(text).startswith("app.toml") or not answer(text)


TOML_VALUES = st.sampled_from(['"x"', "1", "-1", "1.5", "true", "[]", "[1]", '["x"]', "{}", "{ a = 1 }", "1979-05-27"])
TOML_KEYS = st.sampled_from(
    [
        "loader",
        "loader.argv",
        "loader.env",
        "loader.env.A",
        "loader.uid",
        "loader.log_level",
        "libos",
        "libos.entrypoint",
        "fs",
        "fs.root",
        "fs.mounts",
        "fs.insecure__keys",
        "sys",
        "sys.stack",
        "sys.stack.size",
        "sys.fds.limit",
        "sgx",
        "sgx.enclave_size",
        "sgx.thread_num",
        "sgx.trusted_files",
        "sgx.allowed_files",
        "sgx.edmm_enable",
    ]
)


@given(TOML_KEYS, TOML_VALUES)
def test_any_value_at_any_key_is_read_or_refused_in_words(key: str, value: str) -> None:
    text = f"{key} = {value}"
    assert answer(text).startswith("app.toml:1: ") or not answer(text)


def test_paths_are_written_as_in_toml() -> None:
    assert dotted(("fs", "mounts", 2, "uri")) == "fs.mounts[2].uri"
    assert nearest_key(("loader", "argvv")) == "loader.argv"
