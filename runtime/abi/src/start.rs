//! The start-up block: what the loader tells the enclave when it enters it for the first time.

/// `"CSMTSTRT"`, little-endian.
pub const START_MAGIC: u64 = u64::from_le_bytes(*b"CSMTSTRT");
/// First eight bytes of the measured block (`/casemate/measured`).
pub const MEASURED_MAGIC: [u8; 8] = *b"CSMTMEAS";

/// Why the enclave's one entry point is called: the first argument (`rdi`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum EntryReason {
    /// First entry. `rsi`: [`StartBlock`], `rdx`: the main thread's [`HostThread`](crate::HostThread). Does not return on `direct`.
    Start = 0,
    /// A new thread. `rsi`: the value given to `ThreadCreate`, `rdx`: its `HostThread`. Returns when the thread ends.
    Thread = 1,
    /// A host signal or fault. `rsi`: [`ExceptionFrame`](crate::ExceptionFrame). Returns with the frame edited; the loader resumes by it.
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

/// The start-up block. All addresses are absolute; sizes are in bytes.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct StartBlock {
    /// [`START_MAGIC`].
    pub magic: u64,
    /// [`ABI_VERSION`](crate::ABI_VERSION).
    pub version: u32,
    /// A [`Platform`] as a number.
    pub platform: u32,
    /// The enclave's range `[0, enclave_size)`; a power of two. Pages below `user_base` are never mapped.
    pub enclave_size: u64,
    /// First address for program memory (≥ 64 KiB).
    pub user_base: u64,
    /// One past the last address for program memory.
    pub user_top: u64,
    /// The library OS's own heap: mapped read-write, zero, committed on demand.
    pub heap_base: u64,
    /// Size of the heap.
    pub heap_size: u64,
    /// Where the enclave image is mapped.
    pub image_base: u64,
    /// Its size, rounded up to pages.
    pub image_size: u64,
    /// On `direct`: address of the host-call function, `extern "C" fn(u64, *mut [u64; 6]) -> i64`.
    pub host_call: u64,
    /// [`StartFlags`].
    pub flags: u32,
    /// How many processors the host has.
    pub processors: u32,
    /// The canonical manifest.
    pub manifest: Blob,
    /// The file index.
    pub index: Blob,
    /// The measured block.
    pub measured: Blob,
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
}

const _: () = assert!(core::mem::size_of::<StartBlock>() == 232);
