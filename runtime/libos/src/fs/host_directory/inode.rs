//! [`HostInode`]: a path in a host directory.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use casemate_abi::{HostStat, PathOperation};
use casemate_platform::host;
use casemate_platform::sync::Mutex;
use linux_raw_sys::general as raw;

use super::file::HostFile;
use super::listing::{self, NAMES_LIMIT, Name};
use super::{Shared, Volume};
use crate::errno::{Errno, Result};
use crate::file::{DirectorySink, File, OpenFlags};
use crate::fs::Location;
use crate::fs::inode::{AttributeChange, Inode, NewInode, NewKind};
use crate::fs::lock::FileLocks;
use crate::fs::notify::Watchers;
use crate::fs::statfs::FsStatistics;
use crate::room;
use crate::stat::{FileType, Stat, Timestamp};

/// V9FS_MAGIC: what directories shared into virtual machines are.
const MAGIC: u64 = 0x0102_1997;
/// Longest path handed out.
const PATH_LIMIT: usize = 4095;
/// Positions of `.` and `..` come first.
const FIRST: u64 = 2;

/// A path in a host directory. It was of this type when it was looked up.
pub struct HostInode {
    volume: Arc<Volume>,
    /// Without slashes at the ends; empty for the directory itself.
    path: Vec<u8>,
    kind: FileType,
    number: u64,
    shared: Arc<Shared>,
    /// Names as the last listing from the start found them.
    names: Mutex<Arc<[Name]>>,
}

/// A status as it is shown: no devices, no set-id bits; `EIO` for what is none.
pub(in crate::fs) fn admit(stat: &HostStat, device: u64) -> Result<Stat> {
    let kind = FileType::from_mode(stat.mode).filter(|kind| {
        !matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) && stat.mode >> 16 == 0
    });
    Ok(Stat {
        device,
        inode: stat.ino,
        kind: kind.ok_or(Errno::EIO)?,
        permissions: stat.mode & 0o1777,
        links: stat.nlink,
        uid: stat.uid,
        gid: stat.gid,
        special_device: 0,
        size: stat.size,
        blocks: stat.blocks.min(stat.size.div_ceil(512).next_multiple_of(1 << 20)),
        block_size: 4096,
        accessed: Timestamp::from_ns(stat.atime_ns),
        modified: Timestamp::from_ns(stat.mtime_ns),
        changed: Timestamp::from_ns(stat.ctime_ns),
        created: None,
    })
}

/// ns since 1970 as the host call wants them; the largest value leaves a time as it is.
fn to_ns(time: Option<Timestamp>) -> u64 {
    match time {
        None => u64::MAX,
        Some(time) => {
            time.seconds.saturating_mul(1_000_000_000).saturating_add(time.nanoseconds.into()) as u64
        }
    }
}

impl HostInode {
    /// What the host has at `path`.
    pub(super) fn find(volume: &Arc<Volume>, path: Vec<u8>) -> Result<Arc<HostInode>> {
        let stat = admit(&volume.stat(&path)?, volume.device)?;
        Ok(Arc::new(HostInode {
            volume: volume.clone(),
            path,
            kind: stat.kind,
            number: stat.inode,
            shared: volume.share(stat.inode),
            names: Mutex::new(Arc::default()),
        }))
    }

    /// Its path below the directory, without slashes at the ends.
    pub(in crate::fs) fn path(&self) -> &[u8] {
        &self.path
    }

    /// The object with this name.
    pub(in crate::fs) fn find_child(&self, name: &[u8]) -> Result<Arc<HostInode>> {
        HostInode::find(&self.volume, self.child(name)?)
    }

    /// The path of a name in it.
    pub(in crate::fs) fn child(&self, name: &[u8]) -> Result<Vec<u8>> {
        if self.path.is_empty() {
            return Ok(name.to_vec());
        }
        let path = [&self.path[..], b"/", name].concat();
        if path.len() > PATH_LIMIT { Err(Errno::ENAMETOOLONG) } else { Ok(path) }
    }

