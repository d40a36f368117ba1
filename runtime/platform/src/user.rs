//! The program's memory, as the library OS may touch it: every access is range-checked, and a fault in the
//! middle becomes an error, never a crash. Contents may change at any time (other threads): read once.

use core::sync::atomic::{AtomicU64, Ordering::*};

use casemate_abi::ExceptionFrame;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// An access that could not be completed; the address is the first that failed (or the start of a bad range).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub address: u64,
}

core::arch::global_asm!(
    r#"
    .text
    .balign 16
    // Accesses that may fault. The fix-up of each lies directly behind it.
    .globl casemate_copy
casemate_copy:                      // rdi to, rsi from, rdx length -> rax bytes not copied
    mov rcx, rdx
    // Of no bytes it takes seven times as long as of one.
    test rdx, rdx
    jz casemate_copy_fixup
    .globl casemate_copy_access
casemate_copy_access:
    rep movsb
    .globl casemate_copy_fixup
casemate_copy_fixup:
    mov rax, rcx
    ret

    .globl casemate_fill
casemate_fill:                      // rdi to, rsi byte, rdx length -> rax bytes not written
    mov rcx, rdx
    mov eax, esi
    .globl casemate_fill_access
casemate_fill_access:
    rep stosb
    .globl casemate_fill_fixup
casemate_fill_fixup:
    mov rax, rcx
    ret

    .globl casemate_load64
casemate_load64:                    // rdi from -> rax value, rdx 0 when it faulted
    xor edx, edx
    .globl casemate_load64_access
casemate_load64_access:
    mov rax, [rdi]
    inc edx
    .globl casemate_load64_fixup
casemate_load64_fixup:
    ret

    .globl casemate_load32
casemate_load32:                    // rdi from -> eax value, rdx 0 when it faulted
    xor edx, edx
    .globl casemate_load32_access
casemate_load32_access:
    mov eax, [rdi]
    inc edx
    .globl casemate_load32_fixup
casemate_load32_fixup:
    ret

    .globl casemate_store64
casemate_store64:                   // rdi to, rsi value -> rdx 0 when it faulted
    xor edx, edx
    .globl casemate_store64_access
casemate_store64_access:
    mov [rdi], rsi
    inc edx
    .globl casemate_store64_fixup
casemate_store64_fixup:
    xor eax, eax
    ret

    .globl casemate_store32
casemate_store32:                   // rdi to, esi value -> rdx 0 when it faulted
    xor edx, edx
    .globl casemate_store32_access
casemate_store32_access:
    mov [rdi], esi
    inc edx
    .globl casemate_store32_fixup
casemate_store32_fixup:
    xor eax, eax
    ret

    .globl casemate_exchange32
casemate_exchange32:                // rdi at, esi expected, rdx new -> eax found, rdx 0 when it faulted
    mov eax, esi
    mov ecx, edx
    xor edx, edx
    .globl casemate_exchange32_access
casemate_exchange32_access:
    lock cmpxchg [rdi], ecx
    mov edx, 1
    .globl casemate_exchange32_fixup
casemate_exchange32_fixup:
    ret

    .globl casemate_exchange64
casemate_exchange64:                // rdi at, rsi expected, rdx new -> rax found, rdx 0 when it faulted
    mov rax, rsi
    mov rcx, rdx
    xor edx, edx
    .globl casemate_exchange64_access
casemate_exchange64_access:
    lock cmpxchg [rdi], rcx
    mov edx, 1
    .globl casemate_exchange64_fixup
casemate_exchange64_fixup:
    ret
"#
);

/// A value, and whether it is one: 1, or 0 when the access faulted.
#[repr(C)]
pub(crate) struct Checked {
    pub(crate) value: u64,
    pub(crate) ok: u64,
}

unsafe extern "C" {
    pub(crate) fn casemate_copy(to: u64, from: u64, length: usize) -> usize;
    fn casemate_fill(to: u64, byte: u32, length: usize) -> usize;
    pub(crate) fn casemate_load64(from: u64) -> Checked;
    fn casemate_load32(from: u64) -> Checked;
    pub(crate) fn casemate_store64(to: u64, value: u64) -> Checked;
    pub(crate) fn casemate_store32(to: u64, value: u32) -> Checked;
    pub(crate) fn casemate_exchange32(at: u64, expected: u32, new: u32) -> Checked;
    pub(crate) fn casemate_exchange64(at: u64, expected: u64, new: u64) -> Checked;
}

macro_rules! fix_ups {
    ($($access:ident => $fixup:ident),* $(,)?) => {
        unsafe extern "C" {
            $(fn $access(); fn $fixup();)*
        }

        /// If `frame` faulted in one of this file's accesses, makes it go on at the access's fix-up.
        pub(crate) fn fix_up(frame: &mut ExceptionFrame) -> bool {
            $(if frame.rip == $access as *const () as u64 {
                frame.rip = $fixup as *const () as u64;
                return true;
            })*
            false
        }
    };
}

pub(crate) use fix_ups;

fix_ups! {
    casemate_copy_access => casemate_copy_fixup,
    casemate_fill_access => casemate_fill_fixup,
    casemate_load64_access => casemate_load64_fixup,
    casemate_load32_access => casemate_load32_fixup,
    casemate_store64_access => casemate_store64_fixup,
    casemate_store32_access => casemate_store32_fixup,
    casemate_exchange32_access => casemate_exchange32_fixup,
    casemate_exchange64_access => casemate_exchange64_fixup,
}

