"""Runs programs inside the library OS: one shielded image a set of programs, its loader started directly.

The image's entry point is `launch` (launch.c), which becomes the program that its argument names.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.bundles import unpack_bundle
from tests.linux.outcome import ENVIRONMENT, Outcome, launcher, run
from tests.linux.variants import BUILD
from tests.signed import sign_bundle

_PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
_GROUP = "root:x:0:\nnogroup:x:65534:\n"


class InsideUnavailableError(Exception):
    """Programs cannot be run inside; the text says why and what to do."""


@dataclass(frozen=True)
class Image:
    """A root file system and the bundle that its index and manifest are in."""

    rootfs: Path
    bundle: Path

    def run(
        self,
        arguments: Iterable[str],
        trace: bool = False,
        stdin: bytes | None = None,
        platform: str = "direct",
        stats: bool = False,
    ) -> Outcome:
        """Runs a program of the image in a fresh instance; what it writes to files is gone afterwards."""
        return run(self.command(arguments, trace, platform, stats), "/tmp", {}, stdin)

    def command(
        self, arguments: Iterable[str], trace: bool = False, platform: str = "direct", stats: bool = False
    ) -> list[str]:
        """The loader's command line for a program of the image.

        Platform `softsgx-static`: the software device, and the enclave without dynamic memory. `softsgx-faithful`: the
        software device, where ENCLU is the instruction.
        """
        bundle = self.static_bundle() if platform == "softsgx-static" else self.bundle
        command = [str(bundle / "casemate-host"), "--bundle", str(bundle), "--root", str(self.rootfs)]
        command += ["--platform", platform.split("-")[0], "--fuses", str(self.bundle / "fuses")]
        command += ["--faithful"] if platform.endswith("-faithful") else []
        command += ["--trace"] if trace else []
        command += ["--stats"] if stats else []
        return [*command, "--", "/tmp/work", *arguments]

    def static_bundle(self) -> Path:
        """The bundle without the SIGSTRUCT of the enclave with dynamic memory."""
        static = self.bundle.with_name("bundle-static")
        static.mkdir(exist_ok=True)
        for file in self.bundle.iterdir():
            link = static / file.name
            if file.name != "sigstruct.edmm" and not link.is_symlink():
                with contextlib.suppress(FileExistsError):
                    link.symlink_to(file)
        return static


def make_image(
    name: str, programs: dict[str, Path], links: dict[str, str] | None = None, settings: tuple[str, ...] = ()
) -> Image:
    """An image with these programs (absolute path inside → file), symbolic links (→ target), and the C libraries that
    programs need; `settings` are lines of its manifest.

    It is kept in build/images/ until a program or the runtime changes.
    """
    directory = BUILD / "images" / name
    runtime = _runtime_directory()
    launch = launcher()
    key = _key([launch, *programs.values(), *sorted(runtime.iterdir())]) + "".join(settings)
    image = Image(directory / "rootfs", directory / "bundle")
    stamp = directory / "key"
    if stamp.exists() and stamp.read_text() == key:
        return image
    shutil.rmtree(directory, ignore_errors=True)
    _make_rootfs(image.rootfs, {**programs, "/bin/launch": launch})
    for inside, target in (links or {}).items():
        (image.rootfs / inside.lstrip("/")).symlink_to(target)
    _shield(directory, image, settings)
    stamp.write_text(key)
    return image


def _runtime_directory() -> Path:
    try:
        from casemate.loader import files
    except ImportError:
        raise InsideUnavailableError(
            f"casemate is not installed for {sys.executable}; run `make install` and use .venv/bin/python"
        ) from None
    directory = files.RUNTIME_DIRECTORY
    missing = [name for name in ("casemate-host", "enclave") if not (directory / name).is_file()]
    if missing:
        raise InsideUnavailableError(f"the runtime has no {' and no '.join(missing)}; run `make runtime`")
    return directory


def _key(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def libraries() -> dict[str, Path]:
    """The files that dynamically linked programs need, at the paths where they look for them."""
    found: dict[str, Path] = {}
    loader = Path("/lib64/ld-linux-x86-64.so.2")
    if loader.exists():
        found[str(loader)] = loader.resolve()
    # libgcc_s is what glibc loads to cancel threads.
    for name in ("libc.so.6", "libm.so.6", "libgcc_s.so.1"):
        shown = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
        path = Path(shown.stdout.strip())
        if path.is_absolute():
            found[f"/lib/x86_64-linux-gnu/{name}"] = path.resolve()
    musl = Path("/lib/ld-musl-x86_64.so.1")
    if musl.exists():
        found[str(musl)] = musl.resolve()
    return found


def _make_rootfs(rootfs: Path, programs: dict[str, Path]) -> None:
    for name in ("dev", "proc", "sys", "etc", "tmp", "root", "usr/bin"):
        (rootfs / name).mkdir(parents=True)
    (rootfs / "tmp").chmod(0o1777)
    (rootfs / "etc/passwd").write_text(_PASSWD)
    (rootfs / "etc/group").write_text(_GROUP)
    for inside, source in {**libraries(), **programs}.items():
        target = rootfs / inside.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o755)


def _shield(directory: Path, image: Image, settings: tuple[str, ...]) -> None:
    """`casemate build`, then the files of /casemate/ next to the root file system; the image itself is not kept."""
    manifest = directory / "manifest.toml"
    lines = [
        'libos.entrypoint = "/bin/launch"',
        "loader.insecure__use_cmdline_argv = true",
        f"loader.uid = {os.getuid()}",
        f"loader.gid = {os.getgid()}",
        *(f'loader.env.{name} = "{value}"' for name, value in ENVIRONMENT.items()),
        *settings,
    ]
    manifest.write_text("\n".join(lines) + "\n")
    output = directory / "image"
    command = [sys.executable, "-m", "casemate", "build", f"dir:{image.rootfs}", "-o", f"oci:{output}"]
    command += ["--manifest", str(manifest)]
    cache = {"XDG_CACHE_HOME": str(directory / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **cache})
    if done.returncode:
        raise InsideUnavailableError(f"casemate build failed:\n{done.stderr}")
    unpack_bundle(f"oci:{output}", image.bundle)
    sign_bundle(image.bundle)
    shutil.rmtree(output)
    shutil.rmtree(directory / "cache", ignore_errors=True)
