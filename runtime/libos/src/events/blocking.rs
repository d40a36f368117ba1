//! Host calls that may sleep.

use casemate_platform::host::HostFd;
use casemate_platform::thread;

use crate::errno::{Errno, Result};
use crate::events::{Events, asleep, poll_host};
use crate::process::current_thread;

/// Makes a host call that may sleep; wake-ups that are no signals are waited through. `ERESTARTSYS` when a signal waits.
pub fn blocking<T, E: Into<Errno>>(mut call: impl FnMut() -> Result<T, E>) -> Result<T> {
    let current = current_thread();
    loop {
        thread::clear_wake();
        if current.has_signal() {
            return Err(Errno::ERESTARTSYS);
        }
        match asleep(&current, &mut call).map_err(Into::into) {
            Err(Errno::ERESTARTSYS) => {}
            outcome => return outcome,
        }
    }
}

/// As [`blocking`], for a call that waits for `events` of a host descriptor: a signal does not cut short what need not wait.
pub fn blocking_on<T, E: Into<Errno>>(
    fd: &HostFd,
    events: Events,
    mut call: impl FnMut() -> Result<T, E>,
) -> Result<T> {
    let current = current_thread();
    loop {
        thread::clear_wake();
        if current.has_signal() && !poll_host(fd, events).intersects(events | Events::ALWAYS) {
            return Err(Errno::ERESTARTSYS);
        }
        match asleep(&current, &mut call).map_err(Into::into) {
            Err(Errno::ERESTARTSYS) => {}
            outcome => return outcome,
        }
    }
}
