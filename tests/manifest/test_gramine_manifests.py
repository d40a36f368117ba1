"""Manifests as users of Gramine and GSC write them, rendered: they load, and each key either acts or says why not."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from casemate.manifest import HostMount, TmpfsMount, canonical_bytes, parse_canonical

from .images import DIRECTORY, FILES, Inode, build, image, read

PYTHON = """
# Python, in the style of Gramine's examples
loader.entrypoint.uri = "file:/usr/lib/x86_64-linux-gnu/gramine/libsysdb.so"
libos.entrypoint = "/usr/bin/python3"

loader.log_level = "error"
loader.insecure__use_cmdline_argv = true
loader.env.LD_LIBRARY_PATH = "/lib:/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu"
loader.env.HOME = "/root"

fs.mounts = [
  { path = "/lib", uri = "file:/usr/lib/x86_64-linux-gnu/gramine/runtime/glibc" },
  { path = "/usr/lib", uri = "file:/usr/lib" },
  { path = "/usr/bin/python3", uri = "file:/usr/bin/python3" },
  { type = "tmpfs", path = "/tmp" },
]

sys.stack.size = "2M"
sys.enable_extra_runtime_domain_names_conf = true

sgx.debug = true
sgx.edmm_enable = false
sgx.enclave_size = "512M"
sgx.max_threads = 32
sgx.remote_attestation = "dcap"
sgx.trusted_files = [
  "file:/usr/bin/python3",
  "file:/usr/lib/",
  "file:scripts/",
]
"""

REDIS = """
loader.entrypoint.uri = "file:/usr/lib/x86_64-linux-gnu/gramine/libsysdb.so"
libos.entrypoint = "/redis-server"
loader.log_level = "error"
loader.argv = ["redis-server", "--save", "", "--protected-mode", "no"]
loader.env.LD_LIBRARY_PATH = "/lib:/usr/lib"

[fs]
mounts = [
  { path = "/lib", uri = "file:/usr/lib/x86_64-linux-gnu/gramine/runtime/glibc" },
  { path = "/redis-server", uri = "file:redis-server" },
]

[sys]
insecure__allow_eventfd = true
brk.max_size = "1M"

[sgx]
enclave_size = "1024M"
thread_num = 8
insecure__rpc_thread_num = 0
use_exinfo = true
preheat_enclave = false
cpu_features.avx = "required"
seal_key.flags_mask = "0xffffffffffffffff"

[[sgx.trusted_files]]
uri = "file:redis-server"
sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""

NGINX = """
loader.entrypoint.uri = "file:/usr/lib/x86_64-linux-gnu/gramine/libsysdb.so"
libos.entrypoint = "/usr/sbin/nginx"
loader.argv = ["nginx", "-c", "conf/nginx-gramine.conf"]
loader.uid = 33
loader.gid = 33
loader.env = { LC_ALL = "C", PATH = { value = "/usr/sbin" }, TZ = { passthrough = true } }
fs.start_dir = "/srv"
fs.root = { type = "chroot", uri = "file:/" }
fs.mounts = [
  { path = "/srv/logs", uri = "file:/var/log/nginx" },
  { type = "encrypted", path = "/srv/tls", uri = "file:/srv/tls", key_name = "tls" },
]
sys.enable_sigterm_injection = true
sys.fds.limit = 4096
sgx.enclave_size = "1G"
sgx.max_threads = 16
sgx.allowed_files = ["file:/var/log/nginx/"]
sgx.file_check_policy = "strict"
"""

GSC = """
sgx.enclave_size = "4G"
sgx.max_threads = 64

[loader.env]
LD_LIBRARY_PATH = "/opt/lib"
MODE = { value = "production" }
LISTEN = { passthrough = true }
"""

