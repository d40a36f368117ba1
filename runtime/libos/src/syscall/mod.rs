//! System calls: the table, and one file a call family.

mod argument;
mod attributes;
mod capability;
mod descriptor;
mod directory;
mod epoll;
mod eventfd;
mod exec;
pub mod identity;
mod inotify;
mod limits;
mod link;
mod lock;
mod membarrier;
mod memfd;
mod memory;
mod message;
mod open;
mod packed;
mod path;
mod pidfd;
mod pipe;
mod poll;
mod positioned;
mod prctl;
mod process;
mod process_memory;
mod read_write;
pub mod scheduling;
pub mod signal;
mod socket;
mod splice;
mod stat;
mod statfs;
pub mod system;
#[macro_use]
mod table;
mod thread;
mod time;
mod timer;
mod trace;
mod transfer;
mod xattr;

pub use argument::{Argument, PathAddr};
pub use table::{ALL, State, dispatch, name, show};
pub use trace::enable as enable_trace;

use core::sync::atomic::{AtomicU64, Ordering::*};

use casemate_platform::console::Level;
use casemate_platform::log;

use crate::errno::{Errno, Result};
use crate::process::Context;

/// Calls without a handler that were reported, one bit each.
static REPORTED: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];

/// Serves the system call in the thread's registers; the result is not yet in rax.
#[inline]
pub fn serve(context: &Context) -> Result<usize> {
    let number = context.registers.borrow().regs.rax;
    #[cfg(feature = "faults")]
    crate::faults::provoke(number);
    if trace::is_enabled() {
        return trace::traced(context, number);
    }
    let result = dispatch(context, number).unpack();
    if result == Err(Errno::ENOSYS) {
        report_missing(number);
    }
    result
}

/// Set by a handler that has set all registers itself (sigreturn, execve): rax is not to be touched.
pub const REGISTERS_SET: usize = usize::MAX;

/// The value for rax; `None` when the handler has set the registers.
#[inline]
pub fn to_register(result: Result<usize>) -> Option<u64> {
    match result {
        Ok(REGISTERS_SET) => None,
        Ok(value) => Some(value as u64),
        Err(error) => Some((-(error.0 as i64)) as u64),
    }
}

fn report_missing(number: u64) {
    let (word, bit) = ((number / 64) as usize % 8, 1 << (number % 64));
    if name(number).is_none() && REPORTED[word].fetch_or(bit, Relaxed) & bit == 0 {
        log!(Level::Warning, "system call {number} is not implemented; the program got ENOSYS");
    }
}
