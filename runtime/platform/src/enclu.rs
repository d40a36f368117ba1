//! ENCLU, and what the platform layer does with its leaves inside: accepting pages, reports, keys.
//!
//! On `softsgx` the loader names code that does what the instruction does. That is the host's word, and harmless: the address lies
//! outside the enclave (checked at start), and on hardware a processor in enclave mode that goes there faults, as all code outside
//! the enclave range is not executable then (SDM 36.3). A host that lies can only stop the run.

use core::sync::atomic::{AtomicU64, Ordering::*};

use casemate_abi::ExceptionFrame;
use casemate_sgx::{LeafError, SecInfo};

use crate::PAGE_SIZE;

/// Address of the code that stands for ENCLU; 0: the instruction. Read by assembly.
pub(crate) static ENCLU_CODE: AtomicU64 = AtomicU64::new(0);

const EREPORT: u64 = 0;
const EGETKEY: u64 = 1;
const EACCEPT: u64 = 5;
const EMODPE: u64 = 6;
const EACCEPTCOPY: u64 = 7;

core::arch::global_asm!(
    r#"
    .text
    // ENCLU with the registers as they are; r9: bytes of pages to work on and done; r10: a host signal arrived.
    .globl casemate_enclu
casemate_enclu:
    cmp qword ptr [rip + {CODE}], 0
    jne 1f
    .globl casemate_enclu_instruction
casemate_enclu_instruction:
    .byte 0x0f, 0x01, 0xd7
    mov r9d, {PAGE}
    xor r10d, r10d
    .globl casemate_enclu_done
casemate_enclu_done:
    ret
1:  sub rsp, 8
    call qword ptr [rip + {CODE}]
    .globl casemate_enclu_called
casemate_enclu_called:
    add rsp, 8
    ret
"#,
    CODE = sym ENCLU_CODE,
    PAGE = const PAGE_SIZE,
);

unsafe extern "C" {
    fn casemate_enclu_instruction();
    fn casemate_enclu_done();
    fn casemate_enclu_called();
}

const PAGE_FAULT: u64 = 14;
/// In RAX after a page fault of the leaf, whose address is then in R9. No leaf leaves this there.
const FAULTED: u64 = u64::MAX;

/// If `frame` is a page fault of ENCLU (where the loader's code stands for it: behind the call), makes the leaf end with
/// [`FAULTED`].
pub(crate) fn fix_up(frame: &mut ExceptionFrame) -> bool {
    let called = casemate_enclu_called as *const () as u64;
    let instruction = casemate_enclu_instruction as *const () as u64;
    if frame.vector != PAGE_FAULT || frame.rip != called && frame.rip != instruction {
        return false;
    }
    if frame.rip == instruction {
        frame.rip = casemate_enclu_done as *const () as u64;
    }
    (frame.rax, frame.r9, frame.r10) = (FAULTED, frame.address, 0);
    true
}

/// Executes a leaf; RAX and how many bytes were done. A page fault ends the run: the operands are the enclave's own memory, and
/// pages that the host says it added or kept.
///
/// # Safety
/// The operands are what the leaf asks for, and what it writes is the caller's to be written.
unsafe fn enclu(leaf: u64, rbx: u64, rcx: u64, rdx: u64, length: u64) -> (u64, u64) {
    let (code, done, interrupted): (u64, u64, u64);
    // SAFETY: the caller vouches for the operands. The code that stands for the instruction keeps callee-saved registers.
    unsafe {
        core::arch::asm!(
            "push rbx",
            "push rbx",
            "mov rbx, rdi",
            "call casemate_enclu",
            "pop rbx",
            "pop rbx",
            inlateout("rdi") rbx => _,
            inlateout("rax") leaf => code,
            inlateout("rcx") rcx => _,
            inlateout("rdx") rdx => _,
            inlateout("r9") length => done,
            lateout("r10") interrupted,
            clobber_abi("C"),
        );
    }
    if interrupted & 1 != 0 {
        crate::context::note_interrupt();
    }
    if code == FAULTED {
        crate::console::fatal_page(done);
    }
    (code, done)
}

