//! Delivery: what happens between a trap and the return to the program.

use alloc::sync::Arc;
use core::sync::atomic::Ordering::*;

use casemate_platform::context::{Exception, take_interrupt};
use casemate_platform::extended_state::floating_point_exceptions;
use casemate_platform::host;

use super::action::DefaultAction;
use super::state::is_due;
use super::{Action, ActionFlags, Handler, Signal, SignalInfo, frame, send_to_process};
use crate::errno::Errno;
use crate::mm::FaultOutcome;
use crate::process::exit::begin_exit;
use crate::process::{Context, ExitState, FIRST_PROCESS, Thread, all_processes, find_process};

/// How a thread goes on after [`attend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Back to the program; the registers are right.
    Resume,
    /// The interrupted call is to be made again, with the registers as they were.
    CallAgain,
}

/// SI_KERNEL.
const FROM_KERNEL: i32 = 0x80;

/// Looks after what waits for the thread before it returns to the program: host signals, pending signals. `interrupted` is
/// the restart code of the call that was cut short, if any; the registers hold the call still.
///
/// Every signal that waits gets its frame now, one on top of the other, as on Linux: none is left to disturb the first handler.
pub fn attend(context: &Context, mut interrupted: Option<Errno>) -> Next {
    if take_interrupt() {
        admit_host_signals();
    }
    let thread = context.thread;
    // After the mark was taken: whose barrier it stood for is waiting, and sets it but once.
    thread.barrier.pass();
    thread.set_attention(false);
    let mut handled = false;
    while let Some(info) = next_signal(thread) {
        let process = context.process();
        let action = process.signals.action(info.signal);
        match action.handler {
            Handler::Ignore => {}
            Handler::Default => match DefaultAction::of(info.signal) {
                DefaultAction::Terminate => {
                    begin_exit(process, ExitState::Killed(info.signal.number() as u8));
                    return Next::Resume;
                }
                DefaultAction::Ignore | DefaultAction::Continue | DefaultAction::Stop => {}
            },
            Handler::Function(handler) => {
                settle_interrupted_call(context, interrupted.take(), &action);
                enter_handler(context, &info, &action, handler, None);
                handled = true;
            }
        }
    }
    if handled {
        recompute_attention(thread);
        return Next::Resume;
    }
    // No handler: a mask lent for the time of the call comes back unless the call goes on.
    if interrupted.is_none() {
        restore_saved_mask(thread);
        Next::Resume
    } else {
        recompute_attention(thread);
        Next::CallAgain
    }
}

/// Takes the next signal that the thread does not block.
fn next_signal(thread: &Arc<Thread>) -> Option<SignalInfo> {
    let open = !thread.signals.mask();
    let own = thread.signals.pending.lock().take(open);
    let taken = own.or_else(|| thread.process().signals.pending.lock().take(open))?;
    thread.process().clocks.delivered(&taken);
    Some(taken)
}

/// Sets the thread's mark again if signals still wait (the mask may have changed).
pub fn recompute_attention(thread: &Thread) {
    if is_due(&thread.process().signals, &thread.signals) {
        thread.set_attention(true);
    }
}

/// Gives back the mask that sigsuspend, ppoll and the like replaced.
pub fn restore_saved_mask(thread: &Thread) {
    let saved = thread.signals.saved_mask.lock().take();
    if let Some(mask) = saved {
        thread.signals.set_mask(mask);
        recompute_attention(thread);
    }
}

/// Terminal signals go to the first process's group, others to the first process.
pub(crate) fn admit_host_signals() {
    let mut arrived = host::take_signals();
    let Some(first) = find_process(FIRST_PROCESS) else { return };
    while arrived != 0 {
        let number = arrived.trailing_zeros() + 1;
        arrived &= arrived - 1;
        let Ok(signal) = Signal::new(number) else { continue };
        let info = SignalInfo::new(signal, FROM_KERNEL);
        let whole_group =
            matches!(signal, Signal::INT | Signal::QUIT | Signal::HUP | Signal::WINCH | Signal::TSTP);
        if whole_group {
            let group = first.group.load(Relaxed);
            for process in all_processes().iter().filter(|process| process.group.load(Relaxed) == group) {
                let _ = send_to_process(process, info);
            }
        } else {
            let _ = send_to_process(&first, info);
        }
    }
}

