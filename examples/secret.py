"""A secret's way, shown: a broker, an image pinned by its measurement, and everybody who is refused.

The second act of ``make demo``. The machine's quoting service and its vendor are simulated, as the enclave is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.broker.world import answers, free_port

NOTE = "the combination is 12345"
PROGRAM = 'import os; print("Good morning,", os.environ["CUSTOMER"], "--", open("/run/secrets/note").read().strip())'
MANIFEST = """
[loader]
argv = ["python3", "-c", {program}]
[secrets]
broker = "127.0.0.1:{port}"
broker_key = "{pin}"
env.CUSTOMER = "customer"
files."/run/secrets/note" = "note"
timeout = {timeout}
"""


class Stage:
    """A directory that stands for the owner's machine and the cloud's, and the commands typed there."""

    def __init__(self, place: Path, source: str) -> None:
        self.place, self.source = place, source
        self.vendor_port, self.broker_port = free_port(), free_port()
        self.root = f"simulated:{place}/vendor/root.pem"
        database = f"sqlite:///{place}/collateral.sqlite"
        state = {"XDG_STATE_HOME": str(place / "state"), "CASEMATE_BROKER": str(place / "broker")}
        self.environment = {**os.environ, **state, "CASEMATE_COLLATERAL_DB": database}

    def say(self, *arguments: str, given: str = "", check: bool = True) -> str:
        """Runs a command as a user would, and shows it; returns what it printed."""
        print(f"$ casemate {' '.join(arguments)}".replace(f"{self.place}/", ""), flush=True)
        done = self._run(arguments, given)
        text = (done.stdout + done.stderr).replace(f"{self.place}/", "")
        shown = [line for line in text.splitlines() if "simulat" not in line]
        print("".join(f"    {line}\n" for line in shown), end="", flush=True)
        if check and done.returncode != 0:
            raise SystemExit(f"the demonstration failed: status {done.returncode}\n{text}")
        return done.stdout

    def quietly(self, *arguments: str) -> str:
        done = self._run(arguments, "")
        if done.returncode != 0:
            raise SystemExit(f"the demonstration failed: {arguments}\n{done.stdout}{done.stderr}")
        return done.stdout

    def _run(self, arguments: tuple[str, ...], given: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "casemate", *arguments]
        return subprocess.run(
            command, input=given, text=True, capture_output=True, check=False, env=self.environment, cwd=self.place
        )

    @contextmanager
    def serving(self, *arguments: str, port: int | None = None) -> Iterator[None]:
        """A command that serves; it is ready when it has said something, or answers at `port`."""
        print(f"$ casemate {' '.join(arguments)} &".replace(f"{self.place}/", ""), flush=True)
        command = [sys.executable, "-m", "casemate", *arguments]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environment, cwd=self.place
        ) as process:
            try:
                if port is not None:
                    while not answers(port) and process.poll() is None:
                        time.sleep(0.05)
                elif process.stdout is not None:
                    process.stdout.readline()
                if process.poll() is not None:
                    raise SystemExit(f"the demonstration failed: {arguments} ended")
                yield
            finally:
                process.terminate()

    @contextmanager
    def broker(self, *options: str, home: str = "broker", root: str | None = None) -> Iterator[None]:
        listen = f"127.0.0.1:{self.broker_port}"
        with self.serving(
            "broker", "serve", home, "--listen", listen, "--admin", "127.0.0.1:0", "--root", root or self.root, *options
        ):
            yield

    def image(self, name: str, program: str = PROGRAM, timeout: int = 30, *sign: str) -> None:
        """Builds and signs."""
        pin = self.quietly("broker", "identity", "broker").strip()
        values = {"program": json.dumps(program), "port": self.broker_port, "pin": pin, "timeout": timeout}
        (self.place / f"{name}.toml").write_text(MANIFEST.format(**values))
        self.quietly("build", self.source, "-o", f"oci:{name}-unsigned", "--manifest", f"{name}.toml")
        self.quietly("sign", f"oci:{name}-unsigned", "--key", "key.pem", "-o", f"oci:{name}", *sign)

    def run(self, name: str) -> str:
        return self.say("run", f"oci:{name}", "--platform", "softsgx", "--aesm", "aesm.socket", check=False)

    def refused(self, who: str, name: str) -> None:
        """Nobody gets in: the program printed nothing, whatever it was."""
        print(f"\n-- refused: {who}")
        if self.run(name):
            raise SystemExit(f"the demonstration failed: {who} was not refused")

    def owner_reads(self) -> None:
        print("the owner's log says:")
        print(f"    {self.quietly('broker', 'log').splitlines()[-1]}")


def platform(stage: Stage, running: ExitStack) -> None:
    """What Intel and a cloud have ready: here a simulated vendor, and a machine that is registered with it."""
    url = f"http://127.0.0.1:{stage.vendor_port}"
    stage.say("vendor", "init", "vendor", "--url", url)
    running.enter_context(
        stage.serving("vendor", "serve", "vendor", "--port", str(stage.vendor_port), port=stage.vendor_port)
    )
    stage.say("platform", "register", "--vendor", url)
    running.enter_context(stage.serving("platform", "serve", "--socket", "aesm.socket"))
    stage.say("key", "new", "key.pem")
    sync_collateral(stage)


def sync_collateral(stage: Stage, *options: str) -> None:
    state = json.loads((stage.place / "vendor/vendor.json").read_bytes())
    source = ["--url", state["url"], "--fmspc", state["fmspc"], "--ca", "processor", "--root", stage.root]
    stage.say("collateral", "sync", *source, *options)


def released(stage: Stage) -> None:
    """The main path: measure, put secrets under a policy, run."""
    stage.image("greeting")
    stage.say("measure", stage.source, "--manifest", "greeting.toml", "--policy", "policy.toml")
    with stage.broker():
        put = ["broker", "secret", "put"]
        stage.say(*put, "customer", "--kind", "env", "--policy", "policy.toml", "--file", "-", given="Ada")
        stage.say(*put, "note", "--policy", "customer", "--file", "-", given=NOTE)
        if NOTE not in stage.run("greeting"):
            raise SystemExit("the demonstration failed: the program did not get its secret")
        stage.owner_reads()


def refusals(stage: Stage) -> None:
    stage.image("other", PROGRAM + "; print('and more')")
    stage.image("debug", PROGRAM, 30, "--debug")
    stage.image("impatient", PROGRAM, 2)
    with stage.broker():
        stage.refused("another image", "other")
        stage.owner_reads()
        stage.refused("a debug enclave, which the host can read", "debug")
        stage.owner_reads()
    expired(stage)
    unknown_root(stage)
    with stage.broker(home="impostor"):
        stage.refused("a broker that is not the pinned one", "greeting")
    stage.refused("no broker: it asks again, and gives up", "impatient")
    outdated(stage)
    changed_file(stage)


def expired(stage: Stage) -> None:
    from casemate.attestation.simulated.vendor import Vendor

    old = datetime.now(UTC).replace(microsecond=0) - timedelta(days=60)
    (stage.place / "expired.json").write_text(Vendor.open(stage.place / "vendor").collateral(old).to_json())
    with stage.broker("--collateral", "expired.json"):
        stage.refused("a platform that only expired collateral speaks for", "greeting")
        stage.owner_reads()


def unknown_root(stage: Stage) -> None:
    stage.quietly("vendor", "init", "stranger")
    with stage.broker(root=f"simulated:{stage.place}/stranger/root.pem"):
        stage.refused("a platform of a vendor that the owner does not trust", "greeting")
        stage.owner_reads()


def outdated(stage: Stage) -> None:
    stage.say("vendor", "recover", "vendor", "--advisory", "SIM-SA-00042")
    sync_collateral(stage, "--ahead", "365")
    with stage.broker():
        stage.refused("a platform whose firmware is out of date", "greeting")
        stage.owner_reads()


def changed_file(stage: Stage) -> None:
    """The host changes one byte of python3 where the image's files lie on its disk."""
    print("\n-- refused: a file that the host changed")
    stage.environment = {**stage.environment, "XDG_CACHE_HOME": str(stage.place / "cache")}
    stage.quietly("build", stage.source, "-o", "oci:plain-unsigned", "--insecure-args")
    stage.quietly("sign", "oci:plain-unsigned", "--key", "key.pem", "-o", "oci:plain")
    run = ["run", "oci:plain", "--platform", "softsgx", "--", "-c", "import json; print('json is', json.__name__)"]
    stage.say(*run)
    marker = b'r"""JSON (JavaScript Object Notation)'
    for path in (stage.place / "cache").rglob("*"):
        if path.is_file() and path.read_bytes()[: len(marker)] == marker:
            path.chmod(0o644)
            path.write_bytes(path.read_bytes().replace(b"JSON", b"JASN", 1))
            print("    (the host changes json/__init__.py on its disk)")
            break
    else:
        raise SystemExit("the demonstration failed: the file to change was not found")
    if "json is" in stage.say(*run, check=False):
        raise SystemExit("the demonstration failed: the change was not found out")


def main(source: str) -> None:
    print("\nAct two: a secret, and who does not get it", flush=True)
    with tempfile.TemporaryDirectory(prefix="casemate-demo-") as directory, ExitStack() as running:
        stage = Stage(Path(directory), source)
        platform(stage, running)
        released(stage)
        refusals(stage)
    print("\nThe enclave, its vendor and its quotes are simulated here: nothing protects this machine's own secrets.")
