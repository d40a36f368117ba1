//! Accesses to *untrusted host memory*, which the caller has checked to lie outside the enclave. Each may fault, as the host may take
//! its memory away, and is then an error.
//!
//! A host can map the registers of a device there. Reads of other than whole aligned words of 8 bytes can then bring in stale
//! data of the enclave's own (INTEL-SA-00657), and such writes can leave some where the host finds it (INTEL-SA-00615). So
//! reads are always of such words, and writes too, but for the ends of a range and words of 4 bytes: those have VERW before them, which
//! empties the buffers, and MFENCE and LFENCE behind.

use core::sync::atomic::{AtomicBool, Ordering::*};

use casemate_abi::ExceptionFrame;

use crate::user::{Checked, Fault, casemate_copy, casemate_exchange32, casemate_exchange64};
use crate::user::{casemate_load64, casemate_store32, casemate_store64};

core::arch::global_asm!(
    r#"
    .text
    .balign 16
    // The fix-up of each access lies directly behind it.
    .globl casemate_copy_words
casemate_copy_words:                // rdi to, rsi from, rdx words of 8 bytes -> rax words not copied
    mov rcx, rdx
    test rdx, rdx
    jz casemate_copy_words_fixup
    .globl casemate_copy_words_access
casemate_copy_words_access:
    rep movsq
    .globl casemate_copy_words_fixup
casemate_copy_words_fixup:
    mov rax, rcx
    ret

    .macro casemate_empty_buffers
    sub rsp, 8
    mov word ptr [rsp], ds
    verw word ptr [rsp]
    add rsp, 8
    .endm

    // rdi to, esi value -> rdx 0 when it faulted
    .macro casemate_narrow_store bits, register
    .globl casemate_narrow_store\bits
casemate_narrow_store\bits:
    casemate_empty_buffers
    xor edx, edx
    .globl casemate_narrow_store\bits\()_access
casemate_narrow_store\bits\()_access:
    mov [rdi], \register
    inc edx
    .globl casemate_narrow_store\bits\()_fixup
casemate_narrow_store\bits\()_fixup:
    mfence
    lfence
    xor eax, eax
    ret
    .endm

    casemate_narrow_store 8, sil
    casemate_narrow_store 16, si
    casemate_narrow_store 32, esi

    .globl casemate_narrow_exchange
casemate_narrow_exchange:           // rdi at, esi expected, edx new -> eax found, rdx 0 when it faulted
    casemate_empty_buffers
    mov eax, esi
    mov ecx, edx
    xor edx, edx
    .globl casemate_narrow_exchange_access
casemate_narrow_exchange_access:
    lock cmpxchg [rdi], ecx
    mov edx, 1
    .globl casemate_narrow_exchange_fixup
casemate_narrow_exchange_fixup:
    mfence
    lfence
    ret
"#
);

unsafe extern "C" {
    fn casemate_copy_words(to: u64, from: u64, words: usize) -> usize;
    fn casemate_narrow_store8(to: u64, value: u32) -> Checked;
    fn casemate_narrow_store16(to: u64, value: u32) -> Checked;
    fn casemate_narrow_store32(to: u64, value: u32) -> Checked;
    fn casemate_narrow_exchange(at: u64, expected: u32, new: u32) -> Checked;
}

crate::user::fix_ups! {
    casemate_copy_words_access => casemate_copy_words_fixup,
    casemate_narrow_store8_access => casemate_narrow_store8_fixup,
    casemate_narrow_store16_access => casemate_narrow_store16_fixup,
    casemate_narrow_store32_access => casemate_narrow_store32_fixup,
    casemate_narrow_exchange_access => casemate_narrow_exchange_fixup,
}

const WORD: usize = 8;

/// Whether narrow writes are made with care: where the enclave is the processor's own, and there is something to lose.
static IS_CAREFUL: AtomicBool = AtomicBool::new(false);

/// Fixes how narrow writes are made; called once at start.
pub(crate) fn set_careful(careful: bool) {
    IS_CAREFUL.store(careful, Relaxed);
}

/// Makes narrow writes of a test as in an enclave of the processor's own.
#[cfg(not(freestanding))]
pub fn provide_care() {
    set_careful(true);
}

fn is_careful() -> bool {
    IS_CAREFUL.load(Relaxed)
}

/// Copies from host memory.
pub(crate) fn copy_from_host(to: &mut [u8], from: u64) -> Result<(), Fault> {
    let skipped = from as usize % WORD;
    let (head, rest) = to.split_at_mut(((WORD - skipped) % WORD).min(to.len()));
    read_part(head, from, skipped)?;
    let from = from + head.len() as u64;
    let (words, tail) = rest.split_at_mut(rest.len() / WORD * WORD);
    // SAFETY: `words` is exclusively borrowed; `from` was checked to lie outside the enclave, faults are fixed up.
    if unsafe { casemate_copy_words(words.as_mut_ptr() as u64, from, words.len() / WORD) } != 0 {
        return Err(Fault { address: from });
    }
    read_part(tail, from + words.len() as u64, 0)
}

