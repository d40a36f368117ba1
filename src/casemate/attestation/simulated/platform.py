"""This machine as a platform of a simulated vendor: its registration, and the service that quotes.

The work is done by two enclaves on the software SGX device (``runtime/quoting``); the untrusted program that runs
them is ``casemate-quoting`` (``runtime/quoting-host``). Here are the files around it.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import httpx

from casemate.attestation.bounded import BadAnswerError, request
from casemate.attestation.chains import rewrite_chain
from casemate.attestation.simulated.enclaves import ROLES
from casemate.attestation.simulated.registration import Registration
from casemate.errors import CasemateError, describe_os_error
from casemate.image.cachedir import replace_file
from casemate.loader.files import runtime_file

_TIMEOUT_S = 30.0
# A SIGSTRUCT has 1808 bytes, a certificate with its chain some 5 KB.
_MAX_ANSWER_BYTES = 64 << 10


class PlatformError(CasemateError):
    """The simulated platform cannot be registered or cannot quote."""


@dataclass(frozen=True)
class Platform:
    """``state``: what the vendor gave the platform, and its sealed attestation key. ``fuses``: the machine's secrets."""

    state: Path
    fuses: Path

    @classmethod
    def of_user(cls, state: Path | None = None, fuses: Path | None = None) -> Platform:
        """In the user's state directory (XDG Base Directory Specification), where the loader keeps the fuse file too."""
        base = os.environ.get("XDG_STATE_HOME", "")
        directory = (Path(base) if base.startswith("/") else Path.home() / ".local" / "state") / "casemate"
        return cls(state or directory / "platform", fuses or directory / "fuses")

    def register(self, url: str) -> bytes:
        """Fetches the vendor's enclaves' SIGSTRUCTs, registers, fetches the certificate chain; the PPID."""
        try:
            self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
            with httpx.Client(base_url=url, timeout=_TIMEOUT_S) as client:
                for role in ROLES:
                    sigstruct = _ask(client, "GET", f"/simulated/v1/enclaves/{role}.sig").content
                    replace_file(self.state / f"{role}.sig", sigstruct)
                manifest = self._registration()
                registration = Registration.parse(manifest)
                headers = {"content-type": "application/octet-stream"}
                _ask(client, "POST", "/sgx/registration/v1/platform", content=manifest, headers=headers)
                chain = _certificate(client, registration)
            replace_file(self.state / "pck_chain.pem", chain.encode())
        except OSError as error:
            raise describe_os_error(error, "cannot write the platform's files", str(self.state)) from None
        return registration.ppid

    def serve(self, socket: Path) -> None:
        """Quotes for clients of the socket until it is ended; does not come back."""
        self._check_registered()
        try:
            socket.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise describe_os_error(error, "cannot make the socket's directory", str(socket.parent)) from None
        arguments = [*self._command(), "serve", str(socket)]
        os.execv(arguments[0], arguments)  # noqa: S606

    def command(self, socket: Path) -> list[str]:
        """The service as a command, for whoever wants to supervise it."""
        self._check_registered()
        return [*self._command(), "serve", str(socket)]

    def _check_registered(self) -> None:
        if not (self.state / "pck_chain.pem").exists():
            raise PlatformError(
                "this platform is not registered",
                where=str(self.state),
                remedy="register it: casemate platform register --vendor URL",
            )

    def _command(self) -> list[str]:
        image = runtime_file("quoting-enclave")
        return [str(runtime_file("casemate-quoting")), str(self.state), str(image), str(self.fuses)]

    def _registration(self) -> bytes:
        done = subprocess.run([*self._command(), "register"], capture_output=True, check=False)
        if done.returncode != 0:
            reason = done.stderr.decode(errors="replace").strip().removeprefix("casemate: ")
            raise PlatformError(reason or f"the provisioning certification enclave ended with {done.returncode}")
        return done.stdout


def _certificate(client: httpx.Client, registration: Registration) -> str:
    query = {
        "encrypted_ppid": registration.ppid.hex(),
        "cpusvn": registration.cpusvn.hex(),
        "pcesvn": registration.pce_svn.to_bytes(2, "little").hex(),
        "pceid": registration.pce_id.hex(),
    }
    answer = _ask(client, "GET", "/sgx/certification/v4/pckcert", params=query)
    issuers = unquote(answer.headers.get("SGX-PCK-Certificate-Issuer-Chain", ""))
    return rewrite_chain(answer.text + issuers, str(answer.url))


def _ask(client: httpx.Client, method: str, path: str, **arguments: object) -> httpx.Response:
    where = f"{str(client.base_url).rstrip('/')}{path}"
    try:
        answer = request(client, method, path, _MAX_ANSWER_BYTES, **arguments)
    except BadAnswerError as error:
        raise PlatformError(str(error), where=where) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PlatformError(
            f"the vendor cannot be reached: {error}", where=where, remedy="serve it: casemate vendor serve DIR"
        ) from None
    if not answer.is_success:
        reason = answer.headers.get("Error-Message", answer.reason_phrase)
        raise PlatformError(f"the vendor answered {answer.status_code}: {reason}", where=where)
    return answer
