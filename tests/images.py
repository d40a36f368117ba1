"""Real root file systems and images for tests, made from Debian's packages and kept under ``.cache/``.

Each function returns at once when what it makes is there already. They are plain functions, so that
benchmarks and the demonstration use them too; ``conftest.py`` offers them as fixtures.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
CACHE = REPOSITORY / ".cache" / "images"

DEBIAN_SUITE = "bookworm"
DEBIAN_PACKAGES = (
    "base-files,base-passwd,libc-bin,dash,coreutils,findutils,grep,sed,gzip,tar,hostname,diffutils,procps,python3"
)
# What larger programs need on top of that.
PROGRAM_PACKAGES = f"{DEBIAN_PACKAGES},sqlite3,python3-numpy,gcc,libc6-dev"
# The packages' maintainer scripts do not run in the extract variant; these are the results that programs need.
_DEBIAN_HOOKS = (
    'cp "$1/usr/share/base-passwd/passwd.master" "$1/etc/passwd"',
    'cp "$1/usr/share/base-passwd/group.master" "$1/etc/group"',
    'echo "app:x:1000:1000:An application:/home/app:/bin/sh" >> "$1/etc/passwd"',
    'echo "app:x:1000:" >> "$1/etc/group"',
    'mkdir -p "$1/home/app" && chown 1000:1000 "$1/home/app"',
    'test -e "$1/bin/sh" || ln -s dash "$1/bin/sh"',
    'rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*',
)

GO_SOURCE = """package main

import (
	"fmt"
	"os"
	"sync"
)

func main() {
	var group sync.WaitGroup
	sums := make([]int, 8)
	for worker := range sums {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := 0; i < 1000; i++ {
				sums[worker] += i
			}
		}()
	}
	group.Wait()
	fmt.Println("hello from go", sums, os.Args[1:])
}
"""


class ToolMissingError(Exception):
    """A tool of the test environment is not installed: the test that needs it is skipped with this reason."""


def require_tools(*names: str) -> None:
    for name in names:
        if shutil.which(name) is None:
            raise ToolMissingError(f"{name} is not installed (make system-test installs it)")


def run(command: Sequence[str | Path], **options: object) -> str:
    """Runs a tool; its output on success, everything it said when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command} failed with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def cached(name: str, recipe: object, make: Callable[[Path], None]) -> Path:
    """The result of ``make`` in the cache, made again when the recipe changes."""
    key = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]
    final = CACHE / f"{name}-{key}"
    if not final.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=CACHE))
        result = staging / "result"
        try:
            make(result)
            result.rename(final)
        except FileExistsError:
            pass
        except OSError:
            if not final.exists():  # another process may have been faster
                raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return final


# --- Root file systems ------------------------------------------------------------------------------------


def debian_tar(packages: str = DEBIAN_PACKAGES, name: str = "debian.tar") -> Path:
    """A Debian root file system with python3 as a tar."""

    def make(result: Path) -> None:
        require_tools("mmdebstrap")
        hooks = [f"--extract-hook={hook}" for hook in _DEBIAN_HOOKS]
        run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=extract",
                "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
                f"--include={packages}",
                *hooks,
                "--format=tar",
                DEBIAN_SUITE,
                result,
            ],
            env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"},
        )

    return cached(name, [DEBIAN_SUITE, packages, _DEBIAN_HOOKS, 2], make)


def programs_tar() -> Path:
    """The same with numpy, sqlite3 and gcc."""
    return debian_tar(PROGRAM_PACKAGES, "programs.tar")


def unpacked(tar: Path) -> Path:
    """A root file system as a directory; owners and devices only as root can make them."""

    def make(result: Path) -> None:
        result.mkdir()
        run(["tar", "-xpf", tar, "-C", result, "--numeric-owner", "--exclude=./dev/*", "--xattrs"])

    return cached(f"{tar.name}.dir", [], make)


def busybox_rootfs() -> Path:
    """musl's loader and a static busybox with links for its applets."""

    def make(result: Path) -> None:
        require_tools("busybox", "musl-gcc", "gcc")
        for directory in ("bin", "lib", "etc", "tmp", "root"):
            (result / directory).mkdir(parents=True)
        (result / "tmp").chmod(0o1777)
        busybox = result / "bin/busybox"
        shutil.copy(shutil.which("busybox") or "", busybox)
        for applet in run([busybox, "--list"]).split():
            if applet != "busybox":
                (result / "bin" / applet).symlink_to("busybox")
        shutil.copy("/lib/x86_64-linux-musl/libc.so", result / "lib/ld-musl-x86_64.so.1")
        (result / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        source = result.with_suffix(".c")
        source.write_text('#include <stdio.h>\nint main(void) { puts("hello from musl"); return 0; }\n')
        run(["musl-gcc", "-O2", "-o", result / "bin/hello", source])

    return cached("busybox", ["busybox", 2], make)


def go_rootfs() -> Path:
    """One static Go program and nothing else, as ``FROM scratch`` images are."""

    def make(result: Path) -> None:
        require_tools("go")
        result.mkdir()
        source = result.parent / "source"
        source.mkdir()
        (source / "main.go").write_text(GO_SOURCE)
        environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
        run(["go", "build", "-trimpath", "-o", result / "hello", "main.go"], cwd=source, env=environment)

    return cached("go", [GO_SOURCE], make)


# --- Images -----------------------------------------------------------------------------------------------


def umoci_image(name: str, rootfs: Path, *, entrypoint: Sequence[str] = (), **config: Sequence[str]) -> str:
    """An OCI layout with ``rootfs`` (a tar, or a directory) as its one gzip layer; returns its reference."""

    def make(result: Path) -> None:
        require_tools("umoci")
        tag = f"{result}:latest"
        run(["umoci", "init", "--layout", result])
        run(["umoci", "new", "--image", tag])
        tar = rootfs
        if rootfs.is_dir():
            tar = result.parent / "layer.tar"
            run(["tar", "--sort=name", "--mtime=@0", "--numeric-owner", "-cf", tar, "-C", rootfs, "."])
        run(["umoci", "raw", "add-layer", "--image", tag, tar])
        options = [f"--config.entrypoint={word}" for word in entrypoint]
        for key, values in config.items():
            options += [f"--config.{key}={value}" for value in values]
        if options:
            run(["umoci", "config", "--image", tag, *options])

    layout = cached(f"{name}.oci", [str(rootfs.name), list(entrypoint), {k: list(v) for k, v in config.items()}], make)
    return f"oci:{layout}:latest"


def debian_image() -> str:
    return umoci_image(
        "debian",
        debian_tar(),
        entrypoint=["/usr/bin/python3"],
        cmd=["-c", "print('hello')"],
        env=["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
    )


def busybox_image() -> str:
    return umoci_image("busybox", busybox_rootfs(), entrypoint=["/bin/busybox"], cmd=["uname", "-a"])


def go_image() -> str:
    return umoci_image("go", go_rootfs(), entrypoint=["/hello"])


def skopeo_copy(source: str, destination: str, *options: str) -> None:
    require_tools("skopeo")
    run(["skopeo", "--insecure-policy", "copy", "--quiet", *options, source, destination])
