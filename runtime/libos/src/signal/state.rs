//! Signal state of processes and threads.

use core::sync::atomic::{AtomicU64, Ordering::*};

use casemate_platform::sync::Mutex;

use super::{Action, Handler, Pending, Signal, UNBLOCKABLE};
use crate::events::{Events, Pollee};

const COUNT: usize = super::LAST as usize;

/// What threads of a process share: handlers and process-directed pending signals.
pub struct ProcessSignals {
    actions: Mutex<[Action; COUNT]>,
    /// Signals for the process as a whole.
    pub pending: Mutex<Pending>,
    /// Notified when a signal arrives, for signalfd.
    pub arrivals: Pollee,
}

impl Default for ProcessSignals {
    fn default() -> Self {
        ProcessSignals {
            actions: Mutex::new([Action::default(); COUNT]),
            pending: Mutex::default(),
            arrivals: Pollee::new(),
        }
    }
}

impl ProcessSignals {
    /// The action for a signal.
    pub fn action(&self, signal: Signal) -> Action {
        self.actions.lock()[signal.number() as usize - 1]
    }

    /// Sets the action; returns the old one. A signal that is now ignored stops waiting.
    pub fn set_action(&self, signal: Signal, action: Action) -> Action {
        let old = core::mem::replace(&mut self.actions.lock()[signal.number() as usize - 1], action);
        if action.is_ignoring(signal) {
            self.pending.lock().discard(signal.bit());
        }
        old
    }

    /// For a new process: handlers are copied, nothing is pending.
    pub fn duplicate(&self) -> ProcessSignals {
        ProcessSignals { actions: Mutex::new(*self.actions.lock()), ..Default::default() }
    }

    /// For execve: handlers become default, ignored signals stay ignored.
    pub fn reset_handlers(&self) {
        for action in self.actions.lock().iter_mut() {
            let ignore = action.handler == Handler::Ignore;
            *action = Action {
                handler: if ignore { Handler::Ignore } else { Handler::Default },
                ..Action::default()
            };
        }
    }

    /// Tells signalfds that something arrived.
    pub fn notify(&self) {
        self.arrivals.notify(Events::READABLE);
    }
}

/// sigaltstack(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AlternateStack {
    /// Lowest address.
    pub base: u64,
    /// Size in bytes; 0 when there is none.
    pub size: u64,
    /// SS_AUTODISARM was given.
    pub auto_disarm: bool,
}

impl AlternateStack {
    /// Whether a stack pointer lies on it.
    pub fn contains(&self, stack_pointer: u64) -> bool {
        self.size != 0 && stack_pointer.wrapping_sub(self.base).wrapping_sub(1) < self.size
    }
}

/// What is a thread's own: mask, pending signals, alternate stack.
#[derive(Default)]
pub struct ThreadSignals {
    mask: AtomicU64,
    /// Signals for this thread.
    pub pending: Mutex<Pending>,
    /// Where handlers with SA_ONSTACK run.
    pub alternate_stack: Mutex<AlternateStack>,
    /// The mask to come back to after sigsuspend, ppoll and the like.
    pub saved_mask: Mutex<Option<u64>>,
    /// Signals that sigtimedwait waits for although they are blocked.
    pub waited: AtomicU64,
}

impl ThreadSignals {
    /// Blocked signals.
    #[inline]
    pub fn mask(&self) -> u64 {
        self.mask.load(SeqCst)
    }

    /// Sets the blocked signals (never KILL and STOP); returns the old set. Recompute attention afterwards.
    pub fn set_mask(&self, mask: u64) -> u64 {
        self.mask.swap(mask & !UNBLOCKABLE, SeqCst)
    }

    /// For a new thread: the mask is inherited, nothing is pending, no alternate stack.
    pub fn duplicate(&self) -> ThreadSignals {
        ThreadSignals { mask: AtomicU64::new(self.mask()), ..Default::default() }
    }
}

/// Whether a signal waits that the thread must look at.
pub fn is_due(process: &ProcessSignals, thread: &ThreadSignals) -> bool {
    let open = !thread.mask() | thread.waited.load(SeqCst);
    thread.pending.lock().set() & open != 0 || process.pending.lock().set() & open != 0
}