    fn own(&self, inode: &Arc<dyn Inode>) -> Result<Vec<u8>> {
        let other: &HostInode = inode.as_any().downcast_ref().ok_or(Errno::EXDEV)?;
        if Arc::ptr_eq(&self.volume, &other.volume) { Ok(other.path.clone()) } else { Err(Errno::EXDEV) }
    }

    fn change(&self, operation: PathOperation, path: &[u8], a: u64, b: u64) -> Result<()> {
        Ok(host::path_change(operation, self.volume.number, path, a, b)?)
    }

    fn change_two(&self, operation: PathOperation, path: &[u8], second: &[u8], flags: u64) -> Result<()> {
        Ok(host::path_change_two(operation, self.volume.number, path, second, flags)?)
    }

    /// Reads all names anew.
    fn refresh(&self) -> Result<Arc<[Name]>> {
        let flags = raw::O_RDONLY | raw::O_DIRECTORY;
        let fd = host::path_open(self.volume.number, &self.path, flags, 0)?;
        let mut names = Vec::new();
        // Each round takes at least one record, so a host that goes on for ever comes to the limit.
        for _ in 0..NAMES_LIMIT {
            let records = host::fd_read_directory(&fd)?;
            if records.is_empty() {
                listing::settle(&mut names);
                let names: Arc<[Name]> = names.into();
                *self.names.lock() = names.clone();
                return Ok(names);
            }
            room::check()?;
            listing::parse(&records, &mut names)?;
        }
        Err(Errno::EIO)
    }

    /// Type checked again: the host may have put something else there.
    fn stat_now(&self) -> Result<Stat> {
        let stat = admit(&self.volume.stat(&self.path)?, self.volume.device)?;
        if stat.kind == self.kind { Ok(stat) } else { Err(Errno::ESTALE) }
    }

    fn resize(&self, size: u64) -> Result<()> {
        let fd = host::path_open(self.volume.number, &self.path, raw::O_WRONLY | raw::O_NONBLOCK, 0)?;
        Ok(host::fd_truncate(&fd, size)?)
    }
}

impl Inode for HostInode {
    fn kind(&self) -> FileType {
        self.kind
    }

    fn stat(&self) -> Result<Stat> {
        self.stat_now()
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        Ok(self.find_child(name)?)
    }

    fn create(&self, name: &[u8], new: &NewInode) -> Result<Arc<dyn Inode>> {
        let path = self.child(name)?;
        let mode = new.permissions & 0o1777;
        match new.kind {
            NewKind::Regular => {
                let flags = raw::O_WRONLY | raw::O_CREAT | raw::O_EXCL;
                drop(host::path_open(self.volume.number, &path, flags, mode)?);
            }
            NewKind::Directory => self.change(PathOperation::MakeDirectory, &path, mode.into(), 0)?,
            NewKind::Symlink(target) => self.change_two(PathOperation::Symlink, &path, target, 0)?,
            _ => return Err(Errno::EPERM),
        }
        // The file is the loader's user's; where that one may not give it away, it stays so.
        let _ = self.change(PathOperation::SetOwner, &path, new.uid.into(), new.gid.into());
        Ok(HostInode::find(&self.volume, path)?)
    }

