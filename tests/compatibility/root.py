"""The root file system that the suite runs in, and its shielded image."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from casemate.loader.files import RUNTIME_DIRECTORY
from tests.bundles import unpack_bundle
from tests.images import CACHE, ToolMissingError, cached, debian_tar, require_tools, run, unpacked

HERE = Path(__file__).resolve().parent
PLACE = CACHE.parent / "compatibility"
PACKAGES = (
    "base-files,base-passwd,libc-bin,dash,coreutils,findutils,grep,sed,gzip,tar,hostname,diffutils,procps,netbase,"
    "media-types,tzdata,openssl,ca-certificates,python3.11,python3-minimal,libpython3.11-testsuite"
)
USER = 1000
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/app", "LANG": "C.UTF-8"}
RECORDER = "/usr/local/lib/compatibility/record.py"
INTERPRETER = "/usr/bin/python3.11"
WITHOUT_FORK = "/usr/local/lib/compatibility/without_fork"
TESTS = "usr/lib/python3.11/test"


@dataclass(frozen=True)
class Suite:
    """A root file system with the suite, and the bundle that its index and manifest are in."""

    rootfs: Path
    bundle: Path

    def modules(self) -> list[str]:
        """The suite's modules, as ``python3 -m test`` finds them."""
        names = {entry.name.removesuffix(".py") for entry in (self.rootfs / TESTS).iterdir() if _is_module(entry)}
        return sorted(names)


def _is_module(entry: Path) -> bool:
    return entry.name.startswith("test_") and (entry.suffix == ".py" or (entry / "__init__.py").is_file())


def make_suite() -> Suite:
    """Makes what is missing: the root file system once, the image again when the runtime changes."""
    require_tools("mmdebstrap", "gcc", "ip", "unshare", "setpriv")
    rootfs = _root_with_suite()
    return Suite(rootfs, _bundle(rootfs))


def _root_with_suite() -> Path:
    base = unpacked(debian_tar(PACKAGES, "suite.tar"))
    sources = [HERE / name for name in ("record.py", "without_fork.c")]

    def make(result: Path) -> None:
        run(["cp", "-a", base, result])
        own = result / "usr/local/lib/compatibility"
        own.mkdir(parents=True)
        shutil.copy(HERE / "record.py", own)
        run(["gcc", "-O1", "-static", "-o", own / "without_fork", HERE / "without_fork.c"])
        # As the packages' own scripts would do; files that are wrong on purpose do not compile.
        compile_all = [INTERPRETER, "-m", "compileall", "-q", "/usr/lib/python3.11"]
        subprocess.run(["chroot", str(result), *compile_all], stdout=subprocess.DEVNULL, check=False)

    return cached("suite", [base.name, *(source.read_text() for source in sources)], make)


def _bundle(rootfs: Path) -> Path:
    """`casemate build`, then the files of /casemate/; the image itself is not kept."""
    runtime = [RUNTIME_DIRECTORY / name for name in ("casemate-host", "enclave")]
    if not all(path.is_file() for path in runtime):
        raise ToolMissingError("the runtime is not built (make runtime)")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in runtime)).hexdigest()

    def make(result: Path) -> None:
        manifest = result.parent / "manifest.toml"
        lines = [
            'libos.entrypoint = "/usr/bin/env"',
            "loader.insecure__use_cmdline_argv = true",
            f"loader.uid = {USER}",
            f"loader.gid = {USER}",
            *(f'loader.env.{name} = "{value}"' for name, value in ENVIRONMENT.items()),
        ]
        manifest.write_text("\n".join(lines) + "\n")
        image = f"oci:{result.parent}/image"
        build = [sys.executable, "-m", "casemate", "build", f"dir:{rootfs}", "-o", image, "--manifest", manifest]
        run(build, env=os.environ | {"XDG_CACHE_HOME": str(result.parent / "cache")})
        unpack_bundle(image, result)

    return cached("suite.bundle", [rootfs.name, digest], make)
