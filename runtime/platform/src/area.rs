//! The thread area: each enclave thread's trusted block, found through `gs`.
//!
//! In an enclave TCS.OGSBASE gives it; on `direct` the entry code sets gs. The assembly in `entry.rs` knows the offsets.

use core::any::TypeId;
use core::sync::atomic::{AtomicU32, Ordering::*};

use casemate_abi::ExceptionFrame;

use crate::context::UserContext;
use crate::parking::Patience;

/// Offsets of fields, for assembly.
pub mod offset {
    /// `syscall_entry`: rewritten sites do `jmp gs:[8]`.
    pub const SYSCALL_ENTRY: usize = 0x08;
    /// `libos_rsp`.
    pub const LIBOS_RSP: usize = 0x10;
    /// `context`.
    pub const CONTEXT: usize = 0x18;
    /// `user_rip`.
    pub const USER_RIP: usize = 0x20;
    /// `in_user`.
    pub const IN_USER: usize = 0x28;
    /// `interrupt`.
    pub const INTERRUPT: usize = 0x2c;
    /// `trap_kind`.
    pub const TRAP_KIND: usize = 0x30;
    /// `in_call`.
    pub const IN_CALL: usize = 0x38;
    /// `idle`.
    pub const IDLE: usize = 0x3c;
    /// `call_rsp`.
    pub const CALL_RSP: usize = 0x40;
    /// `program_fs`.
    pub const PROGRAM_FS: usize = 0x48;
    /// `host_rsp`.
    pub const HOST_RSP: usize = 0x50;
    /// `host_rbp`.
    pub const HOST_RBP: usize = 0x58;
    /// `host_return`.
    pub const HOST_RETURN: usize = 0x60;
}

/// Where in the area the program's vector state is put aside during host calls.
pub(crate) const XSAVE_OFFSET: usize = 1024;
const _: () = assert!(size_of::<ThreadArea>() <= XSAVE_OFFSET);
const _: () = assert!(XSAVE_OFFSET + 2816 <= casemate_sgx::layout::AREA_SIZE as usize);

/// One thread's trusted block.
#[repr(C, align(64))]
pub struct ThreadArea {
    pub(crate) this: *mut ThreadArea,
    /// Where rewritten call sites jump to.
    pub(crate) syscall_entry: u64,
    pub(crate) libos_rsp: u64,
    pub(crate) context: *mut UserContext,
    pub(crate) user_rip: u64,
    /// 1 between the last check for interrupts and the return into the library OS.
    pub(crate) in_user: AtomicU32,
    /// Set by a host signal or a kick; consumed by the library OS.
    pub(crate) interrupt: AtomicU32,
    pub(crate) trap_kind: u32,
    /// The host call under way, by number plus 1; 0 for none. For reports.
    pub(crate) current_call: u32,
    /// 1 while the thread is outside for a host call: the next EENTER is its end.
    pub(crate) in_call: AtomicU32,
    /// 1 when no thread uses the area and its stack any more.
    pub(crate) idle: AtomicU32,
    pub(crate) call_rsp: u64,
    pub(crate) program_fs: u64,
    /// The host's stack and where it goes on: its own words, only ever given back to it.
    pub(crate) host_rsp: u64,
    pub(crate) host_rbp: u64,
    pub(crate) host_return: u64,
    /// Checked address of the untrusted `HostThread`.
    pub(crate) host_thread: u64,
    /// Checked address of the untrusted buffer.
    pub(crate) host_buffer: u64,
    /// The host's number for this thread: its own word, only ever given back to it.
    pub(crate) host_number: u32,
    pub(crate) trap_vector: u64,
    pub(crate) trap_error: u64,
    pub(crate) trap_address: u64,
    pub(crate) stack_base: u64,
    pub(crate) stack_top: u64,
    pub(crate) start: *mut (),
    pub(crate) local: *const (),
    pub(crate) local_type: Option<TypeId>,
    pub(crate) patience: Patience,
    /// What the thread is to the program, and the program's system call that it serves, plus 1. For reports.
    pub(crate) thread_id: u32,
    pub(crate) program_call: u64,
    /// A fault of the library OS itself, on its way to the report.
    pub(crate) fault: Option<ExceptionFrame>,
}

