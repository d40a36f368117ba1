"""Computation, single calls and starts: natively (chroot), on ``direct`` and on ``softsgx``.

Inside, the loader is started as a container engine starts it. What Python does before that in ``casemate run`` is not the
enclave's, and has rows of its own.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests import images
from tests.bundles import unpack_bundle

from bench.measure import once_ms
from casemate.enclave.keys import new_key

REPOSITORY = Path(__file__).resolve().parent.parent
MANIFEST = '[libos]\nentrypoint = "{program}"\n[loader]\nargv = [{arguments}]\n'
SIDES = ("native", "direct", "softsgx")
STARTS = {
    "start true": ["/usr/bin/true"],
    "start python3 hello": ["/usr/bin/python3", "-c", "print('hello')"],
    "start python3 -I -S": ["/usr/bin/python3", "-I", "-S", "-c", "print(1)"],
}
START_ROUNDS = 15
# Each program of measurements runs so often in turn on each side; the least of each work counts.
MICRO_ROUNDS = 3
VARIANTS = {
    "glibc-dynamic": ["gcc"],
    "glibc-static": ["gcc", "-static"],
    "musl-dynamic": ["musl-gcc"],
    "musl-static": ["musl-gcc", "-static"],
}
# On softsgx.
COMPUTATION_GOAL = "≤ 1.05x"
START_GOALS = {"start true": "≤ 60 ms", "start python3 hello": "≤ 120 ms"}

Command = list[str]
Numbers = dict[str, float]


@dataclass(frozen=True)
class Shielded:
    """One program of a root file system: its image, signed, and the image's bundle."""

    root: Path
    program: Command
    image: str
    bundle: Path

    def commands(self) -> dict[str, Command]:
        """How to run it, by side."""
        loader = [str(self.bundle / "casemate-host"), "--bundle", str(self.bundle), "--root", str(self.root)]
        loader += ["--fuses", str(self.bundle.parent / "fuses")]
        inside = {platform: [*loader, "--platform", platform, "--"] for platform in SIDES[1:]}
        return {"native": ["chroot", str(self.root), *self.program], **inside}

    def casemate_run(self) -> dict[str, Command]:
        """The same by ``casemate run``."""
        base = [sys.executable, "-m", "casemate", "run", self.image, "--fuses", str(self.bundle.parent / "fuses")]
        inside = {platform: [*base, "--platform", platform] for platform in SIDES[1:]}
        return {"native": self.commands()["native"], **inside}


def main(place: Path) -> None:
    """The tables; `place` is a directory for what it makes."""
    root = copy_of_rootfs(place)
    print(f"{'work':40} {'native':>12} {'direct':>12} {'ratio':>7} {'softsgx':>12} {'ratio':>7}   goal on softsgx")
    table("ns", least(shield(root, place, ["/usr/bin/compute"]).commands(), numbers), COMPUTATION_GOAL)
    for variant in VARIANTS:
        program = shield(root, place, [f"/usr/bin/micro-{variant}"])
        found = least(program.commands(), numbers)
        table("ns", {f"{work}, {variant}": values for work, values in found.items()})
    for work, command in STARTS.items():
        program = shield(root, place, command)
        for name, commands in ((work, program.commands()), (f"  {work}, casemate run", program.casemate_run())):
            took = least(commands, lambda command: {"": once_ms(command)}, START_ROUNDS)
            table("ms", {name: took[""]}, START_GOALS.get(name, ""))


def copy_of_rootfs(place: Path) -> Path:
    """Debian with the programs of measurements in it."""
    root = place / "root"
    shutil.copytree(images.unpacked(images.debian_tar()), root, symlinks=True, ignore=shutil.ignore_patterns("dev"))
    for variant, compiler in VARIANTS.items():
        target = root / "usr/bin" / f"micro-{variant}"
        images.run([*compiler, "-O1", "-o", target, REPOSITORY / "bench/micro.c", "-pthread"])
    images.run(["gcc", "-O2", "-o", root / "usr/bin/compute", REPOSITORY / "bench/compute.c"])
    shutil.copy("/lib/x86_64-linux-musl/libc.so", root / "lib/ld-musl-x86_64.so.1")
    return root


def shield(root: Path, place: Path, program: Command) -> Shielded:
    """Builds and signs an image of the program."""
    directory = place / f"shielded-{len(list(place.glob('shielded-*')))}"
    directory.mkdir()
    manifest, pem = directory / "manifest.toml", directory / "key.pem"
    arguments = ", ".join(f'"{word}"' for word in program)
    manifest.write_text(MANIFEST.format(program=program[0], arguments=arguments))
    new_key(pem)
    casemate = [sys.executable, "-m", "casemate"]
    unsigned, image, bundle = f"oci:{directory}/unsigned:x", f"oci:{directory}/signed:x", directory / "bundle"
    images.run([*casemate, "build", f"dir:{root}", "-o", unsigned, "--manifest", manifest])
    images.run([*casemate, "sign", unsigned, "--key", pem, "-o", image])
    unpack_bundle(image, bundle)
    return Shielded(root, program, image, bundle)


def numbers(command: Command) -> Numbers:
    """What a program of measurements prints: a name and a number a line."""
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return {name: float(value) for name, value in (line.split() for line in output.splitlines())}


def least(
    commands: Mapping[str, Command], measure: Callable[[Command], Numbers], rounds: int = MICRO_ROUNDS
) -> dict[str, Numbers]:
    """The least number of several runs, by work and side; the sides in turn, because others use the machine, too."""
    best: dict[str, Numbers] = defaultdict(dict)
    for _ in range(rounds):
        for side, command in commands.items():
            for work, value in measure(command).items():
                best[work][side] = min(value, best[work].get(side, value))
    return best


def table(unit: str, found: Mapping[str, Numbers], goal: str = "") -> None:
    """A row for each work."""
    for work, values in found.items():
        native, *inside = (values[side] for side in SIDES)
        columns = " ".join(f"{value:9.1f} {unit} {value / native:6.2f}x" for value in inside)
        print(f"{work:40} {native:9.1f} {unit} {columns}   {goal}".rstrip(), flush=True)
