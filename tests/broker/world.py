"""A data owner's world with nothing played: a simulated vendor, this machine's quoting service, a broker, and signed images, each
made and run by the command that a user would type."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

FILE_SECRET = "the combination is 12345"
PROGRAM = """read line < /run/secrets/note
echo "hello $WHO: $line $*"
echo "from $WHO" > /dev/casemate/results/greeting
"""
MANIFEST = """
[libos]
entrypoint = "/bin/busybox"
[loader]
argv = ["sh", "/program"]
[secrets]
broker = "127.0.0.1:{port}"
broker_key = "{pin}"
required = ["who", "note"]
env = {{ WHO = "who" }}
files = {{ "/run/secrets/note" = "note" }}
results = true
timeout = {timeout}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@dataclass
class World:
    place: Path
    environment: dict[str, str]
    broker_port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def root(self) -> str:
        return f"simulated:{self.place}/vendor/root.pem"

    @property
    def aesm(self) -> Path:
        return self.place / "aesmd" / "aesm.socket"

    def try_(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "casemate", *arguments]
        return subprocess.run(
            command, input=given, capture_output=True, check=False, timeout=300, env=self.environment, cwd=self.place
        )

    def do(self, *arguments: str, given: bytes = b"") -> str:
        done = self.try_(*arguments, given=given)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout.decode()

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[None]:
        """A command that serves until it is told to end; ready when it said something, or answers at `--port`."""
        command = [sys.executable, "-m", "casemate", *arguments]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environment, cwd=self.place
        ) as process:
            try:
                if "--port" in arguments:
                    port = int(arguments[arguments.index("--port") + 1])
                    while not answers(port):
                        assert process.poll() is None, arguments
                        time.sleep(0.05)
                else:
                    assert process.stdout is not None
                    assert process.stdout.readline(), arguments
                yield
            finally:
                process.terminate()

    @contextmanager
    def broker(self, *options: str, home: str = "broker", root: str | None = None) -> Iterator[None]:
        listen = f"127.0.0.1:{self.broker_port}"
        arguments = ["broker", "serve", home, "--listen", listen, "--admin", "127.0.0.1:0", "--root", root or self.root]
        with self.serving(*arguments, *options):
            yield

    def image(
        self,
        name: str,
        *,
        program: str = PROGRAM,
        manifest: str = MANIFEST,
        timeout: int = 30,
        sign: Sequence[str] = (),
    ) -> tuple[str, list[str]]:
        """A signed image, and the measurements that `casemate measure` finds for its source."""
        tree = self.place / f"{name}.root"
        (tree / "bin").mkdir(parents=True)
        (tree / "bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
        (tree / "bin/busybox").chmod(0o755)
        (tree / "program").write_text(program)
        # Times are measured.
        for path in (tree / "bin/busybox", tree / "bin", tree / "program", tree):
            os.utime(path, (0, 0))
        file = self.place / f"{name}.toml"
        pin = self.do("broker", "identity", "broker").strip()
        file.write_text(manifest.format(port=self.broker_port, pin=pin, timeout=timeout))
        source = f"dir:{tree}"
        self.do("build", source, "-o", f"oci:{name}", "--manifest", str(file))
        self.do("sign", f"oci:{name}", "--key", "key.pem", "-o", f"oci:{name}-signed", *sign)
        measured = json.loads(self.do("measure", source, "--manifest", str(file), "--json"))
        return f"oci:{name}-signed", list(measured["mrenclave"].values())

    def run(self, image: str) -> subprocess.CompletedProcess[bytes]:
        return self.try_("run", image, "--platform", "softsgx", "--aesm", str(self.aesm))

    def put_secrets(self, measurements: Sequence[str]) -> None:
        """Both secrets, under a policy with these measurements."""
        (self.place / "policy.toml").write_text(f"mrenclave = {json.dumps(list(measurements))}\n")
        self.do(
            "broker", "secret", "put", "who", "--kind", "env", "--policy", "policy.toml", "--file", "-", given=b"world"
        )
        self.do("broker", "secret", "put", "note", "--policy", "who", "--file", "-", given=FILE_SECRET.encode() + b"\n")

    def last_decision(self) -> str:
        """The line that the owner reads."""
        return self.do("broker", "log").splitlines()[-1]


@contextmanager
def world(place: Path) -> Iterator[World]:
    """Vendor and quoting service run; the collateral is in the cache; there is a signing key, and no broker yet."""
    home = place / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "CASEMATE_"))}
    environment |= {"HOME": str(home), "CASEMATE_BROKER": str(place / "broker")}
    made = World(place, environment, free_port())
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    made.do("vendor", "init", "vendor", "--url", url)
    fmspc = json.loads((place / "vendor/vendor.json").read_bytes())["fmspc"]
    made.do("key", "new", "key.pem")
    with made.serving("vendor", "serve", "vendor", "--port", str(port)):
        made.do("platform", "register", "--vendor", url)
        made.do("collateral", "sync", "--url", url, "--fmspc", fmspc, "--ca", "processor", "--root", made.root)
        with made.serving("platform", "serve", "--socket", str(made.aesm)):
            yield made
