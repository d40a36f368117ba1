"""Generates scripts of file-system calls for file_calls.c: few names and few descriptors, so that calls meet."""

from __future__ import annotations

import os
from random import Random

_NAMES = ("a", "b", "c", "d", "e")
_FLAGS = (os.O_CREAT, os.O_EXCL, os.O_TRUNC, os.O_APPEND, os.O_DIRECTORY, os.O_NOFOLLOW)
_LENGTHS = (0, 1, 7, 100, 4095, 4096, 4097, 10000, 65536)
_OFFSETS = (0, 1, 5, 100, 4095, 4096, 4097, 8192, 12000, 70000, -1)
_MODES = (0o644, 0o600, 0o755, 0o777, 0o400)


def generate(seed: int, length: int) -> list[str]:
    """A script; the same seed and length give the same one."""
    return _Generator(Random(seed)).script(length)


class _Generator:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._calls = [
            (10, self._open),
            (4, lambda: f"close {self._slot()}"),
            (2, lambda: f"dup {self._slot()} {self._slot()}"),
            (6, lambda: f"read {self._slot()} {self._length()}"),
            (6, lambda: f"pread {self._slot()} {self._length()} {self._offset()}"),
            (8, lambda: f"write {self._slot()} {self._length()} {self._byte()}"),
            (6, lambda: f"pwrite {self._slot()} {self._length()} {self._offset()} {self._byte()}"),
            (2, lambda: f"writev {self._slot()} {self._byte()}"),
            (5, lambda: f"lseek {self._slot()} {self._offset()} {self._one(0, 1, 2, 2, 9)}"),
            (4, lambda: f"ftruncate {self._slot()} {self._offset()}"),
            (3, lambda: f"truncate {self._path()} {self._offset()}"),
            (2, lambda: f"fallocate {self._slot()} {self._one(0, 0, 1, 3)} {self._offset()} {self._length()}"),
            (10, lambda: f"rename {self._path()} {self._path()} {self._one(0, 0, 0, 0, 1, 2)}"),
            (6, lambda: f"link {self._path()} {self._path()}"),
            (5, lambda: f"symlink {self._target()} {self._path()}"),
            (7, lambda: f"unlink {self._path()}"),
            (8, lambda: f"mkdir {self._path()} {self._one(0o755, 0o700, 0o777)}"),
            (4, lambda: f"rmdir {self._path()}"),
            (1, lambda: f"mkfifo {self._path()}"),
            (3, lambda: f"stat {self._path()}"),
            (3, lambda: f"lstat {self._path()}"),
            (3, lambda: f"fstat {self._slot()}"),
            (2, lambda: f"readlink {self._path()} {self._one(0, 1, 3, 100)}"),
            (2, lambda: f"chmod {self._path()} {self._one(*_MODES)}"),
            (2, lambda: f"access {self._path()} {self._one(0, 4, 2, 8)}"),
            (1, lambda: f"utimens {self._path()} {self._byte()} {self._byte()}"),
            (3, lambda: f"chdir {self._path()}"),
            (2, lambda: f"copy {self._slot()} {self._slot()} {self._length()}"),
            (1, lambda: f"sendfile {self._slot()} {self._slot()} {self._length()}"),
            (2, lambda: f"setxattr {self._path()} user.{self._one('x', 'y')} {self._byte()} {self._one(0, 0, 1, 2)}"),
            (1, lambda: f"getxattr {self._path()} user.{self._one('x', 'y')}"),
            (1, lambda: f"removexattr {self._path()} user.{self._one('x', 'y')}"),
            (4, lambda: f"list {self._path()}"),
        ]

    def script(self, length: int) -> list[str]:
        weights = [weight for weight, _ in self._calls]
        chosen = self._random.choices([call for _, call in self._calls], weights, k=length)
        return [call() for call in chosen]

    def _one(self, *values: object) -> object:
        return self._random.choice(values)

    def _slot(self) -> int:
        return self._random.randrange(8)

    def _byte(self) -> int:
        return self._random.randrange(256)

    def _length(self) -> int:
        return self._random.choice(_LENGTHS)

    def _offset(self) -> int:
        return self._random.choice(_OFFSETS)

    def _path(self) -> str:
        parts = [self._random.choice(_NAMES) for _ in range(self._random.choice((1, 1, 1, 2, 2, 3)))]
        special = self._random.random()
        if special < 0.04:
            parts.insert(self._random.randrange(len(parts) + 1), self._random.choice((".", "..")))
        path = "/".join(parts)
        if special > 0.99:
            return "''"
        return path + "/" if 0.96 < special <= 0.98 else path

    def _target(self) -> str:
        """What a symlink points to: mostly names that exist, some not, some loops."""
        return self._random.choice((self._path(), self._path(), "../" + self._path(), "no/such", "."))

    def _open(self) -> str:
        access = self._random.choice((os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR))
        flags = access | os.O_NONBLOCK  # opening a FIFO would wait
        for flag in _FLAGS:
            if self._random.random() < (0.5 if flag == os.O_CREAT else 0.12):
                flags |= flag
        if flags & os.O_CREAT:
            flags &= ~os.O_DIRECTORY
        return f"open {self._slot()} {self._path()} {flags} {self._one(*_MODES)}"
