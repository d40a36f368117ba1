//! [`Context`]: who is calling.

use alloc::sync::Arc;
use core::cell::RefCell;

use casemate_platform::context::UserContext;

use super::{Process, Thread};
use crate::fs::recent::Recent;

/// The calling thread with its registers, given to every call handler.
pub struct Context<'a> {
    /// The thread.
    pub thread: &'a Arc<Thread>,
    /// Its registers. Most handlers leave them alone; sigreturn, execve and clone edit or copy them.
    pub registers: &'a RefCell<UserContext>,
    /// Where its paths led last.
    pub recent: &'a RefCell<Recent>,
}

impl Context<'_> {
    /// The thread's process.
    pub fn process(&self) -> &Arc<Process> {
        self.thread.process()
    }
}
