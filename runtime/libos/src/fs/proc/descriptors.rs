//! /proc/PID/fd and /proc/PID/fdinfo.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use casemate_platform::sync::Mutex;

use super::numbered;
use super::task::Task;
use crate::errno::{Errno, Result};
use crate::file::{File, OpenFlags, Whence};
use crate::fs::Location;
use crate::fs::generated::{Entry, Folder, Link, Object, parse_number};
use crate::fs::inode::{Inode, LinkTarget};
use crate::fs::mount::{Mount, new_device};
use crate::fs::statfs::{self, FsStatistics};
use crate::process::Fd;
use crate::stat::{FileType, Stat};

/// /proc/PID/fd.
pub(super) fn links(task: Task) -> Object {
    Object::directory(0o500, Descriptors { task, kind: FileType::Symlink })
}

/// /proc/PID/fdinfo.
pub(super) fn positions(task: Task) -> Object {
    Object::directory(0o555, Descriptors { task, kind: FileType::Regular })
}

/// A directory of the open descriptors: links to what is open, or texts about it.
struct Descriptors {
    task: Task,
    kind: FileType,
}

impl Folder for Descriptors {
    fn find(&self, name: &[u8]) -> Result<Object> {
        let number = parse_number(name).and_then(|number| i32::try_from(number).ok()).ok_or(Errno::ENOENT)?;
        let process = self.task.process().map_err(|_| Errno::ENOENT)?;
        let fd = Fd(number);
        let file = process.file(fd).map_err(|_| Errno::ENOENT)?;
        let credentials = process.credentials.read().clone();
        let task = self.task;
        let object = if self.kind == FileType::Symlink {
            let flags = file.status().get();
            let read = if flags.readable() { 0o400 } else { 0 };
            let write = if flags.writable() { 0o200 } else { 0 };
            Object::link(read | write | 0o100, DescriptorLink { task, fd })
        } else {
            Object::text(0o400, move || describe(task, fd))
        };
        Ok(object.owned_by(credentials.euid, credentials.egid))
    }

    fn next(&self, position: u64) -> Option<Entry> {
        let next = self.task.process().ok()?.files().next_open(usize::try_from(position).ok()?)?;
        Some(numbered(next.0 as u32, 0, self.kind))
    }
}

fn file(task: Task, fd: Fd) -> Result<Arc<dyn File>> {
    let process = task.process().map_err(|_| Errno::ENOENT)?;
    process.file(fd).map_err(|_| Errno::ENOENT)
}

fn describe(task: Task, fd: Fd) -> Result<Vec<u8>> {
    let file = file(task, fd)?;
    let position = file.seek(0, Whence::Current).unwrap_or(0);
    let mount = file.location().map_or(0, |place| place.mount().id);
    let mut flags = file.status().get();
    flags.set(OpenFlags::CLOSE_ON_EXEC, task.process()?.files().close_on_exec(fd).unwrap_or(false));
    let inode = file.stat().map_or(0, |stat| stat.inode);
    let text = format!("pos:\t{position}\nflags:\t0{:o}\nmnt_id:\t{mount}\nino:\t{inode}\n", flags.bits());
    Ok([text.into_bytes(), file.details()].concat())
}

/// Leads to what is open, whatever its path.
struct DescriptorLink {
    task: Task,
    fd: Fd,
}

impl Link for DescriptorLink {
    fn text(&self) -> Result<Vec<u8>> {
        Ok(file(self.task, self.fd)?.path_text())
    }

    fn target(&self) -> Result<LinkTarget> {
        static NOWHERE: Mutex<Option<Arc<Mount>>> = Mutex::new(None);
        let file = file(self.task, self.fd)?;
        if let Some(place) = file.location() {
            return Ok(LinkTarget::Place(place.clone()));
        }
        let new = || Mount::new(new_device(), "anon_inodefs", b"anon_inodefs", false);
        let mount = NOWHERE.lock().get_or_insert_with(new).clone();
        let text = file.path_text();
        let inode = Arc::new(OpenFileInode { kind: file.stat()?.kind, file });
        Ok(LinkTarget::Place(Location::unnamed(inode, mount, &text, true)))
    }
}

/// Something open that has no place in the tree: a stream, a pipe.
struct OpenFileInode {
    kind: FileType,
    file: Arc<dyn File>,
}

impl Inode for OpenFileInode {
    fn kind(&self) -> FileType {
        self.kind
    }

    fn stat(&self) -> Result<Stat> {
        self.file.stat()
    }

    fn open(&self, _at: &Location, flags: OpenFlags) -> Result<Arc<dyn File>> {
        self.file.reopen(flags)
    }

    fn statistics(&self) -> FsStatistics {
        FsStatistics { magic: statfs::ANONYMOUS, block_size: 4096, ..FsStatistics::default() }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