ALL = {"python": PYTHON, "redis": REDIS, "nginx": NGINX, "gsc": GSC}
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "manifest.schema.json").read_text())
CONTENT = {
    **FILES,
    "/lib": DIRECTORY,
    "/redis-server": Inode(),
    "/usr/sbin/nginx": Inode(),
}


def keys(name: str) -> set[str]:
    return {warning.key for warning in read(ALL[name]).warnings}


@pytest.mark.parametrize("name", ALL)
def test_it_loads_and_becomes_what_the_enclave_accepts(name: str) -> None:
    manifest = build(image(["python3"], files=CONTENT), ALL[name])
    assert parse_canonical(canonical_bytes(manifest)) == manifest


@pytest.mark.parametrize("name", ALL)
def test_the_json_schema_agrees(name: str) -> None:
    jsonschema.validate(tomllib.loads(ALL[name]), SCHEMA)


@pytest.mark.parametrize(
    "text", ["sgx.enclave_sise = 1", "sgx.max_threads = '4'", "loader.env.A = 1", "fs.mounts = [{}]"]
)
def test_the_json_schema_refuses_what_is_refused(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(text), SCHEMA)


def test_python() -> None:
    manifest = build(image(["python3"], env=["LD_LIBRARY_PATH=/app"], files=CONTENT), PYTHON)
    assert (manifest.program, manifest.argv, manifest.args_from_host) == (
        "/usr/bin/python3",
        ["/usr/bin/python3"],
        True,
    )
    assert manifest.mounts == [TmpfsMount(path="/tmp")]
    assert (manifest.enclave_size, manifest.max_threads, manifest.stack_size) == (512 << 20, 32, 2 << 20)
    assert (manifest.edmm, manifest.debug) == ("off", True)
    assert next(v.value for v in manifest.env if v.name == "LD_LIBRARY_PATH").endswith("/x86_64-linux-gnu:/app")
    assert keys("python") == {"loader.entrypoint", "sgx.remote_attestation", "sgx.trusted_files"}


def test_redis() -> None:
    manifest = build(image(["docker-entrypoint.sh"], ["redis-server"], files=CONTENT), REDIS)
    assert manifest.program == "/redis-server"
    assert manifest.argv == ["redis-server", "--save", "", "--protected-mode", "no"]
    assert (manifest.max_threads, manifest.brk_max_size) == (8, 1 << 20)
    assert manifest.insecure == []
    assert keys("redis") == {
        "loader.entrypoint",
        "sys.insecure__allow_eventfd",
        "sgx.thread_num",
        "sgx.insecure__rpc_thread_num",
        "sgx.use_exinfo",
        "sgx.preheat_enclave",
        "sgx.cpu_features",
        "sgx.trusted_files",
    }


def test_nginx() -> None:
    manifest = build(image(["nginx"], files=CONTENT), NGINX)
    assert (manifest.cwd, manifest.uid, manifest.gid, manifest.fds_limit) == ("/srv", 33, 33, 4096)
    assert manifest.mounts[0] == HostMount(path="/srv/logs", source="/var/log/nginx", read_only=False)
    assert [mount.type for mount in manifest.mounts] == ["host", "encrypted"]
    assert manifest.takes_from_host("TZ")
    assert keys("nginx") == {"loader.entrypoint", "fs.root", "sys.enable_sigterm_injection"}


def test_gsc() -> None:
    facts = image(["python3"], ["-V"], env=["PATH=/usr/bin", "LD_LIBRARY_PATH=/usr/local/lib"])
    manifest = build(facts, GSC)
    assert (manifest.enclave_size, manifest.max_threads) == (4 << 30, 64)
    assert manifest.argv == ["python3", "-V"]
    assert [(var.name, var.value) for var in manifest.env] == [
        ("PATH", "/usr/bin"),
        ("LD_LIBRARY_PATH", "/opt/lib:/usr/local/lib"),
        ("HOME", "/root"),
        ("MODE", "production"),
        ("LISTEN", None),
    ]
    assert keys("gsc") == set()
