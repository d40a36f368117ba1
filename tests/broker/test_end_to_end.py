"""Secrets reach an enclave that proves itself, and no other: the whole way, by the commands that a user types, on the software device.

Each refusal is looked for at both ends: what the program's user reads, and what the secrets' owner reads in the broker's log.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from casemate.attestation.simulated.vendor import Vendor
from casemate.loader.files import runtime_file
from tests.broker.world import FILE_SECRET, PROGRAM, World, world


@dataclass
class Shop:
    world: World
    image: str
    measurements: list[str]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A signed image, and a broker's directory with two secrets that are for it alone."""
    if not Path("/bin/busybox").is_file():
        pytest.skip("busybox-static is not installed")
    if runtime_file("init").read_bytes() == b"\x7fELF init":
        pytest.skip("the runtime is not built")
    with world(tmp_path_factory.mktemp("shop")) as made:
        image, measurements = made.image("shop")
        with made.broker():
            made.put_secrets(measurements)
        yield Shop(made, image, measurements)


def refused(shop: Shop, image: str, code: int, *sentences: str) -> None:
    """The program did not start, and its user reads why."""
    done = shop.world.run(image)
    assert done.returncode == code, done.stderr
    assert done.stdout == b""
    for sentence in sentences:
        assert sentence in done.stderr.decode(), done.stderr
    for secret in (FILE_SECRET, "world"):
        assert secret not in done.stderr.decode()


def test_the_program_finds_its_secrets_and_the_owner_its_result(shop: Shop) -> None:
    with shop.world.broker():
        done = shop.world.run(shop.image)
        assert (done.returncode, done.stdout.decode()) == (0, f"hello world: {FILE_SECRET} \n"), done.stderr
        listed = shop.world.do("broker", "result", "list", "--json")
        (result,) = json.loads(listed)
        assert result["name"] == "greeting"
        assert result["mrenclave"] in shop.measurements
        assert shop.world.do("broker", "result", "get", str(result["id"])) == "from world\n"
        log = shop.world.do("broker", "log")
        assert "released" in log
        assert result["mrenclave"][:16] in log
        assert FILE_SECRET not in log
        assert "world" not in log
        shop.world.do("broker", "log", "verify")


def test_the_measurement_that_the_owner_computes_is_the_one_that_is_signed(shop: Shop) -> None:
    signed = shop.world.do("info", shop.image, "--json")
    assert all(measurement in signed for measurement in shop.measurements)


def test_another_image_is_refused(shop: Shop) -> None:
    image, _ = shop.world.image("other", program=PROGRAM + "# changed\n")
    with shop.world.broker():
        refused(shop, image, 77, "the broker refuses this enclave", "mrenclave: expected", shop.measurements[0])
        assert "refused" in shop.world.last_decision()
        assert "mrenclave: expected" in shop.world.last_decision()


def test_a_file_that_the_host_changed_ends_the_program(shop: Shop) -> None:
    """The measurement is that of the index, so the broker releases; the enclave finds the change when it reads the file."""
    original, changed = PROGRAM.encode(), PROGRAM.replace("hello", "HELLO").encode()
    with shop.world.broker():
        assert shop.world.run(shop.image).returncode == 0
        cache = (shop.world.place / "home/.cache").rglob("*")
        (placed,) = [path for path in cache if path.is_file() and path.read_bytes() == original]
        placed.chmod(0o644)
        try:
            placed.write_bytes(changed)
            done = shop.world.run(shop.image)
        finally:
            placed.write_bytes(original)
    # What a shell makes of a script that it cannot read is the shell's business.
    assert done.stdout == b""
    assert b"/program: the file's data at offset 0 was changed on the host; the read fails" in done.stderr, done.stderr


def test_a_debug_enclave_is_refused(shop: Shop) -> None:
    image, measurements = shop.world.image("debug", sign=["--debug"])
    assert measurements == shop.measurements, "the debug flag is not measured"
    with shop.world.broker():
        refused(shop, image, 77, "the broker refuses this enclave", "debug")
        assert "debug" in shop.world.last_decision()


