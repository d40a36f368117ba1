//! The library OS: serves the program's Linux system calls inside the enclave.
//!
//! Its heart is one loop (`process::run`): resume the program, match the trap, handle it, deliver signals, resume again.
//! Everything below it that needs `unsafe` is in `casemate-platform`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod boot;
pub mod errno;
pub mod events;
#[cfg(feature = "faults")]
mod faults;
pub mod file;
pub mod fs;
pub mod io;
pub mod ipc;
pub mod mm;
pub mod net;
pub mod process;
pub mod room;
pub mod signal;
pub mod stat;
pub mod syscall;
pub mod time;
pub mod tty;
pub mod user_space;

use alloc::sync::Arc;

use casemate_platform::console::{self, Level};
use casemate_platform::host;
use casemate_platform::start::HostFacts;
use casemate_platform::thread::ThreadHandle;

/// Exit status when the run is refused before the program starts, as container engines use it.
const REFUSED: u8 = 125;

/// Entry from the platform layer, on the first thread.
pub fn start(facts: HostFacts, thread: Arc<ThreadHandle>) {
    let vouched = match boot::vouch(&facts) {
        Ok(vouched) => vouched,
        Err(reason) => refuse(&reason),
    };
    room::divide();
    boot::settle(&facts, &vouched.manifest);
    if let Err(reason) = boot::check_arguments(&facts, &vouched.manifest) {
        refuse(reason);
    }
    boot::run_first(&facts, vouched, thread)
}

pub(crate) fn refuse(reason: &str) -> ! {
    console::set_level(Level::Error as u8);
    casemate_platform::log!(Level::Error, "{reason}");
    host::exit(REFUSED, 0)
}