const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(ThreadArea, syscall_entry) == offset::SYSCALL_ENTRY);
    assert!(offset_of!(ThreadArea, libos_rsp) == offset::LIBOS_RSP);
    assert!(offset_of!(ThreadArea, context) == offset::CONTEXT);
    assert!(offset_of!(ThreadArea, user_rip) == offset::USER_RIP);
    assert!(offset_of!(ThreadArea, in_user) == offset::IN_USER);
    assert!(offset_of!(ThreadArea, interrupt) == offset::INTERRUPT);
    assert!(offset_of!(ThreadArea, trap_kind) == offset::TRAP_KIND);
    assert!(offset_of!(ThreadArea, in_call) == offset::IN_CALL);
    assert!(offset_of!(ThreadArea, idle) == offset::IDLE);
    assert!(offset_of!(ThreadArea, call_rsp) == offset::CALL_RSP);
    assert!(offset_of!(ThreadArea, program_fs) == offset::PROGRAM_FS);
    assert!(offset_of!(ThreadArea, host_rsp) == offset::HOST_RSP);
    assert!(offset_of!(ThreadArea, host_rbp) == offset::HOST_RBP);
    assert!(offset_of!(ThreadArea, host_return) == offset::HOST_RETURN);
};

impl ThreadArea {
    pub(crate) fn new(stack_base: u64, stack_top: u64) -> ThreadArea {
        ThreadArea {
            this: core::ptr::null_mut(),
            syscall_entry: crate::entry::syscall_entry_address(),
            libos_rsp: 0,
            context: core::ptr::null_mut(),
            user_rip: 0,
            in_user: AtomicU32::new(0),
            interrupt: AtomicU32::new(0),
            trap_kind: 0,
            current_call: 0,
            in_call: AtomicU32::new(0),
            idle: AtomicU32::new(1),
            call_rsp: 0,
            program_fs: 0,
            host_rsp: 0,
            host_rbp: 0,
            host_return: 0,
            host_thread: 0,
            host_buffer: 0,
            host_number: 0,
            trap_vector: 0,
            trap_error: 0,
            trap_address: 0,
            stack_base,
            stack_top,
            start: core::ptr::null_mut(),
            local: core::ptr::null(),
            local_type: None,
            patience: Patience::new(),
            thread_id: 0,
            program_call: 0,
            fault: None,
        }
    }
}

/// Whether this thread has an area yet; false in unit tests and before the first entry is complete.
#[inline]
pub(crate) fn is_ready() -> bool {
    READY.load(Relaxed) != 0
}

static READY: AtomicU32 = AtomicU32::new(0);

/// Makes `area` the calling thread's.
///
/// # Safety
/// `area` must live as long as the thread runs in the enclave.
pub(crate) unsafe fn install(area: *mut ThreadArea) {
    // SAFETY: the caller vouches for `area`; FSGSBASE was checked by the loader, and gs is the enclave's alone.
    unsafe {
        (*area).this = area;
        core::arch::asm!("wrgsbase {}", in(reg) area, options(nostack, preserves_flags));
    }
    READY.store(1, Relaxed);
}

/// The calling thread's area.
#[inline]
pub(crate) fn current() -> *mut ThreadArea {
    let area: *mut ThreadArea;
    // SAFETY: gs points to the thread area on every thread that runs enclave code, and its first field points to itself.
    unsafe { core::arch::asm!("mov {}, gs:[0]", out(reg) area, options(nostack, readonly, preserves_flags)) };
    area
}

/// What gs points to: in an enclave the calling thread's area, from TCS.OGSBASE, even before it is filled.
pub(crate) fn base() -> u64 {
    let base: u64;
    // SAFETY: reads a register; FSGSBASE is on wherever Casemate runs (checked by the loader).
    unsafe { core::arch::asm!("rdgsbase {}", out(reg) base, options(nostack, nomem, preserves_flags)) };
    base
}
