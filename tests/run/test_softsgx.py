"""Signed bundles on the software SGX device: the loader is started directly, as an engine starts it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from casemate._core import Report
from casemate.loader.files import RUNTIME_DIRECTORY
from tests.bundles import unpack_bundle
from tests.run.test_first_program import casemate
from tests.signed import OPTIONS, key, sign_bundle


@dataclass(frozen=True)
class Signed:
    bundle: Path
    root: Path
    mrenclave: dict[str, bytes]

    def run(
        self, *arguments: str, platform: str = "softsgx", fuses: Path | None = None, options: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[bytes]:
        command = [str(self.bundle / "casemate-host"), "--bundle", str(self.bundle), "--root", str(self.root)]
        command += ["--platform", platform, "--fuses", str(fuses or self.bundle.parent / "fuses"), *options, "--"]
        return subprocess.run([*command, *arguments], input=b"", capture_output=True, check=False, timeout=120, env={})


def make_signed(directory: Path, lines: str = "") -> Signed:
    """Debian's static busybox in a signed bundle; arguments are free."""
    busybox = Path("/bin/busybox")
    if not (RUNTIME_DIRECTORY / "casemate-host").is_file():
        pytest.skip("the runtime is not built")
    if not busybox.is_file():
        pytest.skip("busybox-static is not installed")
    root = directory / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin/busybox").write_bytes(busybox.read_bytes())
    (root / "bin/busybox").chmod(0o755)
    manifest = directory / "manifest.toml"
    manifest.write_text(f'[libos]\nentrypoint = "/bin/busybox"\n[loader]\nargv = ["/bin/busybox"]\n{lines}')
    image = f"oci:{directory}/shielded:test"
    built = casemate("build", f"dir:{root}", "-o", image, "--manifest", str(manifest), "--insecure-args")
    assert built.returncode == 0, built.stderr
    bundle = directory / "bundle"
    unpack_bundle(image, bundle)
    return Signed(bundle, root, sign_bundle(bundle))


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return make_signed(tmp_path_factory.mktemp("signed"))


def test_a_signed_image_runs_and_says_once_that_it_is_a_simulation(signed: Signed) -> None:
    done = signed.run("echo", "hello", "from", "inside")
    assert (done.returncode, done.stdout) == (0, b"hello from inside\n"), done.stderr
    assert done.stderr.count(b"simulation") == 1


def test_only_a_debug_enclave_lets_the_host_watch_its_calls(signed: Signed, tmp_path: Path) -> None:
    done = signed.run("echo", "hello", options=["--trace"])
    assert (done.returncode, done.stdout) == (0, b"hello\n"), done.stderr
    assert b"execve" not in done.stderr
    assert b"write(" not in done.stderr, done.stderr
    assert b"no trace of system calls" in done.stderr
    bundle = tmp_path / "bundle"
    shutil.copytree(signed.bundle, bundle)
    watched = Signed(bundle, signed.root, sign_bundle(bundle, replace(OPTIONS, debug=True)))
    assert b"write(" in watched.run("echo", "hello", options=["--trace"]).stderr
    assert b"write(" in signed.run("echo", "hello", options=["--trace"], platform="direct").stderr


def test_auto_takes_the_device_for_a_signed_image(signed: Signed) -> None:
    done = signed.run("cat", "/dev/attestation/attestation_type", platform="auto")
    assert (done.returncode, done.stdout) == (0, b"dcap"), done.stderr
    assert b"simulation" in done.stderr


def test_an_unsigned_image_is_refused_on_the_device_and_runs_on_direct_by_default(signed: Signed) -> None:
    sigstructs = {path: path.read_bytes() for path in signed.bundle.glob("sigstruct*")}
    for path in sigstructs:
        path.unlink()
    try:
        refused = signed.run("true")
        assert refused.returncode == 125
        assert b"casemate sign" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        done = signed.run("cat", "/dev/attestation/attestation_type", platform="auto")
        assert (done.returncode, done.stdout) == (0, b"none"), done.stderr
        assert b"without an enclave" in done.stderr
    finally:
        for path, data in sigstructs.items():
            path.write_bytes(data)