/// Operands with the alignment that leaves want, one user at a time: keys pass here.
#[repr(C, align(512))]
struct Operands {
    first: [u8; 512],
    output: [u8; 512],
    second: [u8; 128],
}

static OPERANDS: crate::sync::Mutex<Operands> =
    crate::sync::Mutex::new(Operands { first: [0; 512], output: [0; 512], second: [0; 128] });

/// EREPORT: the report of this enclave for `target`.
pub(crate) fn report(target: &[u8; 512], data: &[u8; 64]) -> [u8; 432] {
    let mut operands = OPERANDS.lock();
    operands.first.copy_from_slice(target);
    operands.second[..64].copy_from_slice(data);
    operands.output.fill(0);
    let [first, second, output] = [
        &raw const operands.first as u64,
        &raw const operands.second as u64,
        &raw mut operands.output as u64,
    ];
    // SAFETY: aligned operands in enclave memory that the lock makes this thread's; the output has 432 bytes.
    unsafe { enclu(EREPORT, first, second, output, 0) };
    let mut report = [0; 432];
    report.copy_from_slice(&operands.output[..432]);
    report
}

/// EGETKEY. The error is the leaf's code.
pub(crate) fn key(request: &[u8; 512]) -> Result<[u8; 16], u64> {
    let mut operands = OPERANDS.lock();
    operands.first.copy_from_slice(request);
    operands.output.fill(0);
    let (first, output) = (&raw const operands.first as u64, &raw mut operands.output as u64);
    // SAFETY: as in `report`; the output has 16 bytes.
    let (code, _) = unsafe { enclu(EGETKEY, first, output, 0, 0) };
    let mut key = [0; 16];
    key.copy_from_slice(&operands.output[..16]);
    operands.output.fill(0);
    if code == 0 { Ok(key) } else { Err(code) }
}

/// One of the leaves that take a SECINFO, over a range of pages. On an error: the leaf's code.
///
/// # Safety
/// The pages may be given what the leaf gives them.
unsafe fn over_pages(leaf: u64, secinfo: SecInfo, start: u64, length: u64, source: u64) -> Result<(), u64> {
    let mut done = 0;
    while done < length {
        let operand = &raw const secinfo as u64;
        let source = source.wrapping_add(done);
        // SAFETY: the SECINFO is aligned by its type and lies on this stack; the caller vouches for the pages.
        let (code, step) = unsafe { enclu(leaf, operand, start + done, source, length - done) };
        // EMODPE has no codes.
        if code != 0 && leaf != EMODPE {
            return Err(code);
        }
        if step == 0 || step > length - done {
            return Err(LeafError::PgInvld as u64);
        }
        done += step;
    }
    Ok(())
}

/// EACCEPT of a range: what the host did is what was asked for, or an error.
pub(crate) fn accept(secinfo: SecInfo, start: u64, length: u64) -> Result<(), u64> {
    // SAFETY: accepting changes no contents, and rights only to those in the SECINFO, which callers choose.
    unsafe { over_pages(EACCEPT, secinfo, start, length, 0) }
}

/// EACCEPTCOPY of a range: pending pages become copies of others, with these rights.
///
/// # Safety
/// The pages at `from` are program memory.
pub(crate) unsafe fn accept_copy(secinfo: SecInfo, start: u64, length: u64, from: u64) -> Result<(), u64> {
    // SAFETY: pending pages hold nothing yet; the caller vouches for the source.
    unsafe { over_pages(EACCEPTCOPY, secinfo, start, length, from) }
}

/// EMODPE of a range: adds rights.
///
/// # Safety
/// Nothing relies on the pages not having these rights.
pub(crate) unsafe fn extend(secinfo: SecInfo, start: u64, length: u64) -> Result<(), u64> {
    // SAFETY: the caller vouches for the rights.
    unsafe { over_pages(EMODPE, secinfo, start, length, 0) }
}

/// Fixes where ENCLU is; called once at start.
pub(crate) fn set_code(address: u64) {
    ENCLU_CODE.store(address, Relaxed);
}

/// Whether something stands for the instruction.
pub(crate) fn is_software() -> bool {
    ENCLU_CODE.load(Relaxed) != 0
}
