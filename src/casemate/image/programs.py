"""What a file's first bytes say about running it: ELF header and interpreter, ``#!`` line, or neither.

Source: System V ABI, ELF header and program header; Linux ``execve(2)`` for interpreter scripts.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEAD_BYTES = 4096
EM_X86_64 = 62
ET_EXEC, ET_DYN = 2, 3
_PT_INTERP = 3
_MACHINES = {
    3: "x86 (32-bit)",
    40: "ARM (32-bit)",
    183: "AArch64",
    243: "RISC-V",
    22: "IBM Z",
    21: "PowerPC64",
}
_SCRIPT_LINE_BYTES = 256


@dataclass(frozen=True, slots=True)
class Program:
    """How a file would be started: ``kind`` is ``elf``, ``script`` or ``other``."""

    kind: str
    interpreter: str = ""
    """Of a dynamic ELF program its PT_INTERP, of a script the path after ``#!``."""
    argument: str = ""
    """Of a script, what follows the interpreter."""
    problem: str = ""
    """Why this ELF file is no x86-64 Linux program; empty when it is one."""


def read_program(head: bytes) -> Program:
    """``head``: the file's first ``HEAD_BYTES``, or all of a shorter one."""
    if head[:2] == b"#!":
        line = head[2:_SCRIPT_LINE_BYTES].split(b"\n", 1)[0].strip(b" \t")
        parts = line.split(None, 1)
        interpreter = parts[0].decode("utf-8", "surrogateescape") if parts else ""
        argument = parts[1].decode("utf-8", "surrogateescape") if len(parts) > 1 else ""
        return Program("script", interpreter, argument)
    if head[:4] != b"\x7fELF":
        return Program("other")
    if len(head) < 64 or head[4] != 2 or head[5] != 1:
        machine = struct.unpack_from("<H", head, 18)[0] if len(head) >= 20 and head[5] == 1 else 0
        return Program("elf", problem=f"it is for {_MACHINES.get(machine, 'another machine')}")
    kind, machine = struct.unpack_from("<HH", head, 16)
    if machine != EM_X86_64:
        return Program("elf", problem=f"it is for {_MACHINES.get(machine, f'machine {machine}')}")
    if kind not in (ET_EXEC, ET_DYN):
        return Program("elf", problem="it is an ELF file but no program (an object or core file)")
    return Program("elf", interpreter=_elf_interpreter(head))


def _elf_interpreter(head: bytes) -> str:
    (table,) = struct.unpack_from("<Q", head, 32)
    entry_size, count = struct.unpack_from("<HH", head, 54)
    for number in range(count):
        at = table + number * entry_size
        if entry_size < 56 or at + 56 > len(head):
            break
        (kind,) = struct.unpack_from("<I", head, at)
        if kind == _PT_INTERP:
            offset, size = struct.unpack_from("<Q16xQ", head, at + 8)
            return head[offset : offset + size].split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
    return ""