@pytest.mark.parametrize("name", ["enclave", "measured", "sigstruct.edmm"])
def test_a_flipped_bit_is_refused_at_einit(signed: Signed, name: str) -> None:
    path = signed.bundle / name
    data = path.read_bytes()
    # Deep in the code; in the manifest's digest; in the enclave's hash, which the signature covers.
    at = {"enclave": len(data) // 2, "measured": 20, "sigstruct.edmm": 960}[name]
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    try:
        done = signed.run("true")
    finally:
        path.write_bytes(data)
    assert done.returncode == 125
    assert b"initialising the enclave" in done.stderr, done.stderr


def test_the_report_names_this_enclave_and_its_signer(signed: Signed) -> None:
    report = Report.from_bytes(signed.run("cat", "/dev/attestation/report").stdout)
    assert report.mrenclave == signed.mrenclave["edmm"]
    assert report.mrsigner == key().mrsigner
    assert (report.isv_prod_id, report.isv_svn) == (OPTIONS.isv_prod_id, OPTIONS.isv_svn)
    # The TARGETINFO of the enclave itself is the one that its reports lead to.
    assert signed.run("cat", "/dev/attestation/my_target_info").stdout == report.target_info().to_bytes()


def test_the_report_carries_what_the_program_wrote(signed: Signed) -> None:
    done = signed.run(
        "sh", "-c", "echo -n of the program > /dev/attestation/user_report_data; exec cat /dev/attestation/report"
    )
    assert Report.from_bytes(done.stdout).report_data == b"of the program".ljust(64, b"\0"), done.stderr


def test_sealing_keys_stay_the_same_on_one_machine_and_differ_on_another(signed: Signed, tmp_path: Path) -> None:
    def read(name: str, fuses: Path | None = None) -> bytes:
        done = signed.run("cat", f"/dev/attestation/keys/{name}", fuses=fuses)
        assert (done.returncode, len(done.stdout)) == (0, 16), done.stderr
        return done.stdout

    mine = read("_sgx_mrenclave")
    assert mine == read("_sgx_mrenclave")
    assert len({mine, read("_sgx_mrsigner"), read("_sgx_mrenclave", tmp_path / "other"), bytes(16)}) == 4


def test_sealing_keys_depend_on_the_masks_of_the_manifest(signed: Signed, tmp_path: Path) -> None:
    def signers_key(name: str, lines: str) -> bytes:
        (tmp_path / name).mkdir()
        other = make_signed(tmp_path / name, lines)
        done = other.run("cat", "/dev/attestation/keys/_sgx_mrsigner", fuses=signed.bundle.parent / "fuses")
        assert (done.returncode, len(done.stdout)) == (0, 16), done.stderr
        return done.stdout

    default = signed.run("cat", "/dev/attestation/keys/_sgx_mrsigner").stdout
    # Another enclave of the same signer; the masks are the default ones.
    assert default == signers_key("same", '[sgx]\nseal_key.xfrm_mask = "0x3"\nmax_threads = 8')
    keys = {signers_key(name, f'[sgx]\nseal_key.{name} = "0x0"') for name in ("flags_mask", "xfrm_mask", "misc_mask")}
    assert len(keys | {default}) == 4


def test_the_fuse_file_is_its_owners_alone(signed: Signed, tmp_path: Path) -> None:
    fuses = tmp_path / "machine" / "fuses"
    assert signed.run("true", fuses=fuses).returncode == 0
    assert fuses.stat().st_mode & 0o7777 == 0o600
    fuses.chmod(0o640)
    done = signed.run("true", fuses=fuses)
    assert done.returncode == 125
    assert b"chmod 600" in done.stderr


def test_program_keys_are_kept_by_name(signed: Signed) -> None:
    script = "cd /dev/attestation/keys; echo -n 0123456789abcdef > wrap; echo *; exec cat wrap"
    done = signed.run("sh", "-c", script)
    assert done.stdout == b"_sgx_mrenclave _sgx_mrsigner wrap\n0123456789abcdef", done.stderr


def test_files_under_dev_attestation_are_absent_without_a_device(signed: Signed) -> None:
    done = signed.run("ls", "/dev/attestation", "/dev/attestation/keys", platform="direct")
    assert done.stdout.split() == [b"/dev/attestation:", b"attestation_type", b"keys", b"/dev/attestation/keys:"]


@pytest.fixture(scope="module")
def signed_python(debian_image: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Debian's python3 in a signed image, as `casemate run` places it."""
    directory = tmp_path_factory.mktemp("signed-python")
    image = f"oci:{directory}/shielded:test"
    built = casemate("build", debian_image, "-o", image, "--insecure-args")
    assert built.returncode == 0, built.stderr
    bundle = directory / "bundle"
    unpack_bundle(image, bundle)
    sign_bundle(bundle)
    return [str(bundle / "casemate-host"), "--bundle", str(bundle), "--fuses", str(directory / "fuses")]


def run_python(signed_python: list[str], root: Path, program: str) -> subprocess.CompletedProcess[bytes]:
    command = [*signed_python, "--root", str(root), "--platform", "softsgx", "--", "-c", program]
    return subprocess.run(command, input=b"", capture_output=True, check=False, timeout=120, env={})


def test_python_runs_threads_files_and_signal_handlers(signed_python: list[str], debian_rootfs: Path) -> None:
    program = (
        "import os, signal, threading\n"
        "done = []\n"
        "threads = [threading.Thread(target=lambda: done.append(sum(range(100000)))) for _ in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "signal.signal(signal.SIGUSR1, lambda *_: done.append('signal'))\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\n"
        "open('/tmp/note', 'w').write('x' * 100000)\n"
        "print(len(done), done[0], done[-1], os.stat('/tmp/note').st_size)\n"
    )
    done = run_python(signed_python, debian_rootfs, program)
    assert done.stdout == b"9 4999950000 signal 100000\n", done.stderr
