//! Signals: per process and per thread state, delivery, frames.

use casemate_platform::context::Exception;

use crate::errno::Errno;
use crate::process::Context;

/// What threads of a process share: handlers and process-directed pending signals.
#[derive(Default)]
pub struct ProcessSignals {}

/// What is a thread's own: mask, pending signals, alternate stack.
#[derive(Default)]
pub struct ThreadSignals {}

impl ProcessSignals {
    /// For a new process: handlers are copied, nothing is pending.
    pub fn duplicate(&self) -> ProcessSignals {
        ProcessSignals {}
    }

    /// For execve: handlers become default, ignored signals stay ignored.
    pub fn reset_handlers(&self) {}
}

impl ThreadSignals {
    /// For a new thread: the mask is inherited, nothing is pending, no alternate stack.
    pub fn duplicate(&self) -> ThreadSignals {
        ThreadSignals {}
    }
}

/// How a thread goes on after [`attend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Back to the program; the registers are right.
    Resume,
    /// The interrupted call is to be made again, with the registers as they were.
    CallAgain,
}

/// Looks after what waits for the thread before it returns to the program: host signals, pending signals. `interrupted` is
/// the restart code of the call that was cut short, if any; the registers hold the call still.
pub fn attend(context: &Context, interrupted: Option<Errno>) -> Next {
    casemate_platform::context::take_interrupt();
    context.thread.set_attention(false);
    if interrupted.is_some() { Next::CallAgain } else { Next::Resume }
}

/// A processor exception of the program that memory management could not repair.
pub fn raise_exception(context: &Context, exception: Exception) {
    casemate_platform::console::print_raw(format_args!(
        "casemate: thread {} died of exception {} at {:#x} (address {:#x})",
        context.thread.tid,
        exception.vector,
        context.registers.borrow().regs.rip,
        exception.address
    ));
    casemate_platform::host::exit(0, 11)
}
