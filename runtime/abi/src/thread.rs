//! The untrusted per-thread block, and the frame by which faults and host signals are handed in.

use core::sync::atomic::AtomicU32;

use crate::Request;

/// Size of each thread's host buffer, through which every byte of a host call passes.
pub const HOST_BUFFER_SIZE: usize = 256 * 1024;

/// Vector number in [`ExceptionFrame`] for a host signal that is no fault.
pub const VECTOR_INTERRUPT: u64 = 256;
/// Vector number in [`ExceptionFrame`] for a trapped system call (SIGSYS; #UD of `syscall` in an enclave).
pub const VECTOR_SYSCALL: u64 = 257;

/// What a thread's host side does right now ([`HostThread::sleeping`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum SleepState {
    /// Not in a blocking host call.
    Awake = 0,
    /// In a futex wait on its `wake` word.
    Parked = 1,
    /// In another blocking system call; a signal ends it.
    InCall = 2,
}

/// One per thread, in untrusted memory, made by the loader. The enclave takes its address once, checks that it and
/// the buffer lie outside its own range, and keeps the checked addresses inside.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct HostThread {
    /// Arguments of the host call under way.
    pub args: [u64; 6],
    /// Not 0: a wake-up or interrupt is pending, blocking calls end with `EINTR`. The enclave clears it before it looks at what it waits for.
    pub wake: AtomicU32,
    /// A [`SleepState`] as a number.
    pub sleeping: AtomicU32,
    /// Address of the host buffer ([`HOST_BUFFER_SIZE`] bytes).
    pub buffer: u64,
    /// The host's thread id.
    pub tid: u32,
    /// By this number the servers of the ring know the thread.
    pub number: u32,
    /// What `ThreadCreate` was given; 0 for the first thread.
    pub area: u64,
    /// The exitless host call under way.
    pub request: Request,
}

const _: () = assert!(size_of::<HostThread>() == 192);

/// State of a thread at a fault, trapped system call or host signal; the loader copies it from and back to the signal frame.
///
/// In an enclave this is made inside from the SSA frame, and the loader sees none of it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct ExceptionFrame {
    /// General registers.
    pub rax: u64,
    /// rbx.
    pub rbx: u64,
    /// rcx.
    pub rcx: u64,
    /// rdx.
    pub rdx: u64,
    /// rsi.
    pub rsi: u64,
    /// rdi.
    pub rdi: u64,
    /// rbp.
    pub rbp: u64,
    /// rsp.
    pub rsp: u64,
    /// r8.
    pub r8: u64,
    /// r9.
    pub r9: u64,
    /// r10.
    pub r10: u64,
    /// r11.
    pub r11: u64,
    /// r12.
    pub r12: u64,
    /// r13.
    pub r13: u64,
    /// r14.
    pub r14: u64,
    /// r15.
    pub r15: u64,
    /// Where execution stopped, and after the call where it goes on.
    pub rip: u64,
    /// Flags.
    pub rflags: u64,
    /// x86 exception vector (0–31), [`VECTOR_INTERRUPT`] or [`VECTOR_SYSCALL`].
    pub vector: u64,
    /// x86 error code (page faults: bit 0 present, bit 1 write, bit 4 fetch).
    pub error_code: u64,
    /// Faulting address of a page fault.
    pub address: u64,
    /// On `direct` and `softsgx`: the host signal number, for the report only.
    pub signal: u64,
}

const _: () = assert!(core::mem::size_of::<ExceptionFrame>() == 22 * 8);
