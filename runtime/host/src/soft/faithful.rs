//! `--faithful`: ENCLU is the instruction itself, in the enclave and here. It always faults: with #UD on a processor without SGX; on one
//! that has it, even if its CPUID hides it, with #PF where EENTER and ERESUME find no TCS in the EPC and #GP for every other leaf,
//! as no thread is in enclave mode (SDM 38.4). The signal handler then does to the interrupted registers what the leaf in EAX does,
//! through the software device.
//!
//! In ordinary runs this serves an enclave that has not yet read what stands for the instruction, and programs that execute it.
//!
//! Entries, asynchronous exits and their ends are as on hardware: ENCLU[EENTER] here, the handler's return to the asynchronous
//! exit pointer, ENCLU[ERESUME] there. One page an EACCEPT, and some microseconds for each leaf: for conformance tests.

use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, Ordering::*};

use casemate_sgx::Fault;
use casemate_softsgx::{BUSY, Flow, Leaf, MAX_XSAVE};

use super::device;
use super::gate::{Entry, Exit};
use super::interrupt::{Interruption, STAGE, put_state, raise, restore_extended, run_stage, state_of};
use crate::arena::Thread;
use crate::report::{EXIT_INTERNAL, fail};
use crate::signal_frame::Context;
use crate::{registers, run, sys};

core::arch::global_asm!(
    r#"
    .text
    // Exit casemate_faithful_run(rdi: const Entry *): ENCLU[EENTER]; goes on behind it after EEXIT.
    .globl casemate_faithful_run
    .type casemate_faithful_run, @function
casemate_faithful_run:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    sub rsp, 8
    mov r11, rdi
    mov eax, {EENTER}
    mov rbx, [r11 + {TCS}]
    lea rcx, [rip + casemate_faithful_aep]
    mov rdi, [r11 + {WORDS}]
    mov rsi, [r11 + {WORDS} + 8]
    mov rdx, [r11 + {WORDS} + 16]
    .globl casemate_faithful_eenter
casemate_faithful_eenter:
    .byte 0x0f, 0x01, 0xd7
    add rsp, 8
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    mov rax, rdi
    mov rdx, rsi
    ret
    // Where asynchronous exits lead: ENCLU[ERESUME], with the registers that the exit left.
    .globl casemate_faithful_aep
casemate_faithful_aep:
    .byte 0x0f, 0x01, 0xd7
    ud2
    .size casemate_faithful_run, . - casemate_faithful_run
"#,
    EENTER = const Leaf::Eenter as u32,
    TCS = const offset_of!(Entry, tcs),
    WORDS = const offset_of!(Entry, words),
);

unsafe extern "C" {
    fn casemate_faithful_run(entry: *const Entry) -> Exit;
    fn casemate_faithful_eenter();
    fn casemate_faithful_aep();
}

static ON: AtomicBool = AtomicBool::new(false);

/// From now on ENCLU is the instruction.
pub fn turn_on() {
    ON.store(true, Relaxed);
}

/// Whether ENCLU is the instruction.
pub fn is_on() -> bool {
    ON.load(Relaxed)
}

/// Enters, by the instruction.
///
/// # Safety
/// The entry is complete, and what it says is what the enclave expects.
pub(super) unsafe fn enter(entry: &Entry) -> Exit {
    // SAFETY: the handler takes the thread inside; the enclave comes back by EEXIT, with this stack as it is.
    unsafe { casemate_faithful_run(entry) }
}

/// Vectors of #UD, #GP and #PF.
const FAULTS: [u64; 3] = [6, 13, 14];

/// Whether the thread was interrupted by an ENCLU that is to be carried out: in the enclave, or the loader's own. The enclave executes
/// it in ordinary runs, too, before it has read which code stands for it: when it refuses to start, or is interrupted so early.
pub fn is_enclu(thread: &Thread, context: &Context) -> bool {
    if !FAULTS.contains(&context.trap_number) {
        return false;
    }
    let rip = context.rip;
    let own = [casemate_faithful_eenter as *const () as u64, casemate_faithful_aep as *const () as u64];
    own.contains(&rip) || super::is_inside(thread, rip) && device().device.is_enclu(rip)
}