    fn link(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<()> {
        self.change_two(PathOperation::Link, &self.own(inode)?, &self.child(name)?, 0)
    }

    fn unlink(&self, name: &[u8]) -> Result<()> {
        self.change(PathOperation::Unlink, &self.child(name)?, 0, 0)
    }

    fn remove_directory(&self, name: &[u8]) -> Result<()> {
        self.change(PathOperation::RemoveDirectory, &self.child(name)?, 0, 0)
    }

    fn rename(&self, name: &[u8], to: &Arc<dyn Inode>, to_name: &[u8], exchange: bool) -> Result<()> {
        let directory = self.own(to)?;
        let target =
            if directory.is_empty() { to_name.to_vec() } else { [&directory[..], b"/", to_name].concat() };
        let flags = if exchange { raw::RENAME_EXCHANGE } else { 0 };
        self.change_two(PathOperation::Rename, &self.child(name)?, &target, flags.into())
    }

    fn read_directory(&self, mut position: u64, parent: u64, sink: &mut dyn DirectorySink) -> Result<u64> {
        let names = if position == 0 { self.refresh()? } else { self.names.lock().clone() };
        let directory = FileType::Directory.directory_entry_type();
        for (own, inode, name) in [(0, self.number, &b"."[..]), (1, parent, b"..")] {
            if position == own {
                if !sink.add(inode, position + 1, directory, name) {
                    return Ok(position);
                }
                position += 1;
            }
        }
        let left = names.get((position - FIRST) as usize..).unwrap_or_default();
        for Name { name, inode, kind } in left {
            if !sink.add(*inode, position + 1, *kind, name) {
                break;
            }
            position += 1;
        }
        Ok(position)
    }

    fn read_link(&self) -> Result<Vec<u8>> {
        if self.kind != FileType::Symlink {
            return Err(Errno::EINVAL);
        }
        let target = host::path_read_link(self.volume.number, &self.path)?;
        if target.is_empty() || target.contains(&0) { Err(Errno::EIO) } else { Ok(target) }
    }

    fn set(&self, change: &AttributeChange) -> Result<()> {
        if let Some(size) = change.size {
            self.resize(size)?;
        }
        if let Some(permissions) = change.permissions {
            self.change(PathOperation::SetMode, &self.path, u64::from(permissions & 0o1777), 0)?;
        }
        if change.uid.is_some() || change.gid.is_some() {
            let [uid, gid] = [change.uid, change.gid].map(|id| u64::from(id.unwrap_or(u32::MAX)));
            self.change(PathOperation::SetOwner, &self.path, uid, gid)?;
        }
        if change.accessed.is_some() || change.modified.is_some() {
            let (accessed, modified) = (to_ns(change.accessed), to_ns(change.modified));
            self.change(PathOperation::SetTimes, &self.path, accessed, modified)?;
        }
        Ok(())
    }

    fn open(&self, at: &Location, flags: OpenFlags) -> Result<Arc<dyn File>> {
        if self.kind != FileType::Regular {
            return Err(Errno::ENXIO);
        }
        let access = match (flags.readable(), flags.writable()) {
            (true, true) => raw::O_RDWR,
            (false, true) => raw::O_WRONLY,
            _ => raw::O_RDONLY,
        };
        // O_NONBLOCK: what is no regular file any more must not hold the thread up.
        let passed = (flags & (OpenFlags::APPEND | OpenFlags::DSYNC | OpenFlags::SYNC_BIT)).bits();
        let fd = host::path_open(self.volume.number, &self.path, access | passed | raw::O_NONBLOCK, 0)?;
        let stat = admit(&host::fd_stat(&fd)?, self.volume.device)?;
        if stat.kind != FileType::Regular {
            return Err(Errno::EIO);
        }
        Ok(HostFile::open(at.clone(), fd, self.volume.device, flags))
    }

    fn statistics(&self) -> FsStatistics {
        let values = host::volume_stat(self.volume.number).unwrap_or_default();
        let [block_size, blocks, free, available, files, free_files] = values;
        let block_size = if (512..=1 << 24).contains(&block_size) { block_size } else { 4096 };
        FsStatistics {
            magic: MAGIC,
            block_size,
            blocks,
            free: free.min(blocks),
            available: available.min(blocks),
            files,
            free_files: free_files.min(files),
        }
    }

    fn locks(&self) -> Option<&FileLocks> {
        Some(&self.shared.locks)
    }

    fn watchers(&self) -> Option<&Watchers> {
        Some(&self.shared.watchers)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