static USER_BASE: AtomicU64 = AtomicU64::new(0);
static USER_TOP: AtomicU64 = AtomicU64::new(0);

/// Fixes the range of program memory; called once at start.
pub(crate) fn set_range(base: u64, top: u64) {
    USER_BASE.store(base, Relaxed);
    USER_TOP.store(top, Relaxed);
}

/// First and one-past-last address of program memory.
pub fn range() -> (u64, u64) {
    (USER_BASE.load(Relaxed), USER_TOP.load(Relaxed))
}

/// Checks that `[address, address + length)` lies in program memory (whether anything is mapped there is another question).
#[inline]
pub fn check_range(address: u64, length: usize) -> Result<(), Fault> {
    let end = address.wrapping_add(length as u64);
    // Nothing is touched by an access of no bytes, wherever it points (as copy_to_user has it).
    if length == 0 || address >= USER_BASE.load(Relaxed) && end >= address && end <= USER_TOP.load(Relaxed) {
        Ok(())
    } else {
        Err(Fault { address })
    }
}

/// Copies from program memory. On a fault the first bytes may have been copied.
#[inline]
pub fn copy_in(to: &mut [u8], from: u64) -> Result<(), Fault> {
    check_range(from, to.len())?;
    // SAFETY: `to` is exclusively borrowed; `from` lies in program memory, faults there are fixed up.
    let left = unsafe { casemate_copy(to.as_mut_ptr() as u64, from, to.len()) };
    if left == 0 { Ok(()) } else { Err(Fault { address: from + (to.len() - left) as u64 }) }
}

/// Copies into program memory. On a fault the first bytes may have been written.
#[inline]
pub fn copy_out(to: u64, from: &[u8]) -> Result<(), Fault> {
    check_range(to, from.len())?;
    // SAFETY: `from` is borrowed; `to` lies in program memory, where no enclave data is, and faults are fixed up.
    let left = unsafe { casemate_copy(to, from.as_ptr() as u64, from.len()) };
    if left == 0 { Ok(()) } else { Err(Fault { address: to + (from.len() - left) as u64 }) }
}

/// Fills program memory with a byte.
pub fn fill(to: u64, byte: u8, length: usize) -> Result<(), Fault> {
    check_range(to, length)?;
    // SAFETY: `to` lies in program memory; faults are fixed up.
    let left = unsafe { casemate_fill(to, byte as u32, length) };
    if left == 0 { Ok(()) } else { Err(Fault { address: to + (length - left) as u64 }) }
}

/// Copies within program memory, forwards.
pub fn copy_within(to: u64, from: u64, length: usize) -> Result<(), Fault> {
    check_range(from, length)?;
    check_range(to, length)?;
    // SAFETY: both ranges lie in program memory; faults are fixed up.
    let left = unsafe { casemate_copy(to, from, length) };
    if left == 0 { Ok(()) } else { Err(Fault { address: from + (length - left) as u64 }) }
}

/// Reads a plain value from program memory; any alignment.
#[inline]
pub fn read<T: FromBytes + IntoBytes>(from: u64) -> Result<T, Fault> {
    let mut value = T::new_zeroed();
    copy_in(value.as_mut_bytes(), from)?;
    Ok(value)
}

/// Writes a plain value to program memory; any alignment.
#[inline]
pub fn write<T: IntoBytes + Immutable>(to: u64, value: &T) -> Result<(), Fault> {
    copy_out(to, value.as_bytes())
}

/// Reads 8 bytes in one access.
#[inline]
pub fn read_u64(from: u64) -> Result<u64, Fault> {
    check_range(from, 8)?;
    // SAFETY: the address lies in program memory; faults are fixed up.
    let found = unsafe { casemate_load64(from) };
    if found.ok as u32 == 1 { Ok(found.value) } else { Err(Fault { address: from }) }
}

/// Reads 4 bytes in one access.
#[inline]
pub fn read_u32(from: u64) -> Result<u32, Fault> {
    check_range(from, 4)?;
    // SAFETY: as in `read_u64`.
    let found = unsafe { casemate_load32(from) };
    if found.ok as u32 == 1 { Ok(found.value as u32) } else { Err(Fault { address: from }) }
}

/// Writes 8 bytes in one access.
#[inline]
pub fn write_u64(to: u64, value: u64) -> Result<(), Fault> {
    check_range(to, 8)?;
    // SAFETY: as in `read_u64`.
    let done = unsafe { casemate_store64(to, value) };
    if done.ok as u32 == 1 { Ok(()) } else { Err(Fault { address: to }) }
}

/// Writes 4 bytes in one access.
#[inline]
pub fn write_u32(to: u64, value: u32) -> Result<(), Fault> {
    check_range(to, 4)?;
    // SAFETY: as in `read_u64`.
    let done = unsafe { casemate_store32(to, value) };
    if done.ok as u32 == 1 { Ok(()) } else { Err(Fault { address: to }) }
}

/// Atomic compare-and-exchange of 4 bytes; returns the value found, equal to `expected` when the exchange was made.
#[inline]
pub fn compare_exchange_u32(at: u64, expected: u32, new: u32) -> Result<u32, Fault> {
    check_range(at, 4)?;
    // SAFETY: as in `read_u64`; the access is one locked instruction.
    let done = unsafe { casemate_exchange32(at, expected, new) };
    if done.ok as u32 == 1 { Ok(done.value as u32) } else { Err(Fault { address: at }) }
}
