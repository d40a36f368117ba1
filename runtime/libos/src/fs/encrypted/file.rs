//! [`EncryptedFile`]: an open file of an encrypted mount.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::any::Any;

use casemate_platform::console::Level;
use casemate_platform::log;
use casemate_platform::sync::Mutex;
use linux_raw_sys::ioctl::FIONREAD;

use super::inode;
use super::sealed::Sealed;
use crate::errno::{Errno, Result};
use crate::file::{File, Mappable, OpenFlags, StatusFlags, Whence};
use crate::fs::Location;
use crate::fs::notify::{Opened, StillOpen};
use crate::fs::turn::Turn;
use crate::io::{Sink, Source};
use crate::process::Process;
use crate::stat::Stat;
use crate::user_space::{self, Addr};

/// Bytes that are copied at a time.
const PART: usize = 64 << 10;

/// An open description.
pub(super) struct EncryptedFile {
    at: Opened,
    sealed: Arc<Sealed>,
    device: u64,
    status: StatusFlags,
    position: Mutex<u64>,
    turn: Turn,
}

impl EncryptedFile {
    pub(super) fn open(at: Location, sealed: Arc<Sealed>, device: u64, flags: OpenFlags) -> Arc<dyn File> {
        let (at, status) = (Opened::now(at, flags), StatusFlags::new(flags));
        Arc::new(EncryptedFile { at, sealed, device, status, position: Mutex::new(0), turn: Turn::new() })
    }

    fn read_from(&self, sink: &mut Sink, mut offset: u64) -> Result<usize> {
        let mut part = vec![0; sink.remaining().min(PART)];
        let outcome = loop {
            let wanted = sink.remaining().min(PART);
            if wanted == 0 {
                break Ok(());
            }
            match self.sealed.read(offset, &mut part[..wanted]).and_then(|count| sink.put(&part[..count])) {
                Ok(count) if count == wanted => offset += count as u64,
                Ok(_) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        sink.result(outcome)
    }

    /// Writes at `offset`, or at the end; how much, and where that ended.
    fn write_to(&self, source: &mut Source, offset: Option<u64>) -> Result<(usize, u64)> {
        let mut part = vec![0; source.remaining().min(PART)];
        let (mut done, mut end) = (0, offset.unwrap_or(0));
        while source.remaining() > 0 {
            let wanted = source.remaining().min(PART);
            let written = source.take(&mut part[..wanted]).and_then(|taken| {
                let at = offset.map(|offset| offset + done as u64);
                Ok((taken, self.sealed.write(at, &part[..taken])?))
            });
            match written {
                Ok((0, _)) => break,
                Ok((taken, at)) => (done, end) = (done + taken, at + taken as u64),
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        if done > 0 && self.status.get().intersects(OpenFlags::DSYNC | OpenFlags::SYNC_BIT) {
            self.sealed.sync(false)?;
        }
        Ok((done, end))
    }

    fn appends(&self) -> bool {
        self.status.get().contains(OpenFlags::APPEND)
    }
}

impl File for EncryptedFile {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        inode::stat(&self.sealed, self.device)
    }

    fn path_text(&self) -> Vec<u8> {
        self.at.place().path_text()
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
        let offset = if self.appends() { None } else { Some(*self.position.lock()) };
        let (count, end) = self.write_to(source, offset)?;
        if count > 0 {
            *self.position.lock() = end;
        }
        Ok(count)
    }

    fn read_at(&self, sink: &mut Sink, offset: u64) -> Result<usize> {
        self.read_from(sink, offset)
    }

    fn write_at(&self, source: &mut Source, offset: u64) -> Result<usize> {
        // Linux appends even here when O_APPEND is set (pwrite(2), BUGS).
        let offset = if self.appends() { None } else { Some(offset) };
        self.write_to(source, offset).map(|(count, _)| count)
    }

    fn seek(&self, offset: i64, whence: Whence) -> Result<u64> {
        let _turn = self.turn.take()?;
        let size = self.sealed.size()?;
        let mut position = self.position.lock();
        let base = match whence {
            Whence::Start => 0,
            Whence::Current => *position,
            Whence::End => size,
            // No holes: data everywhere up to the end, and then a hole.
            Whence::Data | Whence::Hole => {
                let from = u64::try_from(offset).ok().filter(|&from| from < size).ok_or(Errno::ENXIO)?;
                *position = if matches!(whence, Whence::Data) { from } else { size };
                return Ok(*position);
            }
        };
        let target = base.checked_add_signed(offset).filter(|&target| target <= i64::MAX as u64);
        *position = target.ok_or(Errno::EINVAL)?;
        Ok(*position)
    }

    fn ioctl(&self, request: u32, argument: u64) -> Result<usize> {
        if request != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let left = self.sealed.size()? as i64 - *self.position.lock() as i64;
        user_space::write_u32(Addr(argument), left as i32 as u32)?;
        Ok(0)
    }

    fn can_epoll(&self) -> bool {
        false
    }

    fn truncate(&self, size: u64) -> Result<()> {
        self.sealed.set_size(size)
    }

    fn allocate(&self, mode: u32, offset: u64, length: u64) -> Result<()> {
        if mode != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        self.sealed.grow(offset.checked_add(length).ok_or(Errno::EFBIG)?)
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        self.sealed.sync(data_only)
    }

    fn location(&self) -> Option<&Location> {
        Some(self.at.place())
    }

    fn mapping(&self, _shared: bool) -> Result<Arc<dyn Mappable>> {
        let identity = (self.device, self.sealed.host_stat()?.ino);
        let (path, open) = (self.path_text(), self.at.keep());
        Ok(Arc::new(EncryptedMapping { sealed: self.sealed.clone(), identity, path, _open: open }))
    }

    fn closing(&self, process: &Process) {
        if let Some(locks) = self.at.place().inode().locks() {
            locks.release_process(process.pid);
        }
        flush(&self.sealed);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for EncryptedFile {
    fn drop(&mut self) {
        flush(&self.sealed);
        if let Some(locks) = self.at.place().inode().locks() {
            locks.release_description(core::ptr::from_ref(self) as usize);
        }
    }
}

/// An encrypted file as memory maps it: pages are copies of what it was when they were first touched.
struct EncryptedMapping {
    sealed: Arc<Sealed>,
    identity: (u64, u64),
    path: Vec<u8>,
    _open: Arc<StillOpen>,
}

impl Drop for EncryptedMapping {
    fn drop(&mut self) {
        flush(&self.sealed);
    }
}

/// Writes what is left. What fails stays to be written, as long as somebody has the file.
fn flush(sealed: &Sealed) {
    if let Err(error) = sealed.flush() {
        log!(Level::Warning, "an encrypted file could not be written: {}", error.name());
    }
}

impl Mappable for EncryptedMapping {
    fn size(&self) -> u64 {
        self.sealed.size().unwrap_or(0)
    }

    fn read_pages(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let count = self.sealed.read(offset, buffer)?;
        buffer[count..].fill(0);
        Ok(())
    }

    fn write_pages(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.sealed.write_within(offset, bytes)
    }

    fn identity(&self) -> (u64, u64) {
        self.identity
    }

    fn path_text(&self) -> Vec<u8> {
        self.path.clone()
    }
}
