"""``python -m bench [PART…]``: programs natively (chroot) and inside, as ratios; then what a build costs, what must not
depend on size, and containers under an engine. Without PART all of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests import images

from bench import building, engines, scale

REPOSITORY = Path(__file__).resolve().parent.parent
MANIFEST = '[libos]\nentrypoint = "{program}"\n[loader]\nargv = [{arguments}]\n'
STARTS = {
    "start true": ["/usr/bin/true"],
    "start python3 hello": ["/usr/bin/python3", "-c", "print('hello')"],
    "start python3 -I -S": ["/usr/bin/python3", "-I", "-S", "-c", "print(1)"],
}
ROUNDS = 15
# Each variant of the micro-benchmarks is run so often natively and inside in turn; the least of each counts.
MICRO_ROUNDS = 3
VARIANTS = {
    "glibc-dynamic": ["gcc"],
    "glibc-static": ["gcc", "-static"],
    "musl-dynamic": ["musl-gcc"],
    "musl-static": ["musl-gcc", "-static"],
}


def copy_of_rootfs(place: Path) -> Path:
    root = place / "root"
    shutil.copytree(images.unpacked(images.debian_tar()), root, symlinks=True, ignore=shutil.ignore_patterns("dev"))
    source = REPOSITORY / "bench/micro.c"
    for variant, compiler in VARIANTS.items():
        target = root / "usr/bin" / f"micro-{variant}"
        subprocess.run([*compiler, "-O1", "-o", str(target), str(source), "-pthread"], check=True)
    shutil.copy("/lib/x86_64-linux-musl/libc.so", root / "lib/ld-musl-x86_64.so.1")
    return root


def loader_command(root: Path, place: Path, command: list[str]) -> list[str]:
    """The loader's own command line for a program: what ``casemate run`` ends up in, without Python's start."""
    manifest = place / "manifest.toml"
    arguments = ", ".join(f'"{word}"' for word in command)
    manifest.write_text(MANIFEST.format(program=command[0], arguments=arguments))
    image = f"oci:{place}/shielded:{abs(hash(tuple(command)))}"
    casemate = [sys.executable, "-m", "casemate"]
    build = [*casemate, "build", f"dir:{root}", "-o", image, "--manifest", str(manifest)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    bundle = place / f"bundle-{abs(hash(tuple(command)))}"
    subprocess.run([sys.executable, "-m", "bench.unpack", image, str(bundle)], check=True)
    return [str(bundle / "casemate-host"), "--bundle", str(bundle), "--root", str(root), "--"]


def least_ms(command: list[str]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        best = min(best, time.perf_counter() - start)
    return best * 1000


def numbers(command: list[str]) -> dict[str, float]:
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {name: float(value) for name, value in (line.split() for line in output.splitlines())}


def least_of_both(inside: list[str], native: list[str]) -> tuple[dict[str, float], dict[str, float]]:
    """The least number of several runs for each work, run in turn because others use the machine, too."""
    best: tuple[dict[str, float], dict[str, float]] = ({}, {})
    for _ in range(MICRO_ROUNDS):
        for kept, command in zip(best, (inside, native), strict=True):
            for work, value in numbers(command).items():
                kept[work] = min(value, kept.get(work, value))
    return best


def programs(place: Path) -> None:
    """Rows for calls and starts; `place` is a directory for what it makes."""
    root = copy_of_rootfs(place)
    native = ["chroot", str(root)]
    print(f"{'work':42} {'native':>12} {'inside':>12} {'ratio':>7}")
    for variant in VARIANTS:
        command = [f"/usr/bin/micro-{variant}"]
        inside_micro, native_micro = least_of_both(loader_command(root, place, command), [*native, *command])
        for work, value in native_micro.items():
            ratio = inside_micro[work] / value
            print(f"{f'{work}, {variant}':42} {value:9.1f} ns {inside_micro[work]:9.1f} ns {ratio:6.2f}x")
    for work, command in STARTS.items():
        inside = least_ms(loader_command(root, place, command))
        outside = least_ms([*native, *command])
        print(f"{work:42} {outside:9.1f} ms {inside:9.1f} ms {inside / outside:6.2f}x")


PARTS: dict[str, Callable[[Path], None]] = {
    "programs": programs,
    "scale": scale.main,
    "building": building.main,
    "engines": engines.main,
}


def main() -> None:
    wanted = sys.argv[1:] or list(PARTS)
    if unknown := [name for name in wanted if name not in PARTS]:
        sys.exit(f"bench: no part '{unknown[0]}'; the parts are {', '.join(PARTS)}")
    if os.geteuid() != 0:
        sys.exit("bench: the native side uses chroot: run as root")
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix="casemate-bench-") as place:
            print(f"\n{name}", flush=True)
            PARTS[name](Path(place))


if __name__ == "__main__":
    main()
