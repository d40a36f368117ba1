"""The simulated vendor itself: its keys, what it says about platforms, and the platforms it knows.

All of it is one directory that only its owner can read: three P-256 keys (root, PCK authority, TCB signer), the
RSA-3072 key that signs its quoting and provisioning certification enclaves, their certificates, ``vendor.json``, and
one file a registered platform. Everything the vendor says is signed when it is asked, as of that time.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from casemate.attestation.chains import write_chain
from casemate.attestation.collateral import Collateral
from casemate.attestation.evidence import stamp
from casemate.attestation.simulated import certificates
from casemate.attestation.simulated.extension import PlatformTcb
from casemate.attestation.simulated.registration import Registration, RegistrationError
from casemate.enclave.keys import SigningKey, load_signing_key, new_key
from casemate.errors import CasemateError, describe_os_error

COMPONENTS = 16
QE_PROD_ID = 1
PCE_ID = b"\0\0"
_STATE = "vendor.json"
# What it says was true a little earlier already, for verifiers whose clock is behind.
_BACKDATE = timedelta(hours=1)
_KEYS = ("root", "authority", "tcb")


class VendorError(CasemateError):
    """The simulated vendor's directory is missing, exists already, or is damaged."""


class _Level(BaseModel):
    model_config = ConfigDict(extra="forbid")
    date: datetime
    status: Literal[
        "UpToDate",
        "SWHardeningNeeded",
        "ConfigurationNeeded",
        "ConfigurationAndSWHardeningNeeded",
        "OutOfDate",
        "OutOfDateConfigurationNeeded",
        "Revoked",
    ]
    advisories: list[str] = []


class TcbLevel(_Level):
    """Platforms whose CPUSVN components and PCESVN are at least these."""

    component: int = Field(ge=0, le=0xFF)
    pce_svn: int = Field(ge=0, le=0xFFFF)


class QeLevel(_Level):
    """Quoting enclaves of at least this security version."""

    isv_svn: int = Field(ge=0, le=0xFFFF)


class VendorState(BaseModel):
    """``vendor.json``: what the vendor says. Levels are ordered, the newest first."""

    model_config = ConfigDict(extra="forbid")
    version: Literal[1] = 1
    url: str
    fmspc: str = Field(pattern="^[0-9A-F]{12}$")
    valid_for_days: int = Field(default=30, ge=1, le=3650)
    evaluation_number: int = Field(default=1, ge=1)
    crl_number: int = Field(default=1, ge=1)
    revoked_serials: list[int] = []
    levels: list[TcbLevel] = Field(min_length=1)
    qe_levels: list[QeLevel] = Field(min_length=1)


