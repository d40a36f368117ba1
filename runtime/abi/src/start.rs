//! The start-up block: what the loader tells the enclave when it enters it for the first time.

/// `"CSMTSTRT"`, little-endian.
pub const START_MAGIC: u64 = u64::from_le_bytes(*b"CSMTSTRT");
/// First eight bytes of the measured block (`/casemate/measured`).
pub const MEASURED_MAGIC: [u8; 8] = *b"CSMTMEAS";

/// In RAX at the entry point: this is a function call on `direct`, not EENTER, which puts the small number CSSA there.
pub const DIRECT_ENTRY: u64 = u64::from_le_bytes(*b"CSMTDRCT");
/// In RDI at EEXIT instead of a [`HostCall`](crate::HostCall) number: the entry is over. RSI is its result.
pub const EXIT_DONE: u64 = u64::MAX;

/// Why the enclave's one entry point is called: `rdi`.
///
/// On `direct` it is called as a function, with [`DIRECT_ENTRY`] in RAX. On `softsgx` and `sgx` it is what EENTER jumps to, and
/// the reason follows from the thread's own state inside; `rdi` is not believed. There a host call is EEXIT with its
/// number in RDI and the address of its arguments in RSI, and the EENTER that ends it carries the result in RDI.
/// In R8 any EENTER carries 1 when a host signal arrived that the enclave has not been told of, else 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum EntryReason {
    /// First entry. `rsi`: [`StartBlock`], `rdx`: the main thread's [`HostThread`](crate::HostThread). Does not return.
    Start = 0,
    /// A new thread. `rsi`: the value given to `ThreadCreate`, `rdx`: its `HostThread`. Returns when the thread ends.
    Thread = 1,
    /// A host signal or fault. On `direct`, `rsi`: [`ExceptionFrame`](crate::ExceptionFrame); returns with the frame edited, and
    /// the loader resumes by it. Else the frame is the SSA's, and ERESUME follows.
    Exception = 2,
}

/// Where the enclave runs; chosen by the loader, checked by the enclave where it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Platform {
    /// Hardware SGX.
    Sgx = 1,
    /// The software SGX device.
    SoftSgx = 2,
    /// Ordinary memory, host calls by function call: no protection at all.
    Direct = 3,
}

/// A byte range in untrusted memory.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Blob {
    /// Address of the first byte; any value when `length` is 0.
    pub address: u64,
    /// Length in bytes.
    pub length: u64,
}

/// Bits of [`StartBlock::flags`].
#[derive(Clone, Copy, Debug)]
pub struct StartFlags;

impl StartFlags {
    /// Print system calls as strace does (`casemate run --trace`).
    pub const TRACE: u32 = 1;
    /// Print counters at the end (`casemate run --stats`).
    pub const STATS: u32 = 2;
}

/// The start-up block: what the host tells of itself. Where things lie in the enclave is not here: the measured page says it
/// (`casemate_sgx::layout::LayoutBlock`). All addresses are absolute; sizes are in bytes.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct StartBlock {
    /// [`START_MAGIC`].
    pub magic: u64,
    /// [`ABI_VERSION`](crate::ABI_VERSION).
    pub version: u32,
    /// A [`Platform`] as a number.
    pub platform: u32,
    /// Lowest address that the host's kernel lets anyone map (`vm.mmap_min_addr`).
    pub lowest_address: u64,
    /// On `direct`: address of the host-call function, `extern "C" fn(u64, *mut [u64; 6]) -> i64`. Else 0.
    pub host_call: u64,
    /// On `softsgx`: address of the code that does what ENCLU does, jumped to with the instruction's registers and a return
    /// address on the stack (not used by EEXIT). 0: ENCLU itself. Beyond ENCLU: EACCEPT, EACCEPTCOPY and EMODPE take in R9
    /// how many bytes of pages to work on, and leave in R9 how many were done; R10 is then 1 as R8 at entry.
    pub enclu: u64,
    /// [`StartFlags`].
    pub flags: u32,
    /// How many processors the host has.
    pub processors: u32,
    /// The canonical manifest.
    pub manifest: Blob,
    /// The file index.
    pub index: Blob,
    /// Arguments from the host, each ended by NUL.
    pub arguments: Blob,
    /// Environment from the host, `NAME=VALUE` each ended by NUL.
    pub environment: Blob,
    /// Host directories offered by the host (`-v`), `PATH-INSIDE[:ro]` each ended by NUL; the position is the volume number.
    pub volumes: Blob,
    /// `/etc/resolv.conf` as the host has it.
    pub resolv_conf: Blob,
    /// `/etc/hosts` as the host has it.
    pub hosts: Blob,
    /// The host's name, no NUL.
    pub hostname: Blob,
    /// What CPUID says, as [`CpuidEntry`](crate::CpuidEntry) one after the other.
    pub cpuid: Blob,
    /// The [`ExitlessRing`](crate::ExitlessRing); empty when the manifest asks for no servers.
    pub ring: Blob,
    /// How many mappings the host's kernel lets a process have (`vm.max_map_count`).
    pub mappings: u64,
}

const _: () = assert!(core::mem::size_of::<StartBlock>() == 216);
