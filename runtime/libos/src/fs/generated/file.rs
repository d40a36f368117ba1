//! [`TextFile`]: an open file whose text is made when it is read from the start.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::any::Any;

use casemate_platform::sync::Mutex;

use super::Text;
use crate::errno::{Errno, Result};
use crate::file::{File, OpenFlags, StatusFlags, Whence};
use crate::fs::Location;
use crate::fs::turn::Turn;
use crate::io::{Sink, Source};
use crate::stat::Stat;

/// Most bytes taken in one write.
const WRITE_LIMIT: usize = 4096;

/// An open generated file.
pub(super) struct TextFile {
    at: Location,
    text: Arc<dyn Text>,
    status: StatusFlags,
    /// What the last read from the start saw; later parts come from the same text.
    seen: Mutex<Option<Arc<[u8]>>>,
    position: Mutex<u64>,
    turn: Turn,
}

impl TextFile {
    pub(super) fn open(at: Location, text: Arc<dyn Text>, flags: OpenFlags) -> Arc<dyn File> {
        let status = StatusFlags::new(flags);
        Arc::new(TextFile {
            at,
            text,
            status,
            seen: Mutex::new(None),
            position: Mutex::new(0),
            turn: Turn::new(),
        })
    }

    fn contents(&self, offset: u64) -> Result<Arc<[u8]>> {
        if offset > 0
            && let Some(seen) = self.seen.lock().clone()
        {
            return Ok(seen);
        }
        let fresh: Arc<[u8]> = self.text.text()?.into();
        *self.seen.lock() = Some(fresh.clone());
        Ok(fresh)
    }

    fn read_from(&self, sink: &mut Sink, offset: u64) -> Result<usize> {
        let contents = self.contents(offset)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(contents.len());
        sink.put(&contents[start..])
    }

    fn take(&self, source: &mut Source) -> Result<usize> {
        let mut bytes = vec![0; source.remaining().min(WRITE_LIMIT)];
        let taken = source.take(&mut bytes)?;
        self.text.write(&bytes[..taken])?;
        Ok(taken)
    }
}

impl File for TextFile {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        self.at.stat()
    }

    fn path_text(&self) -> Vec<u8> {
        self.at.path_text()
    }

    fn read(&self, sink: &mut Sink) -> Result<usize> {
        let _turn = self.turn.take()?;
        let offset = *self.position.lock();
        let count = self.read_from(sink, offset)?;
        *self.position.lock() = offset + count as u64;
        Ok(count)
    }

    fn write(&self, source: &mut Source) -> Result<usize> {
        let _turn = self.turn.take()?;
        let count = self.take(source)?;
        *self.position.lock() += count as u64;
        Ok(count)
    }

    fn read_at(&self, sink: &mut Sink, offset: u64) -> Result<usize> {
        self.read_from(sink, offset)
    }

    fn write_at(&self, source: &mut Source, _offset: u64) -> Result<usize> {
        self.take(source)
    }

    fn seek(&self, offset: i64, whence: Whence) -> Result<u64> {
        let _turn = self.turn.take()?;
        let mut position = self.position.lock();
        let base = match whence {
            Whence::Start => 0,
            Whence::Current => *position,
            // Such a file has no size.
            _ => return Err(Errno::EINVAL),
        };
        let target = base.checked_add_signed(offset).filter(|&target| target <= i64::MAX as u64);
        *position = target.ok_or(Errno::EINVAL)?;
        Ok(*position)
    }

    fn can_epoll(&self) -> bool {
        false
    }

    fn location(&self) -> Option<&Location> {
        Some(&self.at)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
