"""What a machine has and what follows from it, for machines that are here and machines that are not."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from casemate.loader import hardware
from casemate.loader.hardware import Facts, gather, judge, kernel_version, node_state


@dataclasses.dataclass(frozen=True)
class Cpu:
    brand: str = "Xeon"
    sgx: bool = True
    flexible_launch_control: bool = True
    sgx1: bool = True
    sgx2: bool = True
    exinfo: bool = True
    max_enclave_size: int = 1 << 56
    epc_size: int = 64 << 30


GOOD = Facts(
    processor=Cpu(),
    kernel="6.1.0-18-amd64",
    kernel_knows_sgx=True,
    enclave_node="usable",
    provision_node="usable",
    dev_noexec=False,
    mmap_min_addr=65536,
    fsgsbase=True,
    syscall_user_dispatch=True,
    vdso_entry=True,
    aesm=True,
)
NOTHING = Cpu(
    sgx=False, flexible_launch_control=False, sgx1=False, sgx2=False, exinfo=False, max_enclave_size=0, epc_size=0
)
PLAIN = dataclasses.replace(
    GOOD,
    processor=NOTHING,
    kernel_knows_sgx=False,
    enclave_node="absent",
    provision_node="absent",
    vdso_entry=False,
    aesm=False,
)


def missing(facts: Facts) -> list[str]:
    return [finding.name for finding in judge(facts).findings if finding.state == "missing"]


def test_a_machine_with_everything_takes_the_hardware() -> None:
    judgement = judge(GOOD)
    assert (judgement.platform, judgement.ready, judgement.exit_status) == ("sgx", True, 0)
    assert missing(GOOD) == []


def test_a_machine_without_sgx_simulates_and_says_so() -> None:
    judgement = judge(PLAIN)
    assert (judgement.platform, judgement.ready, judgement.exit_status) == ("softsgx", True, 1)
    assert "/dev/sgx_enclave is absent" in judgement.reason
    assert "protect nothing" in judgement.reason
    assert "processor: SGX" in missing(PLAIN)


@pytest.mark.parametrize(
    ("change", "name", "status"),
    [
        ({"enclave_node": "no access"}, "enclave device", 3),
        ({"enclave_node": "not a device"}, "enclave device", 3),
        ({"dev_noexec": True}, "enclave code may be mapped", 3),
        ({"kernel": "5.10.0"}, "kernel: driver", 3),
        ({"kernel": "5.15.0"}, "kernel: dynamic memory", 0),
        ({"kernel_knows_sgx": False}, "kernel: SGX enabled", 3),
        ({"vdso_entry": False}, "kernel: entry through the vDSO", 3),
        ({"fsgsbase": False}, "FSGSBASE", 3),
        ({"mmap_min_addr": 1 << 20}, "low addresses", 3),
        ({"syscall_user_dispatch": False}, "kernel: syscall user dispatch", 0),
        ({"provision_node": "no access"}, "provisioning device", 0),
        ({"aesm": False}, "quoting service (AESM)", 0),
        ({"processor": Cpu(sgx2=False)}, "processor: SGX2", 0),
        ({"processor": Cpu(flexible_launch_control=False)}, "processor: flexible launch control", 3),
        ({"processor": Cpu(epc_size=0)}, "enclave memory (EPC)", 3),
        ({"processor": Cpu(exinfo=False)}, "processor: reports of memory faults", 3),
        ({"processor": Cpu(sgx1=False)}, "processor: SGX", 3),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_every_lack_has_its_line_and_its_remedy(change: dict[str, Any], name: str, status: int) -> None:
    judgement = judge(dataclasses.replace(GOOD, **change))
    lacking = [finding for finding in judgement.findings if finding.state == "missing"]
    assert name in [finding.name for finding in lacking]
    assert all(finding.remedy for finding in lacking)
    assert judgement.exit_status == status
    assert (name in judgement.reason) == (status != 0)


def test_without_what_simulation_needs_nothing_runs() -> None:
    for change in ({"fsgsbase": False}, {"syscall_user_dispatch": False}):
        judgement = judge(dataclasses.replace(PLAIN, **change))
        assert (judgement.platform, judgement.exit_status) == (None, 3)


def test_kernel_releases_are_read_as_two_numbers() -> None:
    assert kernel_version("6.18.5-cloud+") == (6, 18)
    assert kernel_version("5.11") == (5, 11)
    assert kernel_version("unknown") == (0, 0)


def test_nodes_are_told_apart(tmp_path: Path) -> None:
    assert node_state(tmp_path / "absent", os.R_OK) == "absent"
    assert node_state(tmp_path, os.R_OK) == "not a device"
    assert node_state(Path("/dev/null"), os.R_OK | os.W_OK) == "usable"


def test_this_machine_is_described_and_the_exit_status_says_the_same() -> None:
    facts = gather()
    assert facts.kernel == os.uname().release
    assert facts.fsgsbase == (" fsgsbase" in Path("/proc/cpuinfo").read_text())
    assert facts.processor.sgx or facts.processor.epc_size == 0
    command = [sys.executable, "-m", "casemate", "platform", "check"]
    result = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    value = json.loads(result.stdout)
    assert value["platform"] == judge(facts).platform
    assert result.returncode == value["exit_status"] == judge(facts).exit_status
    table = subprocess.run(command, capture_output=True, text=True, check=False)
    assert table.returncode == result.returncode
    for finding in value["findings"]:
        assert finding["name"] in table.stdout
    assert value["reason"] in table.stdout


def test_the_vdso_of_this_process_is_found() -> None:
    assert b"__vdso_clock_gettime\0" in hardware._vdso()
