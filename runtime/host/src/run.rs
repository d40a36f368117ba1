//! What is fixed for the whole run, and the way into the enclave.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

use casemate_abi::EntryReason;

use crate::vdso;

static ENTRY: AtomicU64 = AtomicU64::new(0);
static USER_BASE: AtomicU64 = AtomicU64::new(0);
static USER_TOP: AtomicU64 = AtomicU64::new(0);
static LOADER_BASE: AtomicU64 = AtomicU64::new(0);
static TEXT_START: AtomicU64 = AtomicU64::new(0);
static TEXT_END: AtomicU64 = AtomicU64::new(0);
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Fixes the enclave's entry point and the range of program memory.
pub fn set_enclave(entry: u64, user_base: u64, user_top: u64) {
    ENTRY.store(entry, Relaxed);
    USER_BASE.store(user_base, Relaxed);
    USER_TOP.store(user_top, Relaxed);
}

/// Fixes where the loader itself lies, and its process id.
pub fn set_loader(base: u64, text_start: u64, text_end: u64, process: u32) {
    LOADER_BASE.store(base, Relaxed);
    TEXT_START.store(text_start, Relaxed);
    TEXT_END.store(text_end, Relaxed);
    PROCESS.store(process, Relaxed);
}

/// Calls the enclave's entry on the current stack.
///
/// # Safety
/// The arguments are what the reason asks for (`casemate_abi::EntryReason`).
#[inline]
pub unsafe fn enter(reason: EntryReason, a: u64, b: u64) -> i64 {
    // SAFETY: the address is the image's entry point, which has this signature.
    unsafe {
        let entry: extern "C" fn(u64, u64, u64) -> i64 = core::mem::transmute(ENTRY.load(Relaxed));
        entry(reason as u64, a, b)
    }
}

/// Whether `[address, address + length)` is whole pages of program memory.
#[inline]
pub fn is_program_memory(address: u64, length: u64) -> bool {
    let pages = (address | length) % crate::sys::PAGE == 0 && length != 0;
    let end = address.checked_add(length);
    pages && address >= USER_BASE.load(Relaxed) && end.is_some_and(|end| end <= USER_TOP.load(Relaxed))
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
