"""Encryption at rest: each value under a key of its own (AES-256-GCM), each such key wrapped by the master key.

What is sealed is bound to its place (``context``): values that are exchanged in the database do not open.
"""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from casemate.broker.errors import BrokerError
from casemate.errors import describe_os_error

_KEY_BYTES = 32
_NONCE_BYTES = 12
_FORMAT = 1
_HEAD = struct.Struct("<BH")


class MasterKey(Protocol):
    """What wraps data keys: a file, or a module of the owner's own that speaks PKCS#11 or to a key service."""

    def wrap(self, key: bytes) -> bytes:
        """32 bytes in, at most 65535 out."""

    def unwrap(self, wrapped: bytes) -> bytes:
        """The inverse; raises ``ValueError`` for what this master key has not wrapped."""


class FileMasterKey:
    """32 bytes in a file that only its owner can read. It wraps with AES-256-GCM."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @classmethod
    def load(cls, path: Path) -> FileMasterKey:
        try:
            mode = path.stat().st_mode
            key = path.read_bytes()
        except OSError as error:
            raise describe_os_error(error, "cannot read the master key", str(path)) from None
        if stat.S_IMODE(mode) & 0o077:
            raise BrokerError("others can read the master key", where=str(path), remedy="chmod 600 it")
        if len(key) != _KEY_BYTES:
            raise BrokerError(f"a master key has {_KEY_BYTES} bytes, this has {len(key)}", where=str(path))
        return cls(key)

    @classmethod
    def create(cls, path: Path) -> FileMasterKey:
        """Makes the file, which must not exist."""
        key = os.urandom(_KEY_BYTES)
        write_private(path, key)
        return cls(key)

    def wrap(self, key: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, b"casemate data key")

    def unwrap(self, wrapped: bytes) -> bytes:
        try:
            return self._cipher.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], b"casemate data key")
        except InvalidTag:
            raise ValueError("not wrapped by this key") from None


def seal(master: MasterKey, value: bytes, context: str) -> bytes:
    """Encrypts a value for one place in the database."""
    key = AESGCM.generate_key(256)
    wrapped = master.wrap(key)
    nonce = os.urandom(_NONCE_BYTES)
    return _HEAD.pack(_FORMAT, len(wrapped)) + wrapped + nonce + AESGCM(key).encrypt(nonce, value, context.encode())


def unseal(master: MasterKey, sealed: bytes, context: str) -> bytes:
    """The inverse of `seal`, for the same place."""
    try:
        form, size = _HEAD.unpack_from(sealed)
        if form != _FORMAT:
            raise ValueError("another format")
        wrapped, rest = sealed[_HEAD.size : _HEAD.size + size], sealed[_HEAD.size + size :]
        key = master.unwrap(wrapped)
        return AESGCM(key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], context.encode())
    except (struct.error, ValueError, InvalidTag):
        raise BrokerError(
            "a sealed value cannot be opened",
            where=context,
            remedy="the master key is another one than it was sealed with, or the database was changed",
        ) from None


def write_private(path: Path, data: bytes) -> None:
    """A new file that only its owner can read, durable when this returns. One that cannot be written is not left there."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
        except BaseException:
            # The next start would take it for a whole one.
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise describe_os_error(error, "cannot write", str(path)) from None
