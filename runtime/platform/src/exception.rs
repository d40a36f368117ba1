//! Faults and host signals: turned into traps of the program, fix-ups of user-memory accesses, or the end.
//!
//! Runs on the loader's signal stack at any point of the thread, so it takes no lock and allocates nothing.

use core::sync::atomic::Ordering::*;

use casemate_abi::{ExceptionFrame, VECTOR_INTERRUPT, VECTOR_SYSCALL};

use crate::area::{self, ThreadArea};
use crate::context::GeneralRegisters;
use crate::entry::{self, TRAP_CLAIMED_SYSCALL, TRAP_EXCEPTION, TRAP_INTERRUPT};

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
        if !interrupt && !crate::user::fix_up(frame) {
            crate::console::fatal_exception(frame);
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
    } else if entry::is_entry_code(frame.rip) {
        if !interrupt {
            crate::console::fatal_exception(frame);
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
