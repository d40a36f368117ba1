"""One root file system, natively (chroot) and as a signed image on each platform, to compare what programs print."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from casemate.loader.files import RUNTIME_DIRECTORY
from tests.bundles import unpack_bundle
from tests.signed import sign_bundle

PLATFORMS = ("direct", "softsgx")
Done = subprocess.CompletedProcess[bytes]


@dataclass(frozen=True)
class Look:
    """What of the output is compared: not the order where a directory's own order shows, nor lines that match."""

    ordered: bool = True
    without: str = ""

    def at(self, output: bytes) -> list[str]:
        lines = output.decode(errors="replace").splitlines()
        seen = [line for line in lines if not self.without or not re.search(self.without, line)]
        return seen if self.ordered else sorted(seen)


ALL = Look()


@dataclass(frozen=True)
class Both:
    """`root` is a copy that native programs may write to; `rootfs` stays as it was when it was indexed."""

    root: Path
    rootfs: Path
    bundle: Path
    environment: dict[str, str]
    _native: dict[tuple[str, ...], Done] = field(default_factory=dict)

    def natively(self, command: Sequence[str], timeout_s: float = 120) -> Done:
        """Run once; both platforms are compared with that."""
        key = tuple(command)
        if key not in self._native:
            chroot = [shutil.which("chroot", path="/usr/sbin:/usr/bin") or "chroot", str(self.root)]
            self._native[key] = _run([*chroot, *command], self.environment, timeout_s)
        return self._native[key]

    def loader(self, platform: str, command: Sequence[str]) -> list[str]:
        """The loader's command line for it."""
        bundle, fuses = str(self.bundle), str(self.bundle.with_name("fuses"))
        options = ["--bundle", bundle, "--root", str(self.rootfs), "--platform", platform, "--fuses", fuses]
        return [f"{bundle}/casemate-host", *options, "--", *command]

    def compare(self, platform: str, command: Sequence[str], *, timeout_s: float = 120, look: Look = ALL) -> None:
        """Standard output, as far as it is looked at, and exit status must be the same."""
        native = self.natively(command, timeout_s)
        inside = _run(self.loader(platform, command[1:]), {}, timeout_s)
        assert look.at(inside.stdout) == look.at(native.stdout), inside.stderr
        assert inside.returncode == native.returncode, inside.stderr


def _run(command: Sequence[str], environment: dict[str, str], timeout_s: float) -> Done:
    return subprocess.run(
        command, capture_output=True, env=environment, stdin=subprocess.DEVNULL, check=False, timeout=timeout_s
    )


def make_both(rootfs: Path, place: Path, launch: str, environment: dict[str, str], copy: bool = True) -> Both:
    """`launch` is the entry point, so every command begins with it; skips where root or the runtime is missing.

    Without `copy` native programs run in `rootfs` itself and must not write.
    """
    if os.geteuid() != 0:
        pytest.skip("the native side uses chroot: run as root")
    if not (RUNTIME_DIRECTORY / "casemate-host").is_file():
        pytest.skip("the runtime is not built")
    settings = "".join(f'loader.env.{name} = "{value}"\n' for name, value in environment.items())
    manifest = place / "manifest.toml"
    manifest.write_text(f'libos.entrypoint = "{launch}"\nloader.insecure__use_cmdline_argv = true\n{settings}')
    image = f"oci:{place}/image"
    build = ["build", f"dir:{rootfs}", "-o", image, "--manifest", str(manifest)]
    subprocess.run([sys.executable, "-m", "casemate", *build], check=True, stdout=subprocess.DEVNULL)
    bundle = place / "bundle"
    unpack_bundle(image, bundle)
    shutil.rmtree(place / "image")
    sign_bundle(bundle)
    return Both(_writable(rootfs, place / "native") if copy else rootfs, rootfs, bundle, environment)


def _writable(rootfs: Path, root: Path) -> Path:
    """A copy with the devices that programs look for; times stay."""
    subprocess.run(["cp", "-a", str(rootfs), str(root)], check=True)
    shutil.rmtree(root / "dev", ignore_errors=True)
    (root / "dev").mkdir()
    for name, number in (("null", 3), ("zero", 5), ("urandom", 9)):
        os.mknod(root / "dev" / name, 0o666 | 0o020000, os.makedev(1, number))
    shutil.copystat(rootfs, root)
    return root
