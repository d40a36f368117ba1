//! What the enclave and the untrusted loader both see: host-call numbers, the start-up block, the
//! per-thread host block and the structures that cross the boundary.
//!
//! Everything here lies in *untrusted* memory or is passed in registers. The enclave copies a structure in,
//! checks it, and only then uses the copy. `docs/host-calls.md` lists every check.
#![no_std]
#![forbid(unsafe_code)]

mod call;
mod exitless;
mod start;
mod thread;
mod wire;

pub use call::{CALL_COUNT, HostCall, PathOperation};
pub use exitless::{ExitlessRing, RING_ENTRIES, Request, is_short};
pub use start::{
    Blob, DIRECT_ENTRY, EXIT_DONE, EntryReason, MEASURED_MAGIC, Platform, START_MAGIC, StartBlock, StartFlags,
};
pub use thread::{
    ExceptionFrame, HOST_BUFFER_SIZE, HostThread, SleepState, VECTOR_INTERRUPT, VECTOR_SYSCALL,
};
pub use wire::{
    CpuidEntry, DirectoryEntry, EpollEntry, HostAddress, HostClock, HostInterface, HostStat, MessageHeader,
    PollEntry,
};

/// Version of this interface; both sides are built together and refuse another's.
pub const ABI_VERSION: u32 = 5;
