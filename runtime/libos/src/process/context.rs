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
    /// Argument `index` (0 to 5) of the system call under way. Read one by one: two at once, which the entry code has just
    /// stored one by one, would have to wait for the stores.
    #[inline(always)]
    pub fn argument(&self, index: usize) -> u64 {
        let regs = &self.registers.borrow().regs;
        match index {
            0 => regs.rdi,
            1 => regs.rsi,
            2 => regs.rdx,
            3 => regs.r10,
            4 => regs.r8,
            _ => regs.r9,
        }
    }

    /// The thread's process.
    pub fn process(&self) -> &Arc<Process> {
        self.thread.process()
    }
}
