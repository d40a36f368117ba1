"""A root directory in which ``casemate-init`` runs natively: busybox, and a ``/dev/attestation`` of pipes behind which
this process makes the quotes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from casemate.attestation.ratls.certificate import QuoteSource
from casemate.loader.files import runtime_file

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_CHROOT, _UNSHARE = (shutil.which(name, path=_PATH) or name for name in ("chroot", "unshare"))


class InitRoot:
    def __init__(self, root: Path, busybox: Path, quote: QuoteSource) -> None:
        self.root, self._quote = root, quote
        for directory in ("bin", "casemate", "etc", "tmp", "dev/attestation/keys", "dev/casemate/results"):
            (root / directory).mkdir(parents=True)
        shutil.copy(busybox, root / "bin/sh")
        shutil.copy(runtime_file("init"), root / "casemate/init")
        (root / "etc/hosts").write_text("127.0.0.1 broker.test\n")
        (root / "dev/attestation/keys/default").touch()
        for name in ("user_report_data", "quote"):
            os.mkfifo(root / "dev/attestation" / name)

    def start(self, settings: dict[str, Any], script: str, *arguments: str) -> subprocess.Popen[str]:
        """``sh -c SCRIPT`` after init. Quotes are made once."""
        threading.Thread(target=self._attest, daemon=True).start()
        become = [_CHROOT] if os.geteuid() == 0 else [_UNSHARE, "-r", _CHROOT]
        command = [*become, self.root, "/casemate/init", json.dumps(settings), "/bin/sh", "sh", "-c", script, "sh"]
        return subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"FIRST": "1"},
        )  # fmt: skip

    def run(self, settings: dict[str, Any], script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(settings, script, *arguments)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def _attest(self) -> None:
        # A test may take the device away.
        with suppress(FileNotFoundError):
            with open(self.root / "dev/attestation/user_report_data", "rb") as pipe:
                report_data = pipe.read()
            with open(self.root / "dev/attestation/quote", "wb") as pipe:
                pipe.write(self._quote(report_data))
