//! Signals: per process and per thread state, sending, delivery, frames.

mod action;
mod deliver;
mod file;
mod frame;
mod pending;
mod send;
mod state;

pub use action::{Action, ActionFlags, Handler};
pub(crate) use deliver::admit_host_signals;
pub use deliver::{Next, attend, raise_exception, recompute_attention, restore_saved_mask};
pub use file::SignalFile;
pub use frame::{return_from_handler, stack_from_words, stack_words};
pub use pending::{Pending, SignalInfo};
pub use send::{can_signal, send_to_process, send_to_thread};
pub use state::{AlternateStack, ProcessSignals, ThreadSignals};

use crate::errno::{Errno, Result};

/// Highest signal number.
pub const LAST: u32 = 64;
/// First real-time signal of the kernel: these queue.
pub const FIRST_REAL_TIME: u32 = 32;

/// A valid signal number, 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signal(u8);

#[allow(missing_docs)]
impl Signal {
    pub const HUP: Signal = Signal(1);
    pub const INT: Signal = Signal(2);
    pub const QUIT: Signal = Signal(3);
    pub const ILL: Signal = Signal(4);
    pub const TRAP: Signal = Signal(5);
    pub const BUS: Signal = Signal(7);
    pub const FPE: Signal = Signal(8);
    pub const KILL: Signal = Signal(9);
    pub const SEGV: Signal = Signal(11);
    pub const PIPE: Signal = Signal(13);
    pub const ALRM: Signal = Signal(14);
    pub const CHLD: Signal = Signal(17);
    pub const CONT: Signal = Signal(18);
    pub const STOP: Signal = Signal(19);
    pub const TSTP: Signal = Signal(20);
    pub const TTIN: Signal = Signal(21);
    pub const TTOU: Signal = Signal(22);
    pub const URG: Signal = Signal(23);
    pub const XFSZ: Signal = Signal(25);
    pub const WINCH: Signal = Signal(28);

    /// The signal with this number; `EINVAL`.
    pub fn new(number: u32) -> Result<Signal> {
        if (1..=LAST).contains(&number) { Ok(Signal(number as u8)) } else { Err(Errno::EINVAL) }
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0 as u32
    }

    /// Its bit in a set.
    pub fn bit(self) -> u64 {
        1 << (self.0 - 1)
    }
}

/// Signals that can be neither blocked, caught nor ignored.
pub const UNBLOCKABLE: u64 = 1 << (9 - 1) | 1 << (19 - 1);
