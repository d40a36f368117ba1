"""Images without glibc: musl and a static busybox; one static Go program and nothing else. The same natively and inside."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.run.both import ALL, PLATFORMS, Both, Look, make_both

ENVIRONMENT = {"PATH": "/bin", "HOME": "/root"}
APPLETS = {
    "ls": ["ls", "-lR", "/bin", "/lib"],
    "awk": ["awk", "BEGIN { for (i = 1; i <= 1000; i++) { s += i * i; t = t sprintf(\"%x\", i) } print s, length(t), sin(1) }"],
    "awk of a file": ["awk", "-F:", "{ print NR, $1, $NF }", "/etc/passwd"],
    "sha256sum": ["sha256sum", "/bin/busybox", "/lib/ld-musl-x86_64.so.1"],
    "dynamic": ["hello"],
    "find": ["find", "/bin", "-type", "l", "-name", "a*"],
    "sed": ["sed", "s/root/ROOT/2", "/etc/passwd"],
    "missing": ["cat", "/missing"],
}  # fmt: skip
LOOKS = {"find": Look(ordered=False)}


@pytest.fixture(scope="module")
def busybox(busybox_rootfs: Path, tmp_path_factory: pytest.TempPathFactory) -> Both:
    return make_both(busybox_rootfs, tmp_path_factory.mktemp("busybox"), "/bin/env", ENVIRONMENT, copy=False)


@pytest.fixture(scope="module")
def go(go_rootfs: Path, tmp_path_factory: pytest.TempPathFactory) -> Both:
    return make_both(go_rootfs, tmp_path_factory.mktemp("go"), "/hello", {}, copy=False)


@pytest.mark.parametrize("name", list(APPLETS))
@pytest.mark.parametrize("platform", PLATFORMS)
def test_musl_and_busybox_print_the_same_as_natively(name: str, platform: str, busybox: Both) -> None:
    busybox.compare(platform, ["/bin/env", *APPLETS[name]], look=LOOKS.get(name, ALL))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_static_go_program_prints_the_same_as_natively(platform: str, go: Both) -> None:
    command = ["/hello", "one", "two"]
    go.compare(platform, command)
    assert go.natively(command).stdout.startswith(b"hello from go")
