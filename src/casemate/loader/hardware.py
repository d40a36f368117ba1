"""What a machine must have for each platform, found out and judged: ``casemate platform check``.

Gathering facts (`gather`) touches the machine and changes nothing on it; judging them (`judge`) is a function of the facts,
so that machines that nobody here has can be tested.
"""

from __future__ import annotations

import ctypes
import os
import re
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from casemate._core import sgx_processor

ENCLAVE_NODE = Path("/dev/sgx_enclave")
PROVISION_NODE = Path("/dev/sgx_provision")
AESM_SOCKET = Path("/var/run/aesmd/aesm.socket")
VDSO_ENTRY = b"__vdso_sgx_enter_enclave\0"
# The enclave's range begins at address 0; its first page is at 64 KiB.
LOWEST_ADDRESS = 64 << 10
_AT_HWCAP2 = 26
_HWCAP2_FSGSBASE = 2
_PR_SET_SYSCALL_USER_DISPATCH = 59
_MIB = 1 << 20

Node = Literal["absent", "not a device", "no access", "usable"]
Need = Literal["everything", "sgx", "softsgx", "dynamic memory", "attestation"]
State = Literal["ok", "missing"]


class Processor(Protocol):
    """``casemate._core.SgxProcessor``, or a machine that a test makes up."""

    @property
    def brand(self) -> str: ...
    @property
    def sgx(self) -> bool: ...
    @property
    def flexible_launch_control(self) -> bool: ...
    @property
    def sgx1(self) -> bool: ...
    @property
    def sgx2(self) -> bool: ...
    @property
    def exinfo(self) -> bool: ...
    @property
    def max_enclave_size(self) -> int: ...
    @property
    def epc_size(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found on a machine."""

    processor: Processor
    kernel: str
    """As ``uname -r`` prints it."""
    kernel_knows_sgx: bool
    """The kernel lists ``sgx`` among the processor's features: the firmware enabled it and the driver took it."""
    enclave_node: Node
    provision_node: Node
    dev_noexec: bool
    """The file system of the nodes is mounted noexec, which forbids mapping enclave code."""
    mmap_min_addr: int
    fsgsbase: bool
    syscall_user_dispatch: bool
    vdso_entry: bool
    aesm: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the result."""

    name: str
    state: State
    needed_for: Need
    found: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """``platform`` is what ``--platform auto`` takes; None where nothing runs."""

    platform: Literal["sgx", "softsgx"] | None
    reason: str
    ready: bool
    """Whether that platform has all it needs."""
    findings: list[Finding]

    @property
    def exit_status(self) -> int:
        """0: enclaves are protected by hardware. 1: programs run, unprotected. 3: nothing runs as it is."""
        if not self.ready:
            return 3
        return 0 if self.platform == "sgx" else 1

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "exit_status": self.exit_status}


# --- Gathering -------------------------------------------------------------------------------------------


def gather() -> Facts:
    """Looks at this machine."""
    return Facts(
        processor=sgx_processor(),
        kernel=os.uname().release,
        kernel_knows_sgx="sgx" in _cpu_flags(),
        enclave_node=node_state(ENCLAVE_NODE, os.R_OK | os.W_OK),
        provision_node=node_state(PROVISION_NODE, os.R_OK),
        dev_noexec=bool(os.statvfs("/dev").f_flag & os.ST_NOEXEC),
        mmap_min_addr=int(_read("/proc/sys/vm/mmap_min_addr") or 0),
        fsgsbase=bool(_auxiliary_value(_AT_HWCAP2) & _HWCAP2_FSGSBASE),
        syscall_user_dispatch=_has_syscall_user_dispatch(),
        vdso_entry=VDSO_ENTRY in _vdso(),
        aesm=AESM_SOCKET.is_socket(),
    )


def node_state(path: Path, access: int) -> Node:
    """Whether a device node is there and this user may open it so."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return "absent"
    if not stat.S_ISCHR(mode):
        return "not a device"
    return "usable" if os.access(path, access, effective_ids=True) else "no access"


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _cpu_flags() -> set[str]:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith(b"flags"):
            return set(line.decode("ascii", "replace").partition(":")[2].split())
    return set()


def _auxiliary_value(key: int) -> int:
    words = memoryview(_read("/proc/self/auxv")).cast("Q")
    return dict(zip(words[::2], words[1::2], strict=False)).get(key, 0)


def _has_syscall_user_dispatch() -> bool:
    """Asks the kernel to switch off what is off: it says EINVAL when it does not know the request."""
    zero = ctypes.c_ulong(0)
    return bool(ctypes.CDLL(None).prctl(_PR_SET_SYSCALL_USER_DISPATCH, zero, zero, zero, zero) == 0)


def _vdso() -> bytes:
    """The image that the kernel mapped into this process."""
    for line in _read("/proc/self/maps").splitlines():
        if line.endswith(b"[vdso]"):
            start, _, end = line.split()[0].partition(b"-")
            with open("/proc/self/mem", "rb", buffering=0) as memory:
                memory.seek(int(start, 16))
                return memory.read(int(end, 16) - int(start, 16))
    return b""


# --- Judging ---------------------------------------------------------------------------------------------


def judge(facts: Facts) -> Judgement:
    """Every requirement, and the platform that ``auto`` takes."""
    findings = [
        *_processor(facts),
        *_kernel(facts),
        _node("enclave device", ENCLAVE_NODE, facts.enclave_node, "sgx", "sgx"),
        _finding(
            "enclave code may be mapped",
            not facts.dev_noexec,
            "sgx",
            "/dev is mounted " + ("noexec" if facts.dev_noexec else "without noexec"),
            "mount -o remount,exec /dev",
        ),
        _node("provisioning device", PROVISION_NODE, facts.provision_node, "attestation", "sgx_prv"),
        _finding(
            "quoting service (AESM)",
            facts.aesm,
            "attestation",
            str(AESM_SOCKET) if facts.aesm else f"no socket at {AESM_SOCKET}",
            "install and start Intel's sgx-aesm-service with its quote-ex plugin",
        ),
    ]
    missing = [finding for finding in findings if finding.state == "missing"]
    platform: Literal["sgx", "softsgx"] = "softsgx" if facts.enclave_node == "absent" else "sgx"
    lacks = [finding.name for finding in missing if finding.needed_for in ("everything", platform)]
    if lacks and (platform == "softsgx" or any(finding.needed_for == "everything" for finding in missing)):
        return Judgement(None, f"no program runs here without: {', '.join(lacks)}", False, findings)
    if platform == "softsgx":
        reason = f"{ENCLAVE_NODE} is absent: enclaves are simulated and protect nothing from this machine"
        return Judgement(platform, reason, True, findings)
    if lacks:
        reason = f"{ENCLAVE_NODE} is there, but enclaves will not start without: {', '.join(lacks)}"
        return Judgement(platform, reason, False, findings)
    return Judgement(platform, f"{ENCLAVE_NODE} is there and usable", True, findings)


def _processor(facts: Facts) -> list[Finding]:
    cpu, name = facts.processor, facts.processor.brand or "this processor"
    other = "use a machine with SGX and flexible launch control (Xeon from Ice Lake on)"
    size = f"{cpu.epc_size // _MIB} MiB" if cpu.epc_size else "none"
    largest = f", enclaves of at most {cpu.max_enclave_size // _MIB} MiB" if cpu.max_enclave_size else ""
    return [
        _finding("processor: SGX", cpu.sgx and cpu.sgx1, "sgx", name, f"enable SGX in the firmware, or {other}"),
        _finding(
            "processor: flexible launch control",
            cpu.flexible_launch_control,
            "sgx",
            "CPUID.07H:ECX[30]",
            f"enable it in the firmware (unlocked launch keys), or {other}",
        ),
        _finding(
            "processor: reports of memory faults",
            cpu.exinfo,
            "sgx",
            "CPUID.12H:EBX[0]",
            f"none helps on this processor; {other}",
        ),
        _finding(
            "processor: SGX2",
            cpu.sgx2,
            "dynamic memory",
            "CPUID.12H:EAX[1]",
            "without it images need sigstruct.static: build with sgx.edmm_enable left out or false",
        ),
        _finding(
            "enclave memory (EPC)",
            cpu.epc_size > 0,
            "sgx",
            size + largest,
            "reserve it in the firmware (PRM size)",
        ),
        _finding(
            "FSGSBASE", facts.fsgsbase, "everything", "AT_HWCAP2[1]", "use Linux 5.9 or later, without nofsgsbase"
        ),
    ]


def _kernel(facts: Facts) -> list[Finding]:
    version = kernel_version(facts.kernel)
    lowest = facts.mmap_min_addr <= LOWEST_ADDRESS
    return [
        _finding("kernel: driver", version >= (5, 11), "sgx", facts.kernel, "use Linux 5.11 or later"),
        _finding("kernel: dynamic memory", version >= (6, 0), "dynamic memory", facts.kernel, "use Linux 6.0 or later"),
        _finding(
            "kernel: SGX enabled",
            facts.kernel_knows_sgx,
            "sgx",
            "sgx is among the features in /proc/cpuinfo"
            if facts.kernel_knows_sgx
            else "sgx is not among the features in /proc/cpuinfo",
            "enable SGX in the firmware, and CONFIG_X86_SGX in the kernel",
        ),
        _finding(
            "kernel: entry through the vDSO",
            facts.vdso_entry,
            "sgx",
            "__vdso_sgx_enter_enclave",
            "use a kernel built with CONFIG_X86_SGX",
        ),
        _finding(
            "kernel: syscall user dispatch",
            facts.syscall_user_dispatch,
            "softsgx",
            "prctl(PR_SET_SYSCALL_USER_DISPATCH)",
            "use Linux 5.11 or later; a seccomp filter may also forbid it",
        ),
        _finding(
            "low addresses",
            lowest,
            "everything",
            f"vm.mmap_min_addr is {facts.mmap_min_addr}",
            f"sysctl vm.mmap_min_addr={LOWEST_ADDRESS}",
        ),
    ]


def kernel_version(release: str) -> tuple[int, int]:
    """The first two numbers of a kernel's release; zeros when it has none."""
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _node(name: str, path: Path, state: Node, needed_for: Need, group: str) -> Finding:
    remedies = {
        "absent": "see the lines on processor and kernel; in a container, pass it in: --device " + str(path),
        "not a device": f"remove what is at {path} and load the driver",
        "no access": f"add this user to the group '{group}', or change the node's mode",
    }
    return _finding(name, state == "usable", needed_for, f"{path}: {state}", remedies.get(state, ""))


def _finding(name: str, good: bool, needed_for: Need, found: str, remedy: str) -> Finding:
    return Finding(name, "ok" if good else "missing", needed_for, found, None if good else remedy)