@dataclass(frozen=True)
class Vendor:
    """An opened vendor; ``state`` may be changed and saved."""

    path: Path
    state: VendorState
    keys: dict[str, ec.EllipticCurvePrivateKey]
    chain: dict[str, x509.Certificate]
    enclave_signer: SigningKey

    @classmethod
    def create(cls, path: Path, *, url: str, at: datetime | None = None, signer: Path | None = None) -> Vendor:
        """Makes a new vendor in a new directory. ``url``: where its service will be reached (CRL distribution).

        ``signer``: the key for its enclaves, instead of a new one.
        """
        at = (at or datetime.now(UTC)).replace(microsecond=0)
        try:
            path.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            raise VendorError("something is there already", where=str(path), remedy="choose a new directory") from None
        except OSError as error:
            raise describe_os_error(error, "cannot make the vendor's directory", str(path)) from None
        keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in _KEYS}
        for name, key in keys.items():
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            _write(path / f"{name}.key", pem, mode=0o600)
        if signer is None:
            new_key(path / "enclaves.key")
        else:
            _write(path / "enclaves.key", signer.read_bytes(), mode=0o600)
        crl_url = f"{url}/sgx/certification/v4/rootcacrl?encoding=der"
        chain = {"root": certificates.root(keys["root"], at, crl_url)}
        chain["authority"] = certificates.authority(keys["authority"].public_key(), keys["root"], at, crl_url)
        chain["tcb"] = certificates.tcb_signer(keys["tcb"].public_key(), keys["root"], at, crl_url)
        for name, certificate in chain.items():
            _write(path / f"{name}.pem", certificate.public_bytes(Encoding.PEM))
        state = VendorState(
            url=url,
            fmspc=(b"\xca\x5e" + os.urandom(4)).hex().upper(),
            levels=[TcbLevel(component=1, pce_svn=1, date=at, status="UpToDate")],
            qe_levels=[QeLevel(isv_svn=1, date=at, status="UpToDate")],
        )
        (path / "platforms").mkdir()
        _write(path / _STATE, state.model_dump_json(indent=2).encode())
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Vendor:
        """The vendor in a directory."""
        try:
            state = VendorState.model_validate_json((path / _STATE).read_bytes())
            keys = {name: _load_key(path / f"{name}.key") for name in _KEYS}
            chain = {name: x509.load_pem_x509_certificate((path / f"{name}.pem").read_bytes()) for name in _KEYS}
        except OSError as error:
            raise describe_os_error(error, "there is no simulated vendor here", str(path)) from None
        except (ValidationError, ValueError) as error:
            raise VendorError(f"the vendor's files are damaged: {error}", where=str(path)) from None
        return cls(path, state, keys, chain, load_signing_key(path / "enclaves.key"))

    def save(self) -> None:
        """Writes ``state`` back."""
        _write(self.path / _STATE, self.state.model_dump_json(indent=2).encode())

    # --- What it says -----------------------------------------------------------------------------------

    def tcb_info(self, at: datetime) -> tuple[str, bytes]:
        """TCB info version 3 (JSON) and its signature."""
        state = self.state
        levels = [
            {
                "tcb": {
                    "sgxtcbcomponents": [{"svn": level.component}] * COMPONENTS,
                    "pcesvn": level.pce_svn,
                },
                **_level(level),
            }
            for level in state.levels
        ]
        return self._sign(
            {
                "id": "SGX",
                "version": 3,
                **self._period(at),
                "fmspc": state.fmspc,
                "pceId": PCE_ID.hex(),
                "tcbType": 0,
                "tcbEvaluationDataNumber": state.evaluation_number,
                "tcbLevels": levels,
            }
        )

    def qe_identity(self, at: datetime) -> tuple[str, bytes]:
        """QE identity version 2 (JSON) and its signature: its own quoting enclave, never in debug mode."""
        return self._sign(
            {
                "id": "QE",
                "version": 2,
                **self._period(at),
                "tcbEvaluationDataNumber": self.state.evaluation_number,
                "miscselect": "00000000",
                "miscselectMask": "FFFFFFFF",
                "attributes": "11000000000000000000000000000000",
                "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
                "mrsigner": self.enclave_signer.mrsigner.hex().upper(),
                "isvprodid": QE_PROD_ID,
                "tcbLevels": [{"tcb": {"isvsvn": level.isv_svn}, **_level(level)} for level in self.state.qe_levels],
            }
        )

    def root_crl(self, at: datetime) -> bytes:
        """DER. Nothing below the root is ever revoked."""
        state = self.state
        valid_for = timedelta(days=state.valid_for_days)
        return certificates.revocation_list(
            certificates.ROOT_NAME, self.keys["root"], at - _BACKDATE, valid_for, state.crl_number, []
        )

    def pck_crl(self, at: datetime) -> bytes:
        """DER: the revoked platforms."""
        state = self.state
        valid_for = timedelta(days=state.valid_for_days)
        return certificates.revocation_list(
            certificates.AUTHORITY_NAME,
            self.keys["authority"],
            at - _BACKDATE,
            valid_for,
            state.crl_number,
            state.revoked_serials,
        )

    def issuers(self, of: Literal["authority", "tcb"]) -> str:
        """The chain of what this key signs, PEM: its certificate and the root."""
        return write_chain(*(self.chain[name].public_bytes(Encoding.DER) for name in (of, "root")))

    def collateral(self, at: datetime) -> Collateral:
        """All that a verifier needs, as of a time."""
        at = at.replace(microsecond=0)
        tcb_info, tcb_signature = self.tcb_info(at)
        identity, identity_signature = self.qe_identity(at)
        return Collateral(
            pck_crl_issuer_chain=self.issuers("authority"),
            root_ca_crl=self.root_crl(at),
            pck_crl=self.pck_crl(at),
            tcb_info_issuer_chain=self.issuers("tcb"),
            tcb_info=tcb_info,
            tcb_info_signature=tcb_signature,
            qe_identity_issuer_chain=self.issuers("tcb"),
            qe_identity=identity,
            qe_identity_signature=identity_signature,
        )

    # --- Platforms ----------------------------------------------------------------------------------------

    def register(self, data: bytes) -> Registration:
        """Remembers a platform. The same platform may register again, after an update of its TCB for one."""
        found = Registration.parse(data)
        if found.pce_id != PCE_ID:
            raise RegistrationError(f"there is no PCE {found.pce_id.hex()}")
        _write(self.path / "platforms" / f"{found.ppid.hex()}.registration", data)
        return found

    def platform(self, ppid: bytes) -> Registration | None:
        try:
            return Registration.parse((self.path / "platforms" / f"{ppid.hex()}.registration").read_bytes())
        except FileNotFoundError:
            return None

    def pck_certificate(self, platform: Registration, at: datetime) -> x509.Certificate:
        """The platform's certificate for the TCB that it registered with. Made once, then kept."""
        name = f"{platform.ppid.hex()}-{platform.cpusvn.hex()}-{platform.pce_svn:04x}.pem"
        path = self.path / "platforms" / name
        try:
            kept = x509.load_pem_x509_certificate(path.read_bytes())
            if kept.public_key() == platform.public_key:
                return kept
        except FileNotFoundError:
            pass
        tcb = PlatformTcb(
            platform.ppid, platform.cpusvn, platform.pce_svn, platform.pce_id, bytes.fromhex(self.state.fmspc)
        )
        crl_url = f"{self.state.url}/sgx/certification/v4/pckcrl?ca=processor&encoding=der"
        made = certificates.pck(platform.public_key, tcb, self.keys["authority"], at.replace(microsecond=0), crl_url)
        _write(path, made.public_bytes(Encoding.PEM))
        return made

    def pck_chain(self, platform: Registration, at: datetime) -> str:
        """Certificate, authority, root: what quotes carry."""
        certificate = self.pck_certificate(platform, at)
        return write_chain(certificate.public_bytes(Encoding.DER)) + self.issuers("authority")

    # --- What happens in the life of a vendor ----------------------------------------------------------------

    def recover(self, advisory: str, at: datetime) -> None:
        """A TCB recovery: there is a new patch level, and everything below it is out of date because of this."""
        state = self.state
        for level in state.levels:
            if level.status == "UpToDate":
                level.status = "OutOfDate"
            level.advisories = [*level.advisories, advisory]
        newest = state.levels[0]
        new = TcbLevel(component=newest.component + 1, pce_svn=newest.pce_svn, date=at, status="UpToDate")
        state.levels.insert(0, new)
        state.evaluation_number += 1
        self.save()

    def revoke(self, ppid: bytes, at: datetime) -> None:
        """Revokes a platform's certificate."""
        platform = self.platform(ppid)
        if platform is None:
            raise VendorError(f"there is no platform {ppid.hex()}", where=str(self.path))
        self.state.revoked_serials.append(self.pck_certificate(platform, at).serial_number)
        self.state.crl_number += 1
        self.save()

    def _period(self, at: datetime) -> dict[str, str]:
        issued = at - _BACKDATE
        return {"issueDate": stamp(issued), "nextUpdate": stamp(issued + timedelta(days=self.state.valid_for_days))}

    def _sign(self, value: dict[str, Any]) -> tuple[str, bytes]:
        text = json.dumps(value, separators=(",", ":"))
        r, s = decode_dss_signature(self.keys["tcb"].sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return text, r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _level(level: _Level) -> dict[str, Any]:
    value: dict[str, Any] = {"tcbDate": stamp(level.date), "tcbStatus": level.status}
    return value | ({"advisoryIDs": level.advisories} if level.advisories else {})


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path.name} holds another kind of key")
    return key


def _write(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Beside, then renamed: never half a file."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(path)
    except OSError as error:
        raise describe_os_error(error, "cannot write the vendor's files", str(path)) from None
