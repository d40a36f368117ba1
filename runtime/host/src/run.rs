//! What is fixed for the whole run, and the way into the enclave.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};

use casemate_abi::{DIRECT_ENTRY, EntryReason};

use crate::vdso;

static ENTRY: AtomicU64 = AtomicU64::new(0);
static USER_BASE: AtomicU64 = AtomicU64::new(0);
static USER_TOP: AtomicU64 = AtomicU64::new(0);
static LOADER_BASE: AtomicU64 = AtomicU64::new(0);
static TEXT_START: AtomicU64 = AtomicU64::new(0);
static TEXT_END: AtomicU64 = AtomicU64::new(0);
static PROCESS: AtomicU32 = AtomicU32::new(0);
static ENCLAVE_TOP: AtomicU64 = AtomicU64::new(0);
static ENCLAVE: AtomicBool = AtomicBool::new(false);
static DYNAMIC: AtomicBool = AtomicBool::new(false);
static HARDWARE: AtomicBool = AtomicBool::new(false);

/// Fixes the enclave's entry point and the range of program memory.
pub fn set_enclave(entry: u64, user_base: u64, user_top: u64) {
    ENTRY.store(entry, Relaxed);
    USER_BASE.store(user_base, Relaxed);
    USER_TOP.store(user_top, Relaxed);
}

/// Notes that there is an enclave, behind a device; `dynamic`: with EDMM. Its pages, its own ones too, end at `top`.
pub fn set_device(top: u64, dynamic: bool) {
    ENCLAVE_TOP.store(top, Relaxed);
    ENCLAVE.store(true, Relaxed);
    DYNAMIC.store(dynamic, Relaxed);
}

/// Whether there is an enclave behind a device; else this is `direct`.
#[inline]
pub fn is_enclave() -> bool {
    ENCLAVE.load(Relaxed)
}

/// Notes that the device is the kernel's.
pub fn set_hardware() {
    HARDWARE.store(true, Relaxed);
}

/// Whether the enclave is behind the kernel's device.
#[inline]
pub fn is_hardware() -> bool {
    HARDWARE.load(Relaxed)
}

/// Whether the enclave has EDMM.
#[inline]
pub fn is_dynamic() -> bool {
    DYNAMIC.load(Relaxed)
}

/// First address of program memory.
#[cfg(feature = "hostile")]
pub fn program_base() -> u64 {
    USER_BASE.load(Relaxed)
}

/// First address behind program memory.
#[cfg(feature = "hostile")]
pub fn program_top() -> u64 {
    USER_TOP.load(Relaxed)
}

/// Whether `[address, address + length)` is whole pages that the enclave may have changed: on `direct`, of program memory.
#[inline]
pub fn is_changeable(address: u64, length: u64) -> bool {
    let top = ENCLAVE_TOP.load(Relaxed).max(USER_TOP.load(Relaxed));
    let pages = (address | length).is_multiple_of(crate::sys::PAGE) && length != 0;
    let end = address.checked_add(length);
    pages && address >= USER_BASE.load(Relaxed) && end.is_some_and(|end| end <= top)
}

/// Fixes where the loader itself lies, and its process id.
pub fn set_loader(base: u64, text_start: u64, text_end: u64, process: u32) {
    LOADER_BASE.store(base, Relaxed);
    TEXT_START.store(text_start, Relaxed);
    TEXT_END.store(text_end, Relaxed);
    PROCESS.store(process, Relaxed);
}

/// On `direct`: calls the enclave's entry on the current stack.
///
/// # Safety
/// The arguments are what the reason asks for (`casemate_abi::EntryReason`).
#[inline]
pub unsafe fn enter(reason: EntryReason, a: u64, b: u64) -> i64 {
    let result;
    // SAFETY: the address is the image's entry point, which is a function of three words when RAX says so.
    unsafe {
        core::arch::asm!(
            "call r10",
            inlateout("r10") ENTRY.load(Relaxed) => _,
            inlateout("rax") DIRECT_ENTRY => result,
            inlateout("rdi") reason as u64 => _,
            inlateout("rsi") a => _,
            inlateout("rdx") b => _,
            clobber_abi("C"),
        );
    }
    result
}

/// One past the last address of program memory: the library OS's own begins there.
#[cfg(feature = "hostile")]
pub fn enclave_end() -> u64 {
    USER_TOP.load(Relaxed)
}

/// This process's id.
pub fn process_id() -> u32 {
    PROCESS.load(Relaxed)
}

/// Where the loader is loaded.
pub fn loader_base() -> u64 {
    LOADER_BASE.load(Relaxed)
}

/// The loader's code: the only place where system calls are not dispatched to the enclave.
pub fn text() -> (u64, u64) {
    (TEXT_START.load(Relaxed), TEXT_END.load(Relaxed))
}

/// Whether the address lies in code of the loader (or of the vDSO, which only the loader calls).
pub fn is_own_code(address: u64) -> bool {
    (TEXT_START.load(Relaxed)..TEXT_END.load(Relaxed)).contains(&address) || vdso::contains(address)
}
