//! timerfd.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering::*};

use super::{Clock, Setting, Timer};
use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events, Pollee, Poller, wait_until};
use crate::file::{File, OpenFlags, StatusFlags};
use crate::io::Sink;
use crate::stat::{FileType, Stat};

/// A timer as a file.
pub struct TimerFile {
    timer: Arc<Timer>,
    ticks: Arc<Ticks>,
    status: StatusFlags,
}

#[derive(Default)]
struct Ticks {
    count: AtomicU64,
    pollee: Pollee,
}

impl TimerFile {
    /// A timer that is not set; `flags` may hold O_NONBLOCK.
    pub fn open(clock: Clock, flags: OpenFlags) -> Arc<TimerFile> {
        let ticks = Arc::new(Ticks::default());
        let told: Weak<Ticks> = Arc::downgrade(&ticks);
        let timer = Timer::new(clock, move |count| {
            if let Some(ticks) = told.upgrade() {
                ticks.count.fetch_add(count, SeqCst);
                ticks.pollee.notify(Events::READABLE);
            }
        });
        Arc::new(TimerFile { timer, ticks, status: StatusFlags::new(flags | OpenFlags::READ_WRITE) })
    }

    /// timerfd_settime(2).
    pub fn set(&self, setting: Setting, absolute: bool) -> Result<Setting> {
        let old = self.timer.set(Setting::default(), false)?;
        self.ticks.count.store(0, SeqCst);
        self.timer.set(setting, absolute)?;
        Ok(old)
    }

    /// timerfd_gettime(2).
    pub fn get(&self) -> Setting {
        self.timer.look();
        self.timer.get()
    }

    fn take(&self) -> Option<u64> {
        self.timer.look();
        Some(self.ticks.count.swap(0, SeqCst)).filter(|&count| count != 0)
    }
}

impl File for TimerFile {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        // As anonymous inodes are shown: no type, one inode for all.
        Ok(Stat::anonymous(FileType::Regular, 0o600, 1))
    }

    fn path_text(&self) -> Vec<u8> {
        b"anon_inode:[timerfd]".to_vec()
    }

    fn read(&self, sink: &mut Sink) -> Result<usize> {
        if sink.remaining() < 8 {
            return Err(Errno::EINVAL);
        }
        let count = match self.take() {
            Some(count) => count,
            None if self.status.nonblocking() => return Err(Errno::EAGAIN),
            None => wait_until(&self.ticks.pollee, Events::READABLE, Deadline::NEVER, || self.take())?,
        };
        sink.put(&count.to_le_bytes())
    }

    fn poll(&self, poller: Option<&mut Poller>) -> Events {
        if let Some(poller) = poller {
            poller.observe(&self.ticks.pollee, Events::READABLE);
        }
        self.timer.look();
        if self.ticks.count.load(SeqCst) != 0 { Events::READABLE } else { Events::empty() }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