/// Copies some bytes of one word, the first `skipped` of which come before `from`.
fn read_part(to: &mut [u8], from: u64, skipped: usize) -> Result<(), Fault> {
    if to.is_empty() {
        return Ok(());
    }
    let word = load_host_u64(from - skipped as u64).ok_or(Fault { address: from })?;
    to.copy_from_slice(&word.to_le_bytes()[skipped..skipped + to.len()]);
    Ok(())
}

/// Copies to host memory.
pub(crate) fn copy_to_host(to: u64, from: &[u8]) -> Result<(), Fault> {
    let fault = Fault { address: to };
    if !is_careful() {
        // SAFETY: `from` is borrowed; `to` was checked to lie outside the enclave, faults are fixed up.
        let left = unsafe { casemate_copy(to, from.as_ptr() as u64, from.len()) };
        return if left == 0 { Ok(()) } else { Err(fault) };
    }
    let (head, rest) = from.split_at(((WORD - to as usize % WORD) % WORD).min(from.len()));
    let (words, tail) = rest.split_at(rest.len() / WORD * WORD);
    write_part(to, head).ok_or(fault)?;
    let to = to + head.len() as u64;
    // SAFETY: as above.
    if unsafe { casemate_copy_words(to, words.as_ptr() as u64, words.len() / WORD) } != 0 {
        return Err(fault);
    }
    write_part(to + words.len() as u64, tail).ok_or(fault)
}

/// Writes some bytes of one word, in aligned pieces.
fn write_part(mut to: u64, mut from: &[u8]) -> Option<()> {
    while !from.is_empty() {
        // SAFETY (each): the caller has checked that the bytes lie outside the enclave, faults are fixed up.
        let (done, size) = match from {
            [a, b, c, d, ..] if to.is_multiple_of(4) => {
                let value = u32::from_le_bytes([*a, *b, *c, *d]);
                // SAFETY: as above.
                (unsafe { casemate_narrow_store32(to, value) }, 4)
            }
            [a, b, ..] if to.is_multiple_of(2) => {
                let value = u16::from_le_bytes([*a, *b]).into();
                // SAFETY: as above.
                (unsafe { casemate_narrow_store16(to, value) }, 2)
            }
            // SAFETY: as above.
            _ => (unsafe { casemate_narrow_store8(to, from[0].into()) }, 1),
        };
        if done.ok as u32 != 1 {
            return None;
        }
        to += size as u64;
        from = &from[size..];
    }
    Some(())
}

/// Reads 4 aligned bytes in one access, of the word that they are in. None: they are gone.
pub(crate) fn load_host_u32(from: u64) -> Option<u32> {
    let word = load_host_u64(from & !7)?;
    Some((word >> (8 * (from & 4))) as u32)
}

/// Reads 8 aligned bytes in one access.
pub(crate) fn load_host_u64(from: u64) -> Option<u64> {
    // SAFETY: only reads; `from` was checked to lie outside the enclave, faults are fixed up.
    let found = unsafe { casemate_load64(from) };
    (found.ok as u32 == 1).then_some(found.value)
}

/// Writes 4 aligned bytes in one access. None: they are gone. A host that takes its memory away only harms itself.
pub(crate) fn store_host_u32(to: u64, value: u32) -> Option<()> {
    // SAFETY: `to` was checked to lie outside the enclave, faults are fixed up.
    let done = unsafe {
        if is_careful() { casemate_narrow_store32(to, value) } else { casemate_store32(to, value) }
    };
    (done.ok as u32 == 1).then_some(())
}

/// Writes 8 aligned bytes as [`store_host_u32`] does 4.
pub(crate) fn store_host_u64(to: u64, value: u64) -> Option<()> {
    // SAFETY: as in `store_host_u32`.
    let done = unsafe { casemate_store64(to, value) };
    (done.ok as u32 == 1).then_some(())
}

/// Compare-and-exchange of 4 aligned bytes; returns what was found. None: they are gone.
pub(crate) fn exchange_host_u32(at: u64, expected: u32, new: u32) -> Option<u32> {
    // SAFETY: `at` was checked to lie outside the enclave, faults are fixed up; the access is one locked instruction.
    let done = unsafe {
        if is_careful() {
            casemate_narrow_exchange(at, expected, new)
        } else {
            casemate_exchange32(at, expected, new)
        }
    };
    (done.ok as u32 == 1).then_some(done.value as u32)
}

/// Compare-and-exchange of 8 aligned bytes as [`exchange_host_u32`] does 4.
pub(crate) fn exchange_host_u64(at: u64, expected: u64, new: u64) -> Option<u64> {
    // SAFETY: as in `exchange_host_u32`.
    let done = unsafe { casemate_exchange64(at, expected, new) };
    (done.ok as u32 == 1).then_some(done.value)
}
