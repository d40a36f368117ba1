//! Asynchronous exits: a fault or host signal meets code inside (SDM 37.3).
//!
//! The signal frame's registers go into the SSA frame of the TCS, the enclave is entered by the same TCS for its exception stage, and
//! ERESUME gives the registers with which the thread goes on. The loader never looks at what was interrupted.

use core::sync::atomic::Ordering::*;

use casemate_abi::{EXIT_DONE, EntryReason};
use casemate_sgx::Fault;
use casemate_softsgx::{ENCLU_LENGTH, Event, Leaf, LogicalProcessor, MAX_XSAVE, Registers};

use super::gate::{Window, enter, is_faulting, left_address, window};
use super::{device, faithful};
use crate::arena::Thread;
use crate::report::{EXIT_INTERNAL, fail};
use crate::signal_frame::Context;
use crate::{registers, run};

/// What met a thread inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// A host signal.
    Signal,
    /// `syscall`, which no enclave may execute; the kernel reports it after the instruction.
    Syscall,
    /// A processor exception.
    Exception {
        /// x86 vector.
        vector: u8,
        /// Its error code.
        error_code: u32,
        /// Where.
        address: u64,
    },
}

/// Bytes of `syscall` and of `cpuid`.
const SYSCALL_LENGTH: u64 = 2;
const CPUID: [u8; 2] = [0x0f, 0xa2];
const INVALID_OPCODE: u8 = 6;
const GENERAL_PROTECTION: u8 = 13;

/// Whether code inside was interrupted, not the loader's own while it acts for it.
pub fn is_inside(thread: &Thread, rip: u64) -> bool {
    // SAFETY: only looks; the handler runs on the thread that the logical processor belongs to.
    let logical = unsafe { &*thread.logical.get() };
    logical.in_enclave() && (is_faulting(rip) || !run::is_own_code(rip))
}

/// Whether the thread is inside, whoever's code runs.
pub fn is_entered(thread: &Thread) -> bool {
    // SAFETY: as in `is_inside`.
    unsafe { &*thread.logical.get() }.in_enclave()
}

/// A host signal met the loader: the enclave learns of it when control goes back.
pub fn note(thread: &Thread, context: &mut Context) {
    match window(context.rip) {
        Some(Window::Entry) => context.r8 = 1,
        Some(Window::Leaf) => context.r10 = 1,
        None => thread.pending.store(1, SeqCst),
    }
}

/// An asynchronous exit, the exception stage, and ERESUME.
pub fn raise(thread: &Thread, context: &mut Context, interruption: Interruption) {
    let interruption = match interruption {
        Interruption::Exception { .. } if is_faulting(context.rip) => fault_of_leaf(context),
        other => other,
    };
    let mut state = state_of(context);
    let event = event_of(&mut state, interruption);
    // SAFETY: the kernel saved the extended state where the frame says.
    let extended = unsafe { context.extended_state() };
    // SAFETY: the handler interrupted code inside, so nothing else uses this thread's logical processor.
    let logical = unsafe { &mut *thread.logical.get() };
    let tcs = logical.tcs().unwrap_or(0);
    let left = device().device.asynchronous_exit(logical, &mut state, event, extended);
    if let Err(fault) = left {
        fail(EXIT_INTERNAL, format_args!("softsgx: asynchronous exit: {fault}"));
    }
    // SAFETY: the loader uses neither base.
    unsafe { registers::set_bases(state.fs_base, state.gs_base) };
    #[cfg(feature = "hostile")]
    let stages = crate::hostile::stages(interruption == Interruption::Signal);
    #[cfg(not(feature = "hostile"))]
    let stages = [STAGE];
    for words in stages {
        run_stage(thread, tcs, words);
    }
    if !faithful::is_on() {
        return resume(thread, tcs, context);
    }
    // The handler's return leads to the asynchronous exit pointer.
    put_state(context, &state);
    // SAFETY: as above.
    restore_extended(unsafe { context.extended_state() }, &faithful::initial_state());
}

/// The words with which the exception stage is entered.
pub(super) const STAGE: [u64; 3] = [EntryReason::Exception as u64, 0, 0];

/// Enters for the exception stage.
pub(super) fn run_stage(thread: &Thread, tcs: u64, words: [u64; 3]) {
    let exit = enter(thread, tcs, words);
    if exit.number != EXIT_DONE {
        fail(EXIT_INTERNAL, format_args!("softsgx: the exception stage makes host call {}", exit.number));
    }
}

