//! [`HostFile`]: an open regular file of the host. Contents, size and position are the host's.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use casemate_platform::host::{self, HostFd};
use casemate_platform::thread;
use linux_raw_sys::general::{SEEK_CUR, SEEK_END, SEEK_SET};
use linux_raw_sys::ioctl::FIONREAD;

use super::inode::admit;
use crate::errno::{Errno, Result};
use crate::file::{File, Mappable, OpenFlags, StatusFlags, Whence};
use crate::fs::Location;
use crate::fs::notify::{Opened, StillOpen};
use crate::fs::turn::Turn;
use crate::io::{Sink, Source};
use crate::process::Process;
use crate::stat::Stat;
use crate::user_space::{self, Addr};

/// An open file of a host directory.
pub(super) struct HostFile {
    at: Opened,
    fd: Arc<HostFd>,
    device: u64,
    status: StatusFlags,
    /// The host appends by itself, so that two writers never overwrite each other; clearing O_APPEND does not end that.
    appends: bool,
    turn: Turn,
}

impl HostFile {
    pub(super) fn open(at: Location, fd: HostFd, device: u64, flags: OpenFlags) -> Arc<dyn File> {
        let appends = flags.contains(OpenFlags::APPEND);
        let (at, status) = (Opened::now(at, flags), StatusFlags::new(flags));
        Arc::new(HostFile { at, fd: Arc::new(fd), device, status, appends, turn: Turn::new() })
    }
}

/// Makes a transfer, which signals do not end: it waits for nobody. A wake-up from before must not end it either.
fn transfer<T, E: Into<Errno>>(mut call: impl FnMut() -> Result<T, E>) -> Result<T> {
    loop {
        thread::clear_wake();
        match call().map_err(Into::into) {
            Err(Errno::ERESTARTSYS) => {}
            outcome => return outcome,
        }
    }
}

impl File for HostFile {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        admit(&host::fd_stat(&self.fd)?, self.device)
    }

    fn path_text(&self) -> Vec<u8> {
        self.at.place().path_text()
    }

    fn read(&self, sink: &mut Sink) -> Result<usize> {
        let _turn = self.turn.take()?;
        let length = sink.remaining().min(host::TRANSFER_LIMIT);
        sink.prepare(length)?;
        let received = transfer(|| host::fd_read(&self.fd, length))?;
        sink.put_received(&received)
    }

    fn write(&self, source: &mut Source) -> Result<usize> {
        let _turn = self.turn.take()?;
        if source.remaining() == 0 {
            return Ok(0);
        }
        if !self.appends && self.status.get().contains(OpenFlags::APPEND) {
            host::fd_seek(&self.fd, 0, SEEK_END)?;
        }
        source.send(host::TRANSFER_LIMIT, |bytes| transfer(|| host::fd_write(&self.fd, bytes)))
    }

    fn read_at(&self, sink: &mut Sink, offset: u64) -> Result<usize> {
        let length = sink.remaining().min(host::TRANSFER_LIMIT);
        sink.prepare(length)?;
        let received = host::fd_read_at(&self.fd, length, offset)?;
        sink.put_received(&received)
    }

    fn write_at(&self, source: &mut Source, offset: u64) -> Result<usize> {
        if source.remaining() == 0 {
            return Ok(0);
        }
        // Linux appends even here when O_APPEND is set (pwrite(2), BUGS).
        let append = self.status.get().contains(OpenFlags::APPEND);
        let offset = if append { host::fd_stat(&self.fd)?.size } else { offset };
        source.send(host::TRANSFER_LIMIT, |bytes| Ok(host::fd_write_at(&self.fd, bytes, offset)?))
    }

    fn seek(&self, offset: i64, whence: Whence) -> Result<u64> {
        let _turn = self.turn.take()?;
        let whence = match whence {
            Whence::Start => SEEK_SET,
            Whence::Current => SEEK_CUR,
            Whence::End => SEEK_END,
            Whence::Data | Whence::Hole => return Err(Errno::EINVAL),
        };
        Ok(host::fd_seek(&self.fd, offset, whence)?)
    }

    fn ioctl(&self, request: u32, argument: u64) -> Result<usize> {
        if request != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let _turn = self.turn.take()?;
        let position = host::fd_seek(&self.fd, 0, SEEK_CUR)?;
        let left = host::fd_stat(&self.fd)?.size as i64 - position as i64;
        user_space::write_u32(Addr(argument), left as i32 as u32)?;
        Ok(0)
    }

    fn can_epoll(&self) -> bool {
        false
    }

    fn truncate(&self, size: u64) -> Result<()> {
        Ok(host::fd_truncate(&self.fd, size)?)
    }

    fn allocate(&self, _mode: u32, _offset: u64, _length: u64) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        Ok(host::fd_sync(&self.fd, data_only)?)
    }

    fn location(&self) -> Option<&Location> {
        Some(self.at.place())
    }

    fn mapping(&self, _shared: bool) -> Result<Arc<dyn Mappable>> {
        let identity = (self.device, host::fd_stat(&self.fd)?.ino);
        let (fd, path, open) = (self.fd.clone(), self.path_text(), self.at.keep());
        Ok(Arc::new(HostMapping { fd, identity, path, _open: open }))
    }

    fn closing(&self, process: &Process) {
        if let Some(locks) = self.at.place().inode().locks() {
            locks.release_process(process.pid);
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for HostFile {
    fn drop(&mut self) {
        if let Some(locks) = self.at.place().inode().locks() {
            locks.release_description(core::ptr::from_ref(self) as usize);
        }
    }
}

/// A host file as memory maps it: pages are copies of what the host had when they were first touched.
struct HostMapping {
    fd: Arc<HostFd>,
    identity: (u64, u64),
    path: Vec<u8>,
    _open: Arc<StillOpen>,
}

impl Mappable for HostMapping {
    fn size(&self) -> u64 {
        host::fd_stat(&self.fd).map_or(0, |stat| stat.size)
    }

    fn read_pages(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            let received = host::fd_read_at(&self.fd, buffer.len() - done, offset + done as u64)?;
            if received.is_empty() {
                break;
            }
            received.copy_to(0, &mut buffer[done..done + received.len()])?;
            done += received.len();
        }
        buffer[done..].fill(0);
        Ok(())
    }

    fn write_pages(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let room = self.size().saturating_sub(offset);
        let bytes = &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        let mut done = 0;
        while done < bytes.len() {
            let left = host::Bytes::Kernel(&bytes[done..]);
            match host::fd_write_at(&self.fd, left, offset + done as u64)? {
                0 => return Err(Errno::EIO),
                count => done += count,
            }
        }
        Ok(())
    }

    fn identity(&self) -> (u64, u64) {
        self.identity
    }

    fn path_text(&self) -> Vec<u8> {
        self.path.clone()
    }
}