/// ENCLU: the leaf, on the interrupted registers. A fault of it inside is an asynchronous exit like any other.
pub fn execute(thread: &Thread, context: &mut Context) {
    // A host signal that came after the asynchronous exit: the enclave learns of it first.
    if context.rip == casemate_faithful_aep as *const () as u64 && thread.pending.swap(0, SeqCst) != 0 {
        run_stage(thread, context.rbx, STAGE);
    }
    let mut state = state_of(context);
    let mut area = [0; MAX_XSAVE];
    // SAFETY: the handler interrupted an instruction that uses the logical processor of this thread, so nothing else does.
    let logical = unsafe { &mut *thread.logical.get() };
    let result = device().device.enclu(logical, &mut state, &mut area);
    let flow = match result {
        Ok(flow) => flow,
        Err(fault) if logical.in_enclave() => {
            let exception = exception_of(fault, written(context));
            return raise(thread, context, exception);
        }
        // Once more: rip is as it was.
        Err(BUSY) => return sys::yield_processor(),
        // A thread that nobody asked for.
        #[cfg(feature = "hostile")]
        Err(_) if crate::hostile::is_on() => return turn_away(context),
        Err(fault) => fail(EXIT_INTERNAL, format_args!("softsgx: ENCLU[{}]: {fault}", context.rax as u32)),
    };
    #[cfg(feature = "hostile")]
    if matches!(flow, Flow::Exited) {
        let shown = state_of(context);
        // SAFETY: the kernel saved the extended state where the frame says.
        crate::hostile::look_at_registers(&shown, unsafe { context.extended_state() });
    }
    put_state(context, &state);
    // SAFETY: the loader uses neither base, and the device says what the code that goes on has.
    unsafe { registers::set_bases(state.fs_base, state.gs_base) };
    match flow {
        Flow::Entered => {
            context.r8 = thread.pending.swap(0, SeqCst).into();
            #[cfg(feature = "hostile")]
            crate::hostile::entered(thread, logical.tcs().unwrap_or(0));
        }
        // SAFETY: the kernel saved the extended state where the frame says.
        Flow::Resumed => restore_extended(unsafe { context.extended_state() }, &area),
        Flow::Exited if !run::is_own_code(state.rip) => fail(
            EXIT_INTERNAL,
            format_args!("softsgx: the enclave left for {:#x}, where nobody waits", state.rip),
        ),
        Flow::Exited | Flow::Next => {}
    }
}

/// A lying loader's thread that cannot enter goes on as after its end; one that cannot resume, as another is inside by its TCS, tries
/// again.
#[cfg(feature = "hostile")]
fn turn_away(context: &mut Context) {
    if context.rip == casemate_faithful_eenter as *const () as u64 {
        context.rip += casemate_softsgx::ENCLU_LENGTH;
        (context.rdi, context.rsi) = (casemate_abi::EXIT_DONE, u64::MAX);
    }
}

/// Bits of a page fault's error code (SDM volume 3, 4.7): present, user, SGX; and that of a write.
const PAGE_FAULT_CODE: u32 = 1 | 1 << 2 | 1 << 15;
const WRITE: u32 = 1 << 1;

/// Where a leaf inside writes (SDM 38.4, "Memory Parameter Semantics").
fn written(context: &Context) -> Option<u64> {
    match Leaf::from_number(context.rax as u32) {
        Some(Leaf::Ereport) => Some(context.rdx),
        Some(Leaf::Egetkey) => Some(context.rcx),
        _ => None,
    }
}

/// A leaf's fault as the exception that it is.
fn exception_of(fault: Fault, written: Option<u64>) -> Interruption {
    match fault {
        Fault::InvalidOpcode => Interruption::Exception { vector: 6, error_code: 0, address: 0 },
        Fault::GeneralProtection(_) => Interruption::Exception { vector: 13, error_code: 0, address: 0 },
        Fault::Page(address, _) => {
            let write = if written == Some(address) { WRITE } else { 0 };
            Interruption::Exception { vector: 14, error_code: PAGE_FAULT_CODE | write, address }
        }
    }
}

/// What an asynchronous exit leaves of the extended state: everything as after INIT.
pub(super) fn initial_state() -> [u8; MAX_XSAVE] {
    let mut area = [0; MAX_XSAVE];
    area[..2].copy_from_slice(&0x037fu16.to_le_bytes());
    area[24..28].copy_from_slice(&0x1f80u32.to_le_bytes());
    area
}
