//! Open directories, and files opened with O_PATH.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use casemate_platform::sync::Mutex;

use super::node::Location;
use super::notify::Opened;
use super::turn::Turn;
use crate::errno::{Errno, Result};
use crate::file::{DirectorySink, File, OpenFlags, StatusFlags, Whence};
use crate::io::Sink;
use crate::process::Process;
use crate::stat::Stat;

/// An open directory.
pub struct DirectoryFile {
    at: Opened,
    status: StatusFlags,
    position: Mutex<u64>,
    turn: Turn,
}

impl DirectoryFile {
    /// Opens a directory.
    pub fn new(location: Location, flags: OpenFlags) -> Arc<DirectoryFile> {
        let status = StatusFlags::new(flags);
        let at = Opened::now(location, flags);
        Arc::new(DirectoryFile { at, status, position: Mutex::new(0), turn: Turn::new() })
    }
}

impl File for DirectoryFile {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        self.at.place().stat()
    }

    fn path_text(&self) -> Vec<u8> {
        self.at.place().path_text()
    }

    fn read(&self, _sink: &mut Sink) -> Result<usize> {
        Err(Errno::EISDIR)
    }

    fn read_at(&self, _sink: &mut Sink, _offset: u64) -> Result<usize> {
        Err(Errno::EISDIR)
    }

    fn seek(&self, offset: i64, whence: Whence) -> Result<u64> {
        let _turn = self.turn.take()?;
        let base = match whence {
            Whence::Start => 0,
            Whence::Current => *self.position.lock(),
            // Positions mean nothing but their order, so the end is behind all there can be (as on ext4).
            Whence::End => i64::MAX as u64,
            _ => return Err(Errno::EINVAL),
        };
        let target = base.checked_add_signed(offset).filter(|&target| target <= i64::MAX as u64);
        let target = target.ok_or(Errno::EINVAL)?;
        *self.position.lock() = target;
        Ok(target)
    }

    fn can_epoll(&self) -> bool {
        false
    }

    fn read_directory(&self, sink: &mut dyn DirectorySink) -> Result<()> {
        let _turn = self.turn.take()?;
        if !self.at.place().is_attached() {
            return Err(Errno::ENOENT);
        }
        let position = *self.position.lock();
        let parent = match self.at.place().parent() {
            Some(parent) => parent.stat()?.inode,
            None => self.at.place().stat()?.inode,
        };
        let mut sink = Covered { below: sink, directory: self.at.place() };
        let after = self.at.place().inode().read_directory(position, parent, &mut sink)?;
        *self.position.lock() = after;
        Ok(())
    }

    fn sync(&self, _data_only: bool) -> Result<()> {
        Ok(())
    }

    fn location(&self) -> Option<&Location> {
        Some(self.at.place())
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

impl Drop for DirectoryFile {
    fn drop(&mut self) {
        if let Some(locks) = self.at.place().inode().locks() {
            locks.release_description(core::ptr::from_ref(self) as usize);
        }
    }
}

/// Lists mount points with what is mounted there: type and number are the mounted root's.
struct Covered<'a> {
    below: &'a mut dyn DirectorySink,
    directory: &'a Location,
}

impl DirectorySink for Covered<'_> {
    fn add(&mut self, inode: u64, next: u64, kind: u8, name: &[u8]) -> bool {
        match self.directory.mounted_child(name) {
            Some(root) => self.below.add(inode, next, root.kind().directory_entry_type(), name),
            None => self.below.add(inode, next, kind, name),
        }
    }
}

/// A file opened with O_PATH: a place, nothing more.
pub struct PathFile {
    location: Location,
    status: StatusFlags,
}

impl PathFile {
    /// Refers to a place.
    pub fn new(location: Location, flags: OpenFlags) -> Arc<PathFile> {
        Arc::new(PathFile { location, status: StatusFlags::new(flags) })
    }
}

impl File for PathFile {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        self.location.stat()
    }

    fn path_text(&self) -> Vec<u8> {
        self.location.path_text()
    }

    fn read_directory(&self, _sink: &mut dyn DirectorySink) -> Result<()> {
        Err(Errno::EBADF)
    }

    fn seek(&self, _offset: i64, _whence: Whence) -> Result<u64> {
        Err(Errno::EBADF)
    }

    fn ioctl(&self, _request: u32, _argument: u64) -> Result<usize> {
        Err(Errno::EBADF)
    }

    fn truncate(&self, _size: u64) -> Result<()> {
        Err(Errno::EBADF)
    }

    fn sync(&self, _data_only: bool) -> Result<()> {
        Err(Errno::EBADF)
    }

    fn mapping(&self, _shared: bool) -> Result<Arc<dyn crate::file::Mappable>> {
        Err(Errno::EBADF)
    }

    fn location(&self) -> Option<&Location> {
        Some(&self.location)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
