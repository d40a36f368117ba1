//! eventfd(2): a counter that can be waited for.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use casemate_platform::sync::Mutex;

use super::anonymous_stat;
use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events, Pollee, Poller, wait_until};
use crate::file::{File, OpenFlags, StatusFlags, Whence};
use crate::io::{Sink, Source};
use crate::stat::{FileType, Stat};

/// Highest value that the counter can hold.
const LIMIT: u64 = u64::MAX - 1;

/// An event counter.
pub struct EventFile {
    count: Mutex<u64>,
    /// A read takes one instead of everything.
    semaphore: bool,
    pollee: Pollee,
    status: StatusFlags,
    stat: Stat,
}

impl EventFile {
    /// A counter that starts at `count`.
    pub fn new(count: u64, semaphore: bool, nonblocking: bool) -> Arc<EventFile> {
        let mut flags = OpenFlags::READ_WRITE;
        flags.set(OpenFlags::NONBLOCK, nonblocking);
        Arc::new(EventFile {
            count: Mutex::new(count),
            semaphore,
            pollee: Pollee::new(),
            status: StatusFlags::new(flags),
            stat: anonymous_stat(FileType::Anonymous, 0o600),
        })
    }

    fn take(&self) -> Option<u64> {
        let mut count = self.count.lock();
        let taken = if self.semaphore { (*count).min(1) } else { *count };
        *count -= taken;
        (taken > 0).then_some(taken)
    }

    fn add(&self, value: u64) -> Option<()> {
        let mut count = self.count.lock();
        *count = count.checked_add(value).filter(|&sum| sum <= LIMIT)?;
        Some(())
    }

    /// Does it now, or waits until it can be done.
    fn attempt<T>(&self, events: Events, mut step: impl FnMut() -> Option<T>) -> Result<T> {
        match step() {
            Some(value) => Ok(value),
            None if self.status.nonblocking() => Err(Errno::EAGAIN),
            None => wait_until(&self.pollee, events, Deadline::NEVER, step),
        }
    }
}

impl File for EventFile {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        Ok(self.stat)
    }

    fn path_text(&self) -> Vec<u8> {
        b"anon_inode:[eventfd]".to_vec()
    }

    fn read(&self, sink: &mut Sink) -> Result<usize> {
        if sink.remaining() < 8 {
            return Err(Errno::EINVAL);
        }
        let taken = self.attempt(Events::IN, || self.take())?;
        self.pollee.notify(Events::WRITABLE);
        sink.put(&taken.to_le_bytes())
    }

    fn write(&self, source: &mut Source) -> Result<usize> {
        let mut value = [0; 8];
        if source.remaining() != 8 {
            return Err(Errno::EINVAL);
        }
        if source.take(&mut value)? < 8 {
            return Err(Errno::EFAULT);
        }
        let value = u64::from_le_bytes(value);
        if value > LIMIT {
            return Err(Errno::EINVAL);
        }
        self.attempt(Events::OUT, || self.add(value))?;
        self.pollee.notify(Events::READABLE);
        Ok(8)
    }

    fn seek(&self, _offset: i64, _whence: Whence) -> Result<u64> {
        // There is no position, but asking for one is no error.
        Ok(0)
    }

    fn poll(&self, poller: Option<&mut Poller>) -> Events {
        if let Some(poller) = poller {
            poller.observe(&self.pollee, Events::READABLE | Events::WRITABLE);
        }
        let count = *self.count.lock();
        let mut ready = Events::empty();
        if count > 0 {
            ready |= Events::IN;
        }
        if count < LIMIT {
            ready |= Events::OUT;
        }
        ready
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &EventFile) -> Result<u64> {
        let mut value = [0; 8];
        file.read(&mut Sink::kernel(&mut value)).map(|_| u64::from_le_bytes(value))
    }

    fn write(file: &EventFile, value: u64) -> Result<usize> {
        file.write(&mut Source::kernel(&value.to_le_bytes()))
    }

    #[test]
    fn a_counter_adds_up_and_is_taken_whole() {
        let file = EventFile::new(2, false, true);
        assert_eq!(write(&file, 40), Ok(8));
        assert_eq!(read(&file), Ok(42));
        assert_eq!(read(&file), Err(Errno::EAGAIN));
        assert_eq!(write(&file, u64::MAX), Err(Errno::EINVAL));
        assert_eq!(write(&file, LIMIT), Ok(8));
        assert_eq!(write(&file, 1), Err(Errno::EAGAIN));
        assert_eq!(file.poll(None), Events::IN);
    }

    #[test]
    fn a_semaphore_is_taken_one_by_one() {
        let file = EventFile::new(2, true, true);
        assert_eq!((read(&file), read(&file), read(&file)), (Ok(1), Ok(1), Err(Errno::EAGAIN)));
    }
}