/// A leaf that stays inside faulted, and says how (`gate`): the fault is that of the instruction where the enclave has it.
fn fault_of_leaf(context: &mut Context) -> Interruption {
    context.rip = context.r11;
    Interruption::Exception { vector: context.rax as u8, error_code: 0, address: context.rdx }
}

/// Returns where ERESUME may succeed later: a lying loader's thread that nobody asked for is inside by this TCS.
fn refused(_logical: &LogicalProcessor, fault: Fault) {
    #[cfg(feature = "hostile")]
    if crate::hostile::is_on() && !_logical.in_enclave() {
        return;
    }
    fail(EXIT_INTERNAL, format_args!("softsgx: ERESUME: {fault}"));
}

fn resume(thread: &Thread, tcs: u64, context: &mut Context) {
    let mut area = [0; MAX_XSAVE];
    let mut state = Registers {
        rax: Leaf::Eresume as u64,
        rbx: tcs,
        rcx: left_address(),
        rip: left_address() - ENCLU_LENGTH,
        rflags: context.rflags,
        fs_base: registers::fs_base(),
        gs_base: registers::gs_base(),
        ..Registers::default()
    };
    // SAFETY: as in `raise`.
    let logical = unsafe { &mut *thread.logical.get() };
    while let Err(fault) = device().device.eresume(logical, &mut state, &mut area) {
        refused(logical, fault);
    }
    put_state(context, &state);
    // SAFETY: the frame's extended state is the kernel's to restore at the handler's end; the bases are those of the code inside.
    unsafe {
        restore_extended(context.extended_state(), &area);
        registers::set_bases(state.fs_base, state.gs_base);
    }
}

/// What the device is told. The kernel's report of a trapped system call is that of the instruction itself, #UD.
fn event_of(state: &mut Registers, interruption: Interruption) -> Event {
    match interruption {
        Interruption::Signal => Event::Interrupt,
        Interruption::Syscall => {
            state.rip = state.rip.wrapping_sub(SYSCALL_LENGTH);
            Event::Exception { vector: INVALID_OPCODE, error_code: 0, address: 0 }
        }
        Interruption::Exception { vector: GENERAL_PROTECTION, error_code: 0, .. } if is_cpuid(state.rip) => {
            Event::Exception { vector: INVALID_OPCODE, error_code: 0, address: 0 }
        }
        Interruption::Exception { vector, error_code, address } => {
            Event::Exception { vector, error_code, address }
        }
    }
}

/// Whether CPUID stands there: with CPUID faulting on it raises #GP, in an enclave it is #UD.
fn is_cpuid(rip: u64) -> bool {
    // SAFETY: the processor just fetched the instruction there; #GP, not #PF, came of it.
    rip >> 47 == 0 && unsafe { (rip as *const [u8; 2]).read_unaligned() } == CPUID
}

macro_rules! general_registers {
    ($($name:ident)*) => {
        pub(super) fn state_of(context: &Context) -> Registers {
            Registers {
                $($name: context.$name,)*
                fs_base: registers::fs_base(),
                gs_base: registers::gs_base(),
            }
        }

        pub(super) fn put_state(context: &mut Context, state: &Registers) {
            $(context.$name = state.$name;)*
        }
    };
}

general_registers!(rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags);

/// XSTATE_BV, in the XSAVE header.
const HEADER: usize = 512;
/// State components of enclaves: everything but protection keys and what the kernel keeps to itself.
const OURS: u64 = 0x6_00ff;
/// Where protection keys lie between them (SDM volume 1, 13.5.7).
const KEYS: core::ops::Range<usize> = 2688..2752;

/// Puts the resumed state into the frame, but for components that no enclave has.
pub(super) fn restore_extended(frame: &mut [u8], area: &[u8; MAX_XSAVE]) {
    let length = frame.len().min(area.len());
    // The last bytes of the legacy region are the kernel's own notes (struct _fpx_sw_bytes).
    frame[..464].copy_from_slice(&area[..464]);
    if length <= HEADER + 64 {
        return;
    }
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes[HEADER..HEADER + 8].try_into().unwrap_or([0; 8]));
    let present = word(frame) & !OURS | word(area) & OURS;
    let end = length.min(KEYS.start);
    frame[HEADER + 64..end].copy_from_slice(&area[HEADER + 64..end]);
    if length > KEYS.end {
        frame[KEYS.end..length].copy_from_slice(&area[KEYS.end..length]);
    }
    frame[HEADER..HEADER + 8].copy_from_slice(&present.to_le_bytes());
}
