//! Sleeping until something is true, a time has come, or a signal wants to be delivered.

use alloc::sync::Arc;
use core::convert::Infallible;

use casemate_platform::clock;
use casemate_platform::thread::{self, ThreadHandle, Wake};

use super::{Events, Observer, Pollee};
use crate::errno::{Errno, Result};
use crate::process::{Thread, current_thread, with_current_thread};

/// Sleeps shorter than this must not be lengthened by looking for a wake-up, in ns.
const SHORT_NS: u64 = 1_000_000;

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
    thread.barrier.sleep();
    let inside = thread.leave_stage();
    let outcome = sleep();
    if inside {
        thread.enter_stage();
    }
    thread.barrier.wake();
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
pub fn sleep_until<T>(deadline: Deadline, condition: impl FnMut() -> Option<T>) -> Result<T> {
    sleep_by(sleep_until_woken, deadline, condition)
}

/// Sleeps until a signal waits (`ERESTARTSYS`) or `ETIMEDOUT`: no other thread has a part in it.
pub fn sleep_until_signal(deadline: Deadline) -> Errno {
    let sleep = |thread: &Thread, deadline: Deadline| asleep(thread, || thread::park(deadline.left()));
    match sleep_by(sleep, deadline, || None::<Infallible>) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn sleep_by<T>(
    sleep: impl Fn(&Thread, Deadline) -> Wake,
    deadline: Deadline,
    mut condition: impl FnMut() -> Option<T>,
) -> Result<T> {
    let current = current_thread();
    loop {
        thread::clear_wake();
        if let Some(value) = condition() {
            return Ok(value);
        }
        if current.has_signal() {
            return Err(Errno::ERESTARTSYS);
        }
        if deadline.left() == Some(0) {
            return Err(Errno::ETIMEDOUT);
        }
        if sleep(&current, deadline) == Wake::TimedOut && deadline.left() == Some(0) {
            return condition().ok_or(Errno::ETIMEDOUT);
        }
    }
}

/// One sleep until a wake-up since [`thread::clear_wake`], or the deadline. A thread that was often woken soon stays inside for a
/// while ([`thread::look_for_wake`]), unless it would be late for the deadline.
pub fn sleep_until_woken(thread: &Thread, deadline: Deadline) -> Wake {
    asleep(thread, || {
        let may_look = deadline.left().is_none_or(|ns| ns >= SHORT_NS);
        if may_look && thread::look_for_wake() { Wake::Woken } else { thread::park(deadline.left()) }
    })
}
