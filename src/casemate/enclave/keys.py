"""Signing keys: RSA-3072 with exponent 3, as SGX wants them, in PEM files.

A private key exists in its file and in this process's memory and nowhere else: it is never copied to another file,
an environment variable, a command line or a log. Signatures come out; keys do not.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from casemate._core import mr_signer
from casemate.enclave.errors import PassphraseNeededError, SigningKeyError
from casemate.errors import describe_os_error

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

KEY_BITS = 3072
EXPONENT = 3
_KEY_BYTES = KEY_BITS // 8
_MAX_FILE_BYTES = 64 << 10
_MAKE_ONE = "make one with `casemate key new FILE`"


class SigningKey:
    """A private key, loaded. Shows nothing of itself but its public half."""

    __slots__ = ("_private", "warnings")

    def __init__(self, private: rsa.RSAPrivateKey, warnings: tuple[str, ...] = ()) -> None:
        self._private = private
        self.warnings = warnings
        """Sentences for the user: what is unwise about the file, not what is wrong."""

    @property
    def modulus(self) -> bytes:
        """The public modulus, 384 bytes, little-endian."""
        return _modulus(self._private.public_key())

    @property
    def mrsigner(self) -> bytes:
        """MRSIGNER of the enclaves that this key signs, 32 bytes."""
        return mr_signer(self.modulus)

    def sign(self, message: bytes) -> bytes:
        """PKCS #1 v1.5 signature with SHA-256, 384 bytes, little-endian."""
        return self._private.sign(message, padding.PKCS1v15(), hashes.SHA256())[::-1]

    def public_pem(self) -> bytes:
        """The public half, as ``casemate sign --attach --public-key`` reads it."""
        return self._private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def __repr__(self) -> str:
        return f"<SigningKey of {self.mrsigner.hex()}>"

    def __reduce__(self) -> str:
        raise TypeError("a signing key does not leave its process")


def new_key(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """Makes a key and writes it to a file that must not exist, readable by its owner only (mode 0600).

    With a passphrase the file is encrypted PKCS #8. Nothing is left behind when writing fails.
    """
    private = rsa.generate_private_key(public_exponent=EXPONENT, key_size=KEY_BITS)
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    write_key_file(path, pem)
    return SigningKey(private)


def load_signing_key(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """Reads a private key; raises `PassphraseNeededError` when it is encrypted and none was given."""
    data, mode = _read(path)
    where = str(path)
    try:
        key: PrivateKeyTypes = serialization.load_pem_private_key(data, passphrase)
    except TypeError:
        # The library's way to say that exactly one of "encrypted" and "passphrase given" holds.
        if passphrase is None:
            raise PassphraseNeededError(
                "the key is encrypted", where=where, remedy="give its passphrase with --passphrase-file"
            ) from None
        raise SigningKeyError(
            "a passphrase was given and the key is not encrypted", where=where, remedy="leave the passphrase out"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise _unreadable(data, where, encrypted=passphrase is not None) from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise SigningKeyError("this is not an RSA key", where=where, remedy=_MAKE_ONE)
    _check_public(key.public_key(), where)
    warnings: tuple[str, ...] = ()
    if mode & 0o077 and passphrase is None:
        warnings = (f"{where}: others than its owner can read the key (mode {mode:04o}); run `chmod 600 {where}`",)
    return SigningKey(key, warnings)


def load_public_modulus(path: Path) -> bytes:
    """The modulus (little-endian) of a public key or a certificate's in PEM; a private key's file works too."""
    data, _ = _read(path)
    where = str(path)
    try:
        key: PublicKeyTypes = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        if b"PRIVATE KEY" in data:
            return load_signing_key(path).modulus
        raise SigningKeyError(
            "this is not a public key in PEM format", where=where, remedy="export it as SubjectPublicKeyInfo in PEM"
        ) from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise SigningKeyError("this is not an RSA key", where=where, remedy="SGX signs with RSA-3072 only")
    _check_public(key, where)
    return _modulus(key)


def read_passphrase(path: Path) -> bytes:
    """The passphrase in a file: everything but one line break at the end."""
    data, _ = _read(path)
    passphrase = data.removesuffix(b"\n").removesuffix(b"\r")
    if not passphrase:
        raise SigningKeyError("the passphrase file is empty", where=str(path), remedy="write the passphrase into it")
    return passphrase


def _check_public(key: rsa.RSAPublicKey, where: str) -> None:
    numbers = key.public_numbers()
    if key.key_size != KEY_BITS:
        raise SigningKeyError(f"the key has {key.key_size} bits, SGX needs {KEY_BITS}", where=where, remedy=_MAKE_ONE)
    if numbers.e != EXPONENT:
        raise SigningKeyError(
            f"the key's public exponent is {numbers.e}, SGX needs {EXPONENT}", where=where, remedy=_MAKE_ONE
        )


def _modulus(key: rsa.RSAPublicKey) -> bytes:
    return key.public_numbers().n.to_bytes(_KEY_BYTES, "little")


def _unreadable(data: bytes, where: str, *, encrypted: bool) -> SigningKeyError:
    if b"PRIVATE KEY-----" not in data:
        kind = "a public key or certificate" if b"-----BEGIN" in data else "no key in PEM format"
        return SigningKeyError(f"this is {kind}, signing needs the private key", where=where, remedy=_MAKE_ONE)
    if encrypted:
        return SigningKeyError("the passphrase is wrong, or the file is damaged", where=where)
    return SigningKeyError("the key file is damaged", where=where, remedy="restore it from a copy")


def _read(path: Path) -> tuple[bytes, int]:
    """At most 64 KiB of a file, and its permission bits."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise describe_os_error(error, "cannot read the key", str(path)) from None
    if len(data) > _MAX_FILE_BYTES:
        raise SigningKeyError("this file is too large for a key", where=str(path))
    # A pipe (process substitution) has no permissions worth a warning.
    return data, stat.S_IMODE(status.st_mode) if stat.S_ISREG(status.st_mode) else 0


def write_key_file(path: Path, data: bytes) -> None:
    """Creates the file exclusively: never over another one, never through a link, never readable by others."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise SigningKeyError(
            "there is already a file", where=str(path), remedy="choose another name; keys are never overwritten"
        ) from None
    except OSError as error:
        raise describe_os_error(error, "cannot write the key", str(path)) from None
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise describe_os_error(error, "cannot write the key", str(path)) from None
        raise
