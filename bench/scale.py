"""What must not depend on size: the start in an image of 100 or 100,000 files, opening a file of 500 MB; and look-ups."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests import images
from tests.bundles import unpack_bundle

from bench.measure import medians_ms, row

REPOSITORY = Path(__file__).resolve().parent.parent
ROUNDS = 21
LARGE_BYTES = 500 << 20


def main(place: Path) -> None:
    """Rows for starts, the large file and the index; `place` is a directory for what it makes."""
    _starts(place)
    _large_file(place)
    _look_ups()


def _loader(root: Path, place: Path, program: str) -> list[str]:
    """The command that runs a program of a root file system inside."""
    name = root.name
    manifest, bundle = place / f"{name}.toml", place / f"{name}.bundle"
    manifest.write_text(f'libos.entrypoint = "{program}"\n')
    image = f"oci:{place}/{name}.image:x"
    build = [sys.executable, "-m", "casemate", "build", f"dir:{root}", "-o", image, "--manifest", str(manifest)]
    images.run(build)
    unpack_bundle(image, bundle)
    return [str(bundle / "casemate-host"), "--bundle", str(bundle), "--root", str(root), "--"]


def _starts(place: Path) -> None:
    program = place / "true"
    (place / "true.c").write_text("int main(void) { return 0; }\n")
    images.run(["gcc", "-O1", "-static", "-o", program, place / "true.c"])
    commands = {}
    for count in (100, 100_000):
        root = place / f"files-{count}"
        for number in range(count):
            directory = root / f"d{number // 1000:03}"
            if number % 1000 == 0:
                directory.mkdir(parents=True)
            (directory / f"file-{number:06}").write_bytes(b"%d\n" % number)
        shutil.copy(program, root / "true")
        commands[f"{count}"] = _loader(root, place, "/true")
    found = medians_ms({**commands, "native": [str(program)]}, ROUNDS)
    few, many = found["100"], found["100000"]
    row("start of a static program, native", f"{found['native']:.1f} ms", "")
    row("  inside, 100 files in the image", f"{few:.1f} ms", "≤ 20 ms")
    row("  inside, 100,000 files in the image", f"{many:.1f} ms ({many - few:+.1f} ms)", "≤ 5 ms apart")


def _large_file(place: Path) -> None:
    root = place / "large"
    root.mkdir()
    images.run(["gcc", "-O1", "-Wall", "-static", "-o", root / "open", REPOSITORY / "bench/large_file.c"])
    with (root / "file").open("wb") as file:
        for number in range(LARGE_BYTES >> 20):
            file.write(number.to_bytes(4, "little") * (1 << 18))
    inside = _loader(root, place, "/open")
    native = ["chroot", str(root), "/open"]
    for side, command in (("native", native), ("inside", inside)):
        values = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(ROUNDS)]
        first, again = (sorted(float(value.split()[i]) for value in values)[ROUNDS // 2] for i in (0, 1))
        goal = "≤ 1 ms" if side == "inside" else ""
        row(f"open 500 MB and read 4 KB, {side}", f"{first / 1e6:.3f} ms", goal)
        row("  a 4 KB block elsewhere in it", f"{again / 1e6:.3f} ms", "")


def _look_ups() -> None:
    example = [
        "cargo",
        "run",
        "--quiet",
        "--release",
        "-p",
        "casemate-index",
        "--features",
        "std",
        "--example",
        "speed",
    ]
    output = subprocess.run(example, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for line in output.splitlines():
        if found := re.match(r"(look-up.*|resolving.*|opening it): (\S+)$", line):
            goal = "≤ 2 µs" if "warm" in line else ""
            row(f"index of 100,000 files: {found[1][:40]}", found[2], goal)
