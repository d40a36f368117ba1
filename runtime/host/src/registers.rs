//! The two segment bases. The loader never uses them for itself: fs is the program's, gs the enclave's. It only clears what a new
//! thread inherits from its maker, and looks whether the enclave has set gs.

use core::arch::asm;

/// The gs base: 0 until the enclave has entered on this thread.
#[inline]
pub fn gs_base() -> u64 {
    let base: u64;
    // SAFETY: reads a register; FSGSBASE was checked at start.
    unsafe { asm!("rdgsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) };
    base
}

/// The fs base.
#[inline]
pub fn fs_base() -> u64 {
    let base: u64;
    // SAFETY: reads a register; FSGSBASE was checked at start.
    unsafe { asm!("rdfsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) };
    base
}

/// Sets both bases.
///
/// # Safety
/// They are what the code that runs next on this thread expects; both are canonical.
#[inline]
pub unsafe fn set_bases(fs: u64, gs: u64) {
    // SAFETY: the loader itself uses neither.
    unsafe {
        asm!("wrfsbase {0}", "wrgsbase {1}", in(reg) fs, in(reg) gs, options(nomem, nostack, preserves_flags));
    }
}

/// Sets both bases to 0.
///
/// # Safety
/// No program and no enclave code runs on this thread.
pub unsafe fn clear_bases() {
    // SAFETY: the loader itself uses neither.
    unsafe {
        asm!("wrfsbase {0}", "wrgsbase {0}", in(reg) 0u64, options(nomem, nostack, preserves_flags));
    }
}
