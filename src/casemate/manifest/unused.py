"""Keys of Gramine and GSC manifests that are accepted, change nothing here, and why.

A name covers everything below it. What has a meaning here, or would weaken something if it were ignored,
is not in this list: it is in ``schema``, or unknown and refused.
"""

from __future__ import annotations

from typing import Final

UNUSED: Final[dict[str, str]] = {
    "loader.entrypoint": "the library OS is Casemate's own and part of the measurement",
    "loader.log_file": "messages go to standard error; a log file would be the host's",
    "loader.insecure__disable_aslr": "where a program is loaded is not a setting here",
    "loader.pal_internal_mem_size": "the library OS takes what it needs",
    "libos.check_invalid_pointers": "pointers of the program are always checked",
    "fs.experimental__enable_sysfs_topology": "/sys needs no switch",
    "sys.insecure__allow_eventfd": "eventfd is made inside the enclave and needs no permission",
    "sys.experimental__enable_flock": "file locks need no switch",
    "sys.enable_sigterm_injection": "signals sent to the container reach the program as they do without an enclave",
    "sys.allowed_ioctls": "devices of the host cannot be reached from inside",
    "sys.ioctl_structs": "devices of the host cannot be reached from inside",
    "sys.debug__mock_syscalls": "system calls cannot be replaced",
    "sgx.allowed_ioctls": "devices of the host cannot be reached from inside",
    "sgx.ioctl_structs": "devices of the host cannot be reached from inside",
    "sgx.cpu_features": "programs see the processor's features through cpuid",
    "sgx.require_avx": "programs see the processor's features through cpuid",
    "sgx.require_avx512": "programs see the processor's features through cpuid",
    "sgx.require_amx": "enclaves have no AMX here, and cpuid says so",
    "sgx.require_mpx": "programs see the processor's features through cpuid",
    "sgx.require_pkru": "programs see the processor's features through cpuid",
    "sgx.require_exinfo": "faulting addresses are given to signal handlers where the processor reports them",
    "sgx.use_exinfo": "faulting addresses are given to signal handlers where the processor reports them",
    "sgx.insecure__allow_memfaults_without_exinfo": (
        "faulting addresses are given to signal handlers where the processor reports them"
    ),
    "sgx.remote_attestation": "attestation is not switched by the manifest",
    "sgx.ra_client_spid": "EPID attestation no longer exists",
    "sgx.ra_client_linkable": "EPID attestation no longer exists",
    "sgx.preheat_enclave": "memory is added when it is first used",
    "sgx.enable_stats": "use 'casemate run --stats'",
    "sgx.profile": "Gramine's profiler is not there",
    "sgx.vtune_profile": "Gramine's profiler is not there",
    "sgx.trusted_files_cache_size": "files are verified block by block as they are read",
    "sgx.nonpie_binary": "programs that are not position-independent need no switch",
    "sgx.static_address": "programs that are not position-independent need no switch",
}

# Former names of keys that have a meaning.
RENAMED: Final[dict[str, str]] = {"sgx.thread_num": "sgx.max_threads"}

# Gramine's names of keys that have another one here, because what they do is no risk here.
TRANSLATED: Final[dict[str, str]] = {"sgx.insecure__rpc_thread_num": "sgx.exitless_threads"}