/// A handler runs in the middle of a call: it ends with `EINTR`, or is made again when the handler returns.
fn settle_interrupted_call(context: &Context, interrupted: Option<Errno>, action: &Action) {
    let Some(code) = interrupted else { return };
    let again = match code {
        Errno::ERESTARTNOINTR => true,
        Errno::ERESTARTSYS => action.flags.contains(ActionFlags::RESTART),
        _ => false,
    };
    let mut registers = context.registers.borrow_mut();
    if again {
        // rax still holds the number of the call.
        registers.regs.rip = context.process().address_space().restart_pc(registers.regs.rip);
    } else {
        registers.regs.rax = (-(Errno::EINTR.0 as i64)) as u64;
    }
}

/// The fault that a frame reports: trap number, error code, address.
pub(super) type FaultWords = [u64; 3];

fn enter_handler(
    context: &Context,
    info: &SignalInfo,
    action: &Action,
    handler: u64,
    fault: Option<FaultWords>,
) {
    let thread = context.thread;
    let old_mask = thread.signals.saved_mask.lock().take().unwrap_or_else(|| thread.signals.mask());
    if frame::push(context, info, action, handler, old_mask, fault).is_err() {
        force(context, Signal::SEGV);
        return;
    }
    let mut mask = thread.signals.mask() | action.mask;
    if !action.flags.contains(ActionFlags::NO_DEFER) {
        mask |= info.signal.bit();
    }
    thread.signals.set_mask(mask);
    if action.flags.contains(ActionFlags::RESET_HANDLER) {
        let reset = Action { handler: Handler::Default, ..*action };
        context.process().signals.set_action(info.signal, reset);
    }
}

/// The process cannot go on: ends it by this signal.
fn force(context: &Context, signal: Signal) {
    begin_exit(context.process(), ExitState::Killed(signal.number() as u8));
}

/// A processor exception of the program; `outcome` is what memory management said of a page fault.
pub fn raise_exception(context: &Context, exception: Exception, outcome: Option<FaultOutcome>) {
    let rip = context.registers.borrow().regs.rip;
    let info = describe(exception, outcome, rip);
    let signal = info.signal;
    let action = context.process().signals.action(signal);
    let blocked = context.thread.signals.mask() & signal.bit() != 0;
    match action.handler {
        Handler::Function(handler) if !blocked => {
            let fault = [exception.vector as u64, exception.error_code as u64, exception.address];
            enter_handler(context, &info, &action, handler, Some(fault));
        }
        _ => {
            casemate_platform::log!(
                casemate_platform::console::Level::Debug,
                "thread {} ends by signal {} at {rip:#x}, address {:#x}",
                context.thread.tid(),
                signal.number(),
                exception.address
            );
            force(context, signal);
        }
    }
}

/// Signal and code of an exception (arch/x86/kernel/traps.c, mm/fault.c).
fn describe(exception: Exception, outcome: Option<FaultOutcome>, rip: u64) -> SignalInfo {
    let fault = |signal, code, address| SignalInfo::from_fault(signal, code, address);
    match exception.vector {
        0 => fault(Signal::FPE, 1, rip),
        1 => fault(Signal::TRAP, 2, rip),
        3 => SignalInfo::new(Signal::TRAP, FROM_KERNEL),
        6 => fault(Signal::ILL, 2, rip),
        14 => match outcome {
            Some(FaultOutcome::BusError) => fault(Signal::BUS, 2, exception.address),
            Some(FaultOutcome::AccessError) => fault(Signal::SEGV, 2, exception.address),
            _ => fault(Signal::SEGV, 1, exception.address),
        },
        16 | 19 => {
            fault(Signal::FPE, floating_point_code(floating_point_exceptions(exception.vector == 16)), rip)
        }
        17 => fault(Signal::BUS, 1, 0),
        _ => SignalInfo::new(Signal::SEGV, FROM_KERNEL),
    }
}

/// FPE_* of flagged exceptions: the first that is (arch/x86/kernel/fpu/core.c, fpu__exception_code).
fn floating_point_code(flagged: u32) -> i32 {
    const FLTDIV: i32 = 3;
    const FLTOVF: i32 = 4;
    const FLTUND: i32 = 5;
    const FLTRES: i32 = 6;
    const FLTINV: i32 = 7;
    match flagged {
        flagged if flagged & 0x01 != 0 => FLTINV,
        flagged if flagged & 0x04 != 0 => FLTDIV,
        flagged if flagged & 0x08 != 0 => FLTOVF,
        flagged if flagged & 0x12 != 0 => FLTUND,
        flagged if flagged & 0x20 != 0 => FLTRES,
        _ => FLTINV,
    }
}
