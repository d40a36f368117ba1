//! Processes and threads: the objects everything else hangs off, and the loop that runs a thread.

mod context;
mod credentials;
mod file_table;
mod process_table;
mod thread;

pub use context::Context;
pub use credentials::Credentials;
pub use file_table::{Fd, FileTable};
pub use process_table::{ExitState, Process, ProcessParts, all_processes, find_process, new_id};
pub use thread::{Thread, current_thread, set_current_thread};

use alloc::sync::Arc;

use crate::mm::AddressSpace;

/// The calling thread's process.
pub fn current_process() -> Arc<Process> {
    current_thread().process().clone()
}

/// The calling thread's address space.
pub fn current_address_space() -> Arc<AddressSpace> {
    current_thread().process().address_space()
}
