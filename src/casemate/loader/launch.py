"""Becoming the loader: the process that ``casemate run`` started is replaced, so that exit status, standard
streams and signals are the program's own."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import NoReturn

from casemate.errors import RuntimeFilesError
from casemate.image.store import Placed

_LOADER = "casemate-host"


@dataclass(slots=True)
class Volume:
    """A host directory offered to the program at a path inside."""

    host: str
    inside: str
    read_only: bool

    def __str__(self) -> str:
        return f"{self.host}:{self.inside}{':ro' if self.read_only else ''}"


@dataclass(slots=True)
class RunOptions:
    platform: str = "auto"
    fuses: str | None = None
    """The software device's fuse file; None where that device is not used."""
    faithful: bool = False
    """On the software device: ENCLU is the instruction, which traps."""
    aesm: str | None = None
    """Socket of the service that makes quotes; None for the place where Intel's service has it."""
    trace: bool = False
    stats: bool = False
    hostname: str | None = None
    volumes: list[Volume] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)


def loader_command(placed: Placed, options: RunOptions) -> list[str]:
    """The loader's command line; ``--bundle`` comes first, which tells the loader that options follow."""
    command = [_LOADER, "--bundle", str(placed.bundle), "--store", str(placed.store)]
    if options.platform != "auto":
        command += ["--platform", options.platform]
    command += ["--fuses", options.fuses] if options.fuses is not None else []
    command += ["--faithful"] if options.faithful else []
    command += ["--aesm", options.aesm] if options.aesm is not None else []
    command += ["--trace"] if options.trace else []
    command += ["--stats"] if options.stats else []
    command += ["--hostname", options.hostname] if options.hostname is not None else []
    for volume in options.volumes:
        command += ["--volume", str(volume)]
    for name, value in options.environment.items():
        command += ["--env", f"{name}={value}"]
    return [*command, "--", *options.arguments]


def launch(placed: Placed, options: RunOptions) -> NoReturn:
    """Replaces this process. The program's environment is the manifest's and ``options``', never this process's."""
    path = placed.bundle / _LOADER
    try:
        os.execve(path, loader_command(placed, options), {})  # noqa: S606 - that is the point
    except OSError as error:
        raise RuntimeFilesError(
            f"cannot start the loader: {error.strerror}",
            where=str(path),
            remedy="check that the cache's file system allows programs to run (mount option noexec)",
        ) from None
