//! pidfds: descriptors of processes. Readable once the process ended.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::Ordering::*;

use super::anonymous_stat;
use crate::errno::{Errno, Result};
use crate::events::{Events, Pollee, Poller};
use crate::file::{File, OpenFlags, StatusFlags};
use crate::process::Process;
use crate::stat::{FileType, Stat};

/// A descriptor of a process; it does not keep it.
pub struct PidFile {
    /// The process's id.
    pub pid: u32,
    process: Weak<Process>,
    end: Arc<Pollee>,
    status: StatusFlags,
    stat: Stat,
}

impl PidFile {
    /// For this process.
    pub fn new(process: &Arc<Process>, nonblocking: bool) -> Arc<PidFile> {
        let mut flags = OpenFlags::READ_WRITE;
        flags.set(OpenFlags::NONBLOCK, nonblocking);
        Arc::new(PidFile {
            pid: process.pid,
            process: Arc::downgrade(process),
            end: process.end_events.clone(),
            status: StatusFlags::new(flags),
            stat: anonymous_stat(FileType::Regular, 0o700),
        })
    }

    /// The process; `ESRCH` once its parent has waited for it.
    pub fn process(&self) -> Result<Arc<Process>> {
        let found = self.process.upgrade().filter(|process| !process.reaped.load(SeqCst));
        found.ok_or(Errno::ESRCH)
    }
}

impl File for PidFile {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        Ok(self.stat)
    }

    fn path_text(&self) -> Vec<u8> {
        b"anon_inode:[pidfd]".to_vec()
    }

    fn poll(&self, poller: Option<&mut Poller>) -> Events {
        if let Some(poller) = poller {
            poller.observe(&self.end, Events::READABLE);
        }
        match self.process() {
            Ok(process) if !process.ended.load(SeqCst) => Events::empty(),
            Ok(_) => Events::IN | Events::READ_NORMAL,
            Err(_) => Events::IN | Events::READ_NORMAL | Events::HANG_UP,
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
