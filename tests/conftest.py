"""Fixtures that every test may use: real root file systems and images (see ``images.py``), a private cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests import images

T = TypeVar("T")


def _or_skip(make: Callable[[], T]) -> T:
    try:
        return make()
    except images.ToolMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def debian_tar() -> Path:
    """A Debian root file system with python3, as a tar."""
    return _or_skip(images.debian_tar)


@pytest.fixture(scope="session")
def debian_rootfs(debian_tar: Path) -> Path:
    """The same as a directory, to run programs natively in (``chroot``)."""
    return images.unpacked(debian_tar)


@pytest.fixture(scope="session")
def busybox_rootfs() -> Path:
    """musl, busybox with its applets, and ``/bin/hello`` linked against musl."""
    return _or_skip(images.busybox_rootfs)


@pytest.fixture(scope="session")
def go_rootfs() -> Path:
    """``/hello``, a static Go program, and nothing else."""
    return _or_skip(images.go_rootfs)


@pytest.fixture(scope="session")
def debian_image() -> str:
    """Reference of an OCI layout of ``debian_rootfs`` that runs ``python3 -c "print('hello')"``."""
    return _or_skip(images.debian_image)


@pytest.fixture(scope="session")
def busybox_image() -> str:
    """Reference of an OCI layout of ``busybox_rootfs`` that runs ``busybox uname -a``."""
    return _or_skip(images.busybox_image)


@pytest.fixture(scope="session")
def go_image() -> str:
    """Reference of an OCI layout of ``go_rootfs`` that runs ``/hello``."""
    return _or_skip(images.go_image)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Casemate's for this test alone."""
    path = tmp_path / "cache"
    path.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    return path


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests never read or fill the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("xdg-cache")))
        yield


@pytest.fixture(scope="session")
def runtime_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runtime binaries, or, where they are not built, stand-ins for tests that do not run them."""
    from casemate.loader import files

    directory = files.RUNTIME_DIRECTORY
    if not all((directory / name).is_file() for name in ("casemate-host", "enclave", "init")):
        directory = tmp_path_factory.mktemp("runtime")
        (directory / "casemate-host").write_bytes(b"\x7fELF loader")
        (directory / "enclave").write_bytes(b"\x7fELF enclave")
        (directory / "init").write_bytes(b"\x7fELF init")
    return directory


@pytest.fixture
def runtime_files(runtime_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds work whether or not the runtime is built."""
    from casemate.loader import files

    monkeypatch.setattr(files, "RUNTIME_DIRECTORY", runtime_directory)
