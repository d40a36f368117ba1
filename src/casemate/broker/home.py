"""The broker's directory: its key and certificate, its master key, the token of its owner, and, by default, its
database. All of it is for the owner's eyes only.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import os
import secrets
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from casemate.attestation.ratls.certificate import Identity, sign_identity
from casemate.attestation.ratls.peer import key_fingerprint
from casemate.broker.errors import BrokerError
from casemate.broker.sealing import FileMasterKey, write_private
from casemate.errors import describe_os_error
from casemate.image.cachedir import replace_file

_KEY, _CERTIFICATE, _TOKEN, _MASTER, _ACCESS = "key.pem", "certificate.pem", "token", "master.key", "access.json"
_DATABASE = "broker.sqlite"
# Clients know the broker by its key; the certificate only carries it.
_LIFETIME = timedelta(days=3650)
_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Casemate broker")])
# What `secrets.token_urlsafe(32)` gives has this length; anything shorter was never made here.
_MIN_TOKEN = 43


def default_home() -> Path:
    """``$CASEMATE_BROKER``, or a place below the user's data."""
    if named := os.environ.get("CASEMATE_BROKER"):
        return Path(named)
    data = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return Path(data) / "casemate" / "broker"


class Home:
    """An existing directory, or a new one with new keys."""

    def __init__(self, path: Path, names: Sequence[str] = ()) -> None:
        """``names``: by which TLS clients that check names (Gramine's) may call the broker, beside this machine's."""
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError as error:
            raise describe_os_error(error, "cannot make the broker's directory", str(path)) from None
        if mode & 0o022:
            raise BrokerError("others can write to the broker's directory", where=str(path), remedy="chmod 700 it")
        self.identity = self._identity(names)
        self.token = self._token()

    @property
    def pin(self) -> bytes:
        """SHA-256 of the broker's public key: what manifests and clients name."""
        return key_fingerprint(self.identity.certificate)

    @property
    def certificate_path(self) -> Path:
        return self.path / _CERTIFICATE

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.path / _DATABASE}"

    def master_key(self) -> FileMasterKey:
        """The master key in a file of this directory; made on first use."""
        path = self.path / _MASTER
        return FileMasterKey.load(path) if path.exists() else FileMasterKey.create(path)

    def write_access(self, host: str, port: int) -> None:
        """How the owner's commands find the broker that serves from here."""
        text = json.dumps({"url": f"https://{_bracketed(host)}:{port}", "token": self.token, "pin": self.pin.hex()})
        new = self.path / f"{_ACCESS}.new"
        new.unlink(missing_ok=True)
        write_private(new, text.encode())
        new.rename(self.path / _ACCESS)

    def _identity(self, names: Sequence[str]) -> Identity:
        path = self.path / _KEY
        try:
            if not path.exists():
                write_private(path, _key_pem(ec.generate_private_key(ec.SECP256R1())))
            key = load_pem_private_key(path.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise BrokerError("the broker's key is not on the curve P-256", where=str(path))
            if not self.certificate_path.exists() or not set(names) <= self._names():
                identity = sign_identity(key, [_alternative_names(names)], name=_NAME, lifetime=_LIFETIME)
                replace_file(self.certificate_path, identity.certificate_pem(), mode=0o644)
            certificate = x509.load_pem_x509_certificate(self.certificate_path.read_bytes())
        except OSError as error:
            raise describe_os_error(error, "cannot read the broker's key", str(path)) from None
        except (ValueError, x509.ExtensionNotFound):
            raise BrokerError("the broker's key or certificate is damaged", where=str(self.path)) from None
        if certificate.public_key() != key.public_key():
            raise BrokerError("the broker's certificate is not of its key", where=str(self.path))
        return Identity(key, certificate.public_bytes(Encoding.DER))

    def _names(self) -> set[str]:
        certificate = x509.load_pem_x509_certificate(self.certificate_path.read_bytes())
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return {str(each.value) for each in found}

    def _token(self) -> str:
        path = self.path / _TOKEN
        if not path.exists():
            write_private(path, secrets.token_urlsafe(32).encode())
        token = path.read_bytes().strip().decode("ascii", "replace")
        # A start that was cut off may have left it empty, and an empty token would let everyone in.
        if len(token) < _MIN_TOKEN:
            raise BrokerError("the owner's token is damaged", where=str(path), remedy="remove it; a new one is made")
        return token

    def is_owner(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.token.encode())


def _alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    found: list[x509.GeneralName] = []
    for name in dict.fromkeys([*names, socket.gethostname(), "localhost", "127.0.0.1", "::1"]):
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return x509.SubjectAlternativeName(found)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True)
class Access:
    """Where a broker's owner reaches it, and how each knows the other."""

    url: str
    token: str
    pin: bytes

    @classmethod
    def load(cls, path: Path) -> Access:
        """From a broker's directory, or a copy of its ``access.json``."""
        file = path / _ACCESS if path.is_dir() else path
        try:
            value = json.loads(file.read_bytes())
            return cls(str(value["url"]), str(value["token"]), bytes.fromhex(value["pin"]))
        except FileNotFoundError:
            raise BrokerError(
                "no broker serves from here", where=str(path), remedy="start one: casemate broker serve"
            ) from None
        except OSError as error:
            raise describe_os_error(error, "cannot read how the broker is reached", str(file)) from None
        except (ValueError, KeyError, TypeError):
            raise BrokerError("this file does not say how a broker is reached", where=str(file)) from None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
