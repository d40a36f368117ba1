//! Processes and threads: the objects everything else hangs off, and the loop that runs a thread.

mod barrier;
pub mod capabilities;
mod clone;
mod context;
mod credentials;
pub mod elf;
pub mod exec;
pub mod exit;
mod file_table;
pub mod limits;
mod load;
mod process_table;
mod run;
pub mod script;
pub mod stack;
mod stage;
mod thread;
mod wait;

pub use barrier::wait_for_barriers;
pub use capabilities::{Capabilities, Capability};
pub use clone::{CloneArguments, CloneFlags, clone};
pub use context::Context;
pub use credentials::Credentials;
pub use file_table::{Fd, FileTable};
pub use limits::{Limits, Resource};
pub use load::LoadedProgram;
pub use process_table::{
    ExitState, Gate, Process, ProcessParts, ProgramImage, all_processes, find_process, new_id,
};
pub use run::run;
pub use script::{ScriptInterpreter, script_interpreter};
pub use thread::{Thread, current_thread, set_current_thread, with_current_thread};
pub use wait::{WaitOptions, Waited, Which, wait_for_child};

use alloc::sync::Arc;

use crate::mm::AddressSpace;

/// The calling thread's process.
pub fn current_process() -> Arc<Process> {
    with_current_thread(|thread| thread.process().clone())
}

/// The calling thread's address space.
pub fn current_address_space() -> Arc<AddressSpace> {
    with_current_thread(|thread| thread.process().address_space())
}

/// Process id of the program that the manifest names; its end is the end of the run.
pub const FIRST_PROCESS: u32 = 1;
