"""Mounts, and which files of the host come in."""

from __future__ import annotations

import pytest

from casemate.manifest import EncryptedMount, HostMount, ManifestError, TmpfsMount

from .images import build, image


def host(path: str, source: str | None = None, read_only: bool = False) -> HostMount:
    return HostMount(path=path, source=source or path, read_only=read_only)


def test_an_allowed_file_is_a_host_mount_at_its_path() -> None:
    manifest = build(text='sgx.allowed_files = ["file:/shared/", "file:/etc/app.conf"]')
    assert manifest.mounts == [host("/shared"), host("/etc/app.conf")]
    assert manifest.host_mount("/shared") == host("/shared")
    assert manifest.host_mount("/shared/x") is None
    assert manifest.insecure == [
        "the host chooses what is in /shared, and sees what is written there (sgx.allowed_files, from /shared)",
        "the host chooses what is in /etc/app.conf, and sees what is written there (sgx.allowed_files, from /etc/app.conf)",
    ]


def test_a_chroot_mount_gives_an_allowed_directory_another_name() -> None:
    text = """
    fs.mounts = [{ type = "chroot", path = "/in", uri = "file:/host/dir", read_only = true }]
    sgx.allowed_files = ["file:/host/dir/"]
    """
    assert build(text=text).mounts == [host("/in", "/host/dir", read_only=True)]


def test_only_the_allowed_part_of_a_chroot_mount_is_shown() -> None:
    text = """
    fs.mounts = [{ path = "/in", uri = "file:/host" }]
    sgx.allowed_files = ["file:/host/a", "file:/host/b/c/", "file:/hostile"]
    """
    assert build(text=text).mounts == [host("/in/a", "/host/a"), host("/in/b/c", "/host/b/c"), host("/hostile")]


def test_a_mount_below_an_allowed_directory_is_shown_beside_it() -> None:
    text = 'fs.mounts = [{ path = "/in", uri = "file:/host/a" }]\nsgx.allowed_files = ["file:/host"]'
    assert build(text=text).mounts == [host("/in", "/host/a"), host("/host")]


def test_a_chroot_mount_alone_admits_nothing() -> None:
    warnings: list[str] = []
    text = """fs.mounts = [
    { path = "/usr/lib", uri = "file:/usr/lib" },
    { path = "/usr/bin", uri = "file:/somewhere/bin" },
    { path = "/volume", uri = "file:/volume" },
    ]"""
    assert build(text=text, warnings=warnings).mounts == []
    assert warnings == [
        "app.toml:2: 'fs.mounts[0]': no effect: '/usr/lib' is the image's, and 'sgx.allowed_files' names nothing of '/usr/lib'",
        "app.toml:3: 'fs.mounts[1]': no effect: '/usr/bin' is the image's, and 'sgx.allowed_files' names nothing of '/somewhere/bin'",
        "app.toml:4: 'fs.mounts[2]': no effect: '/volume' is not in the image, and 'sgx.allowed_files' names nothing of '/volume'",
    ]


def test_a_chroot_mount_of_what_is_nowhere_is_refused() -> None:
    with pytest.raises(ManifestError) as caught:
        build(text='\nfs.mounts = [{ path = "/models", uri = "file:/host/models" }]')
    assert caught.value.diagnostics() == (
        "app.toml:2: '/models' is not in the image, and host files only come in when they are allowed; put the files "
        "into the image at '/models', or, insecurely, add 'file:/host/models' to sgx.allowed_files"
    )


def test_relative_allowed_files_start_from_the_working_directory() -> None:
    warnings: list[str] = []
    manifest = build(image(["/bin/sh"], working_dir="/app"), 'sgx.allowed_files = ["file:scratch"]', warnings=warnings)
    assert manifest.mounts == [host("/app/scratch")]
    assert warnings == [
        "app.toml:1: 'sgx.allowed_files': 'file:scratch' is taken from the working directory: '/app/scratch'"
    ]


@pytest.mark.parametrize("path", ["/", "/proc/self", "/sys", "/dev", "/casemate/index", "."])
def test_nothing_is_allowed_where_the_enclave_makes_its_own(path: str) -> None:
    with pytest.raises(ManifestError, match=r"app\.toml:1: 'file:.*' cannot be allowed: nothing can be mounted at"):
        build(text=f'sgx.allowed_files = ["file:{path}"]')


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('sgx.allowed_files = ["file:/a/../b"]', "'file:/a/../b' has a '..' component"),
        ('fs.mounts = [{ type = "tmpfs", path = "/x" }, { type = "tmpfs", path = "/x/" }]', "the same path '/x'"),
        ('fs.mounts = [{ type = "tmpfs", path = "/x" }]\nsgx.allowed_files = ["file:/x"]', "the same path '/x'"),
    ],
)
def test_mounts_that_contradict_each_other_are_refused(text: str, says: str) -> None:
    with pytest.raises(ManifestError) as caught:
        build(text=text)
    assert says in caught.value.diagnostics()


def test_tmpfs_and_encrypted_mounts_are_carried_in_order() -> None:
    text = """
    fs.mounts = [
      { type = "encrypted", path = "/enc/", uri = "file:enc/./dir" },
      { type = "tmpfs", path = "/dev/shm", uri = "ignored" },
      { type = "encrypted", path = "/seal", uri = "file:/seal", key_name = "_sgx_mrenclave" },
    ]
    fs.insecure__keys.default = "00112233445566778899AABBCCDDEEFF"
    """
    manifest = build(text=text)
    assert manifest.mounts == [
        EncryptedMount(path="/enc", uri="file:enc/./dir", key_name="default"),
        TmpfsMount(path="/dev/shm"),
        EncryptedMount(path="/seal", uri="file:/seal", key_name="_sgx_mrenclave"),
    ]
    assert manifest.insecure_keys == {"default": "00112233445566778899aabbccddeeff"}
    assert manifest.insecure == ["the key 'default' is in the image for all to read (fs.insecure__keys.default)"]
