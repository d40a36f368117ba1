//! What a process does about a signal (rt_sigaction(2)).

use bitflags::bitflags;
use linux_raw_sys::general as raw;

use super::Signal;

bitflags! {
    /// SA_* flags.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    #[allow(missing_docs)]
    pub struct ActionFlags: u64 {
        const NO_CHILD_STOP = raw::SA_NOCLDSTOP as u64;
        const NO_CHILD_WAIT = raw::SA_NOCLDWAIT as u64;
        const SIGINFO = raw::SA_SIGINFO as u64;
        const ON_STACK = raw::SA_ONSTACK as u64;
        const RESTART = raw::SA_RESTART as u64;
        const NO_DEFER = raw::SA_NODEFER as u64;
        const RESET_HANDLER = raw::SA_RESETHAND as u64;
        const RESTORER = 0x0400_0000;
        const _ = !0;
    }
}

/// Who handles a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Handler {
    /// SIG_DFL.
    #[default]
    Default,
    /// SIG_IGN.
    Ignore,
    /// A function of the program.
    Function(u64),
}

/// An entry of the handler table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Action {
    /// Who handles it.
    pub handler: Handler,
    /// SA_* flags.
    pub flags: ActionFlags,
    /// Where the handler returns to.
    pub restorer: u64,
    /// Signals blocked while it runs.
    pub mask: u64,
}

/// What SIG_DFL means for a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// The process ends.
    Terminate,
    /// Nothing happens.
    Ignore,
    /// The process stops; the library OS does not stop processes, so nothing happens.
    Stop,
    /// A stopped process goes on.
    Continue,
}

impl DefaultAction {
    /// See signal(7).
    pub fn of(signal: Signal) -> DefaultAction {
        match signal {
            Signal::CHLD | Signal::URG | Signal::WINCH => DefaultAction::Ignore,
            Signal::CONT => DefaultAction::Continue,
            Signal::STOP | Signal::TSTP | Signal::TTIN | Signal::TTOU => DefaultAction::Stop,
            _ => DefaultAction::Terminate,
        }
    }
}

impl Action {
    /// Whether a signal with this action has no effect at all.
    pub fn is_ignoring(&self, signal: Signal) -> bool {
        match self.handler {
            Handler::Ignore => true,
            Handler::Default => !matches!(DefaultAction::of(signal), DefaultAction::Terminate),
            Handler::Function(_) => false,
        }
    }
}
