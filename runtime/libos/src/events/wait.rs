//! Sleeping until something is true, a time has come, or a signal wants to be delivered.

use alloc::sync::Arc;

use casemate_platform::clock;
use casemate_platform::thread::{self, ThreadHandle, Wake};

use super::{Events, Observer, Pollee};
use crate::errno::{Errno, Result};
use crate::process::{Thread, current_thread, with_current_thread};

/// A point on the monotonic clock, in ns; `None` is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(pub Option<u64>);

impl Deadline {
    /// Never.
    pub const NEVER: Deadline = Deadline(None);

    /// `ns` from now.
    pub fn after(ns: u64) -> Deadline {
        Deadline(Some(clock::now().monotonic_ns.saturating_add(ns)))
    }

    /// Time left: `Some(0)` when it has passed, `None` for never.
    pub fn left(self) -> Option<u64> {
        self.0.map(|at| at.saturating_sub(clock::now().monotonic_ns))
    }
}

/// A thread as an observer: being notified wakes it.
pub struct Waiter(Arc<ThreadHandle>);

impl Waiter {
    /// The calling thread.
    pub fn current() -> Arc<Waiter> {
        Arc::new(Waiter(with_current_thread(|thread| thread.handle())))
    }
}

impl Observer for Waiter {
    fn notify(&self, _events: Events) {
        self.0.unpark();
    }
}

/// Runs what puts the thread to sleep, so that the time does not count as its processor time and another process may have its
/// addresses ([`crate::mm::Stage`]). `sleep` must not touch the program's memory.
pub fn asleep<T>(thread: &Thread, sleep: impl FnOnce() -> T) -> T {
    thread.cpu.sleep();
    let inside = thread.leave_stage();
    let outcome = sleep();
    if inside {
        thread.enter_stage();
    }
    thread.cpu.wake();
    outcome
}

/// Sleeps until `condition` gives a value. `pollee` must be notified with one of `events` after each change of what the
/// condition looks at. Errors: `ERESTARTSYS` when a signal waits, `ETIMEDOUT`.
pub fn wait_until<T>(
    pollee: &Pollee,
    events: Events,
    deadline: Deadline,
    mut condition: impl FnMut() -> Option<T>,
) -> Result<T> {
    if let Some(value) = condition() {
        return Ok(value);
    }
    let _registration = pollee.register(Waiter::current(), events);
    sleep_until(deadline, condition)
}

/// As [`wait_until`] for a thread that has registered itself wherever it needs to.
pub fn sleep_until<T>(deadline: Deadline, mut condition: impl FnMut() -> Option<T>) -> Result<T> {
    let current = current_thread();
    loop {
        thread::clear_wake();
        if let Some(value) = condition() {
            return Ok(value);
        }
        if current.has_signal() {
            return Err(Errno::ERESTARTSYS);
        }
        let left = deadline.left();
        if left == Some(0) {
            return Err(Errno::ETIMEDOUT);
        }
        if asleep(&current, || thread::park(left)) == Wake::TimedOut && deadline.left() == Some(0) {
            return condition().ok_or(Errno::ETIMEDOUT);
        }
    }
}
