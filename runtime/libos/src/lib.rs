//! The library OS: serves the program's Linux system calls inside the enclave.
//!
//! Its heart is one loop (`process::run`): resume the program, match the trap, handle it, deliver signals, resume again.
//! Everything below it that needs `unsafe` is in `casemate-platform`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod errno;
pub mod events;
pub mod file;
pub mod fs;
pub mod io;
pub mod ipc;
pub mod mm;
pub mod net;
pub mod process;
pub mod signal;
pub mod stat;
pub mod syscall;
pub mod time;
pub mod user_space;

use alloc::sync::Arc;

use casemate_platform::start::HostFacts;
use casemate_platform::thread::ThreadHandle;

/// Entry from the platform layer, on the first thread.
pub fn start(_facts: HostFacts, _thread: Arc<ThreadHandle>) {}
