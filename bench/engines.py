"""``docker run`` of an image and of its shielded self, alternately."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import images

from bench.measure import medians_ms, row

ROUNDS = 15
SWITCHES = (
    "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none",
    "--storage-driver=overlay2",
)  # fmt: skip


@contextmanager
def dockerd(place: Path) -> Iterator[list[str]]:
    """A daemon of its own; gives the client's command."""
    client = ["docker", "-H", f"unix://{place}/docker.sock"]
    switches = ["--data-root", f"{place}/data", "--exec-root", f"{place}/exec", "--pidfile", f"{place}/pid"]
    with (place / "log").open("wb") as log:
        daemon = subprocess.Popen(["dockerd", *switches, "-H", client[2], *SWITCHES], stdout=log, stderr=log)
    try:
        for _ in range(120):
            if subprocess.run([*client, "version"], capture_output=True, check=False).returncode == 0:
                break
            if daemon.poll() is not None:
                raise SystemExit(f"bench: dockerd does not start:\n{(place / 'log').read_text()[-500:]}")
            time.sleep(0.5)
        yield client
    finally:
        daemon.terminate()
        daemon.wait(60)
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if line.split()[1].startswith(f"{place}/"):
                subprocess.run(["umount", "-l", line.split()[1]], check=False)


def main(place: Path) -> None:
    """Rows for the engine; `place` is a directory for what it makes."""
    if shutil.which("dockerd") is None:
        row("docker run of python3 hello", "no dockerd here", "")
        return
    original = images.debian_image()
    images.skopeo_copy(original, f"docker-archive:{place}/original.tar:original:bench")
    target = f"docker-archive:{place}/shielded.tar:shielded:bench"
    images.run([sys.executable, "-m", "casemate", "build", original, "-o", target])
    with dockerd(place) as client:
        for name in ("original", "shielded"):
            images.run([*client, "load", "-i", f"{place}/{name}.tar"])
        run = [*client, "run", "--rm", "--network=host"]
        found = medians_ms({name: [*run, f"{name}:bench"] for name in ("original", "shielded")}, ROUNDS)
    before, after = found["original"], found["shielded"]
    row("docker run of python3 hello, original", f"{before:.0f} ms", "")
    row("  shielded", f"{after:.0f} ms ({after / before:.2f}x)", "≤ 1.5x")
