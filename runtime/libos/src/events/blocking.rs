//! Host calls that may sleep.

use casemate_platform::thread;

use crate::errno::{Errno, Result};
use crate::events::asleep;
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