def test_an_outdated_platform_is_refused(shop: Shop) -> None:
    place = shop.world.place
    database = f"sqlite:///{place}/recovered.sqlite"
    before = (place / "vendor/vendor.json").read_bytes()
    try:
        shop.world.do("vendor", "recover", "vendor", "--advisory", "SIM-SA-00042")
        state = json.loads((place / "vendor/vendor.json").read_bytes())
        sync = ["collateral", "sync", "--url", state["url"], "--fmspc", state["fmspc"], "--ca", "processor"]
        shop.world.do(*sync, "--root", shop.world.root, "--db", database)
    finally:
        (place / "vendor/vendor.json").write_bytes(before)
    with shop.world.broker("--collateral-db", database):
        refused(shop, shop.image, 77, "the broker refuses this enclave", "OutOfDate", "SIM-SA-00042")
        assert "OutOfDate" in shop.world.last_decision()


def test_a_platform_that_is_new_to_the_broker_asks_again_until_its_collateral_is_there(shop: Shop) -> None:
    database = f"sqlite:///{shop.world.place}/empty.sqlite"
    url = json.loads((shop.world.place / "vendor/vendor.json").read_bytes())["url"]
    with shop.world.broker("--collateral-db", database, "--pccs", url):
        done = shop.world.run(shop.image)
        assert (done.returncode, done.stdout.decode()) == (0, f"hello world: {FILE_SECRET} \n"), done.stderr
        assert "is being fetched; ask again; asking again" in done.stderr.decode()
    assert url in shop.world.do("collateral", "list", "--db", database)


def test_expired_collateral_is_refused(shop: Shop) -> None:
    vendor = Vendor.open(shop.world.place / "vendor")
    old = datetime.now(UTC).replace(microsecond=0) - timedelta(days=60)
    path = shop.world.place / "expired.json"
    path.write_text(vendor.collateral(old).to_json())
    with shop.world.broker("--collateral", str(path)):
        ended = (old + timedelta(days=30)).strftime("%Y-%m-%d")
        sentence = "revocation list: expected"
        refused(shop, shop.image, 77, "the broker refuses this enclave", sentence, f"to {ended}T")
        assert sentence in shop.world.last_decision()


def test_a_platform_of_another_root_is_refused(shop: Shop) -> None:
    shop.world.do("vendor", "init", "stranger")
    stranger = f"simulated:{shop.world.place}/stranger/root.pem"
    with shop.world.broker(root=stranger):
        refused(shop, shop.image, 77, "the broker refuses this enclave", "root: expected the root certificate")
        assert "root: expected the root certificate" in shop.world.last_decision()


def test_a_broker_with_another_key_gets_no_quote_and_gives_nothing(shop: Shop) -> None:
    with shop.world.broker(home="impostor"):
        refused(
            shop, shop.image, 76, "the broker is not to be trusted", "its key is not the one that the manifest pins"
        )


def test_without_a_broker_it_asks_again_and_then_says_so(shop: Shop) -> None:
    image, _ = shop.world.image("impatient", timeout=2)
    refused(shop, image, 69, "asking again", "the broker cannot be reached", f"127.0.0.1:{shop.world.broker_port}")


def test_without_a_quoting_service_the_enclave_cannot_prove_itself(shop: Shop) -> None:
    elsewhere = str(shop.world.place / "nobody.socket")
    done = shop.world.try_("run", shop.image, "--platform", "softsgx", "--aesm", elsewhere)
    assert (done.returncode, done.stdout) == (71, b""), done.stderr
    assert (
        f"no quote: {elsewhere}: the quoting service cannot be reached: no such file or directory"
        in done.stderr.decode()
    )
    assert b"casemate-init: this enclave cannot prove itself" in done.stderr


def test_secrets_are_in_no_file_of_the_host(shop: Shop) -> None:
    """The broker's database, log and directory, and everything that building, signing and running left."""
    with shop.world.broker():
        assert shop.world.run(shop.image).returncode == 0
    searched = 0
    for path in shop.world.place.rglob("*"):
        if path.is_file() and not path.is_symlink():
            searched += 1
            assert FILE_SECRET.encode() not in path.read_bytes(), path
    assert searched > 20
