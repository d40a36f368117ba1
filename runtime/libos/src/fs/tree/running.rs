//! [`RunningText`] and [`Writer`]: files are either run or written to (ETXTBSY).

use alloc::sync::Arc;
use core::sync::atomic::Ordering::*;

use super::inode::TreeInode;
use crate::errno::{Errno, Result};

/// Keeps a file from being opened for writing while it runs.
pub struct RunningText(Arc<TreeInode>);

impl Clone for RunningText {
    fn clone(&self) -> RunningText {
        self.0.running.fetch_add(1, SeqCst);
        RunningText(self.0.clone())
    }
}

impl core::fmt::Debug for RunningText {
    fn fmt(&self, to: &mut core::fmt::Formatter) -> core::fmt::Result {
        write!(to, "RunningText({})", self.0.number())
    }
}

impl Drop for RunningText {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

/// An open description that may write.
pub(super) struct Writer(Arc<TreeInode>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.writers.fetch_sub(1, SeqCst);
    }
}

impl TreeInode {
    /// It is opened for writing; `ETXTBSY` while a process runs it.
    pub(super) fn write(self: &Arc<Self>) -> Result<Writer> {
        // Counted before: either this or the program's start sees the other.
        self.writers.fetch_add(1, SeqCst);
        let writer = Writer(self.clone());
        if self.running.load(SeqCst) != 0 { Err(Errno::ETXTBSY) } else { Ok(writer) }
    }

    /// A process is going to run it; `ETXTBSY` while somebody may write to it.
    pub fn run(self: &Arc<Self>) -> Result<RunningText> {
        self.running.fetch_add(1, SeqCst);
        let running = RunningText(self.clone());
        if self.writers.load(SeqCst) != 0 { Err(Errno::ETXTBSY) } else { Ok(running) }
    }
}
