//! Faults and host signals: turned into traps of the program, fix-ups of user-memory accesses, or the end.
//!
//! Runs at any point of the thread, so it takes no lock and allocates nothing: on `direct` on the loader's signal stack, in an enclave on
//! the thread's exception stack, with what was interrupted in the SSA. Only what the SSA records as an exception is one; for all
//! else that the host may say, it was an interrupt.

use core::sync::atomic::Ordering::*;

use casemate_abi::{ExceptionFrame, VECTOR_INTERRUPT, VECTOR_SYSCALL};
use casemate_sgx::layout::AREA_SIZE;
use casemate_sgx::{ExInfo, ExitInfo, GprSgx, PAGE_SIZE};

use crate::area::{self, ThreadArea};
use crate::context::GeneralRegisters;
use crate::entry::{self, TRAP_CLAIMED_SYSCALL, TRAP_EXCEPTION, TRAP_INTERRUPT};

/// The vector #DB, and TF, the flag that raises it after every instruction.
const DEBUG: u64 = 1;
const TRAP_FLAG: u64 = 0x100;

macro_rules! registers {
    ($($name:ident)*) => {
        fn frame_of(saved: &GprSgx) -> ExceptionFrame {
            ExceptionFrame { $($name: saved.$name,)* ..ExceptionFrame::default() }
        }

        fn put_back(saved: &mut GprSgx, frame: &ExceptionFrame) {
            $(saved.$name = frame.$name;)*
        }
    };
}

registers!(rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags);

/// The first stage in an enclave: called by the gate with the thread area, on the exception stack, with CSSA = 1.
pub(crate) extern "C" fn stage(area: *mut ThreadArea) {
    // The first thread is at its very first steps: as before the image is relocated, there is nothing to do.
    let Some(layout) = crate::layout::adopted() else { return };
    let frame_end = u64::from(layout.ssa_frame_size) * PAGE_SIZE as u64;
    let gpr = (area as u64 + AREA_SIZE + frame_end - size_of::<GprSgx>() as u64) as *mut GprSgx;
    // SAFETY: SSA frame 0 lies behind the area (`casemate_sgx::layout`); the processor wrote it when this thread was interrupted,
    // and nothing else touches it until ERESUME. EXINFO lies right below GPRSGX.
    let (mut saved, exinfo) = unsafe { (gpr.read(), gpr.cast::<ExInfo>().sub(1).read()) };
    let mut frame = frame_of(&saved);
    let info = saved.exitinfo;
    frame.vector = VECTOR_INTERRUPT;
    if !info.is_valid() {
        // Also of a thread that is about to begin, which `handle` does not know yet.
        // SAFETY: the area is this thread's; the field is atomic.
        unsafe { (*area).interrupt.store(1, SeqCst) };
    } else {
        frame.vector = info.vector().into();
        if matches!(info.vector(), 13 | 14) {
            (frame.error_code, frame.address) = (exinfo.errcd.into(), exinfo.maddr);
        }
    }
    handle(&mut frame);
    put_back(&mut saved, &frame);
    // The host may enter once more before it resumes: the exception must not happen twice.
    saved.exitinfo = ExitInfo(0);
    // SAFETY: as above.
    unsafe { gpr.write(saved) };
}

/// The end of a thread that faulted in the library OS, back on its ordinary stack (casemate_fatal_resume).
pub(crate) extern "C" fn report_fatal() -> ! {
    // SAFETY: the area is this thread's; `fail` wrote the frame before it came here.
    match unsafe { (*area::current()).fault } {
        Some(frame) => crate::console::fatal_exception(&frame),
        None => crate::console::fatal("a fault in the library OS"),
    }
}

/// A fault of the library OS itself: nothing can go on after it.
fn fail(area: &mut ThreadArea, frame: &mut ExceptionFrame) {
    if !crate::host::leaves_by_gate() {
        crate::console::fatal_exception(frame);
    }
    // The host call that reports it cannot be made from the exception stage: CSSA is 1 here.
    area.fault = Some(*frame);
    area.in_user.store(0, SeqCst);
    frame.rip = crate::gate::fatal_address();
    frame.rsp = area.stack_top;
    frame.rflags = 2;
}

/// Handles one exception; edits `frame` so that the thread goes on at the right place.
pub(crate) fn handle(frame: &mut ExceptionFrame) {
    let area = area::current();
    if area.is_null() {
        return;
    }
    // SAFETY: the area belongs to this thread; the code it interrupted is suspended, so nothing else uses the fields meanwhile.
    let area = unsafe { &mut *area };
    let interrupt = frame.vector == VECTOR_INTERRUPT;
    if interrupt {
        area.interrupt.store(1, SeqCst);
    }
    if area.in_user.load(SeqCst) == 0 {
        let mut fixed = || {
            crate::user::fix_up(frame)
                || crate::untrusted::fix_up(frame)
                || crate::enclu::fix_up(frame)
                || crate::emulate::own_cpuid(frame)
        };
        if !interrupt && !fixed() {
            fail(area, frame);
        }
        return;
    }
    if entry::is_entering(frame.rip) {
        // The context is still whole: do not enter. A fault here is the program's, e.g. a non-canonical rip.
        note_trap(area, frame);
        // No program has run, so none has made a call.
        if area.trap_kind == TRAP_CLAIMED_SYSCALL {
            area.trap_kind = TRAP_INTERRUPT;
        }
        frame.rip = entry::run_refused_address();
        frame.rflags = 0x202;
    } else if entry::is_entry_code(frame.rip) {
        if frame.vector == DEBUG {
            // A program that steps through itself has made a call: the library OS is not stepped through.
            frame.rflags &= !TRAP_FLAG;
        } else if !interrupt {
            fail(area, frame);
        }
        // On the way in already: the mark is seen before the next sleep or return.
    } else {
        note_trap(area, frame);
        store_context(area, frame);
        frame.rip = entry::trap_resume_address();
        frame.rflags = 0x202;
    }
}

fn note_trap(area: &mut ThreadArea, frame: &ExceptionFrame) {
    area.trap_kind = match frame.vector {
        VECTOR_SYSCALL => TRAP_CLAIMED_SYSCALL,
        0..32 => TRAP_EXCEPTION,
        // A host's own invention is no more than an interrupt.
        _ => TRAP_INTERRUPT,
    };
    area.trap_vector = frame.vector;
    area.trap_error = frame.error_code;
    area.trap_address = frame.address;
}

fn store_context(area: &mut ThreadArea, frame: &ExceptionFrame) {
    let regs = GeneralRegisters {
        rax: frame.rax,
        rbx: frame.rbx,
        rcx: frame.rcx,
        rdx: frame.rdx,
        rsi: frame.rsi,
        rdi: frame.rdi,
        rbp: frame.rbp,
        rsp: frame.rsp,
        r8: frame.r8,
        r9: frame.r9,
        r10: frame.r10,
        r11: frame.r11,
        r12: frame.r12,
        r13: frame.r13,
        r14: frame.r14,
        r15: frame.r15,
        rip: frame.rip,
    };
    // SAFETY: in_user = 1 outside the entry code means that `context` is the live context of `casemate_user_run`, whose
    // borrower waits for the trap.
    unsafe { (*area.context).store_trapped(regs, frame.rflags & 0x0024_0fd7 | 2) };
}
