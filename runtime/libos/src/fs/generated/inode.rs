//! [`GeneratedInode`]: the inode of an object that is made when it is asked for.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use super::file::TextFile;
use super::{Body, Object};
use crate::errno::{Errno, Result};
use crate::file::{DirectorySink, File, OpenFlags};
use crate::fs::Location;
use crate::fs::inode::{AttributeChange, Inode, LinkTarget, NewInode};
use crate::fs::statfs::FsStatistics;
use crate::stat::{FileType, Stat, Timestamp};

/// What the objects of one file system share.
pub struct FileSystem {
    /// st_dev.
    pub device: u64,
    /// Magic number.
    pub magic: u64,
    /// Size shown for regular files.
    pub file_size: u64,
}

/// An object of such a file system.
pub struct GeneratedInode {
    system: Arc<FileSystem>,
    number: u64,
    object: Object,
}

/// Number of the root directory.
const ROOT: u64 = 1;
/// Positions of `.` and `..` come first.
const FIRST: u64 = 2;

/// The number of a name in a directory: the same at every look-up (FNV-1a over both).
fn child_number(parent: u64, name: &[u8]) -> u64 {
    let bytes = parent.to_le_bytes();
    let hash = bytes.iter().chain(name).fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // 32 bits: programs with a small ino_t are not confused by overlarge numbers; 0 and the root's own are left out.
    ((hash >> 32) ^ hash) & 0xffff_ffff | 0x100
}

impl GeneratedInode {
    /// The root directory of a file system.
    pub fn root(system: FileSystem, object: Object) -> Arc<dyn Inode> {
        Arc::new(GeneratedInode { system: Arc::new(system), number: ROOT, object })
    }
}

impl Inode for GeneratedInode {
    fn kind(&self) -> FileType {
        self.object.kind()
    }

    fn stat(&self) -> Result<Stat> {
        let now = Timestamp::now();
        let kind = self.object.kind();
        Ok(Stat {
            device: self.system.device,
            inode: self.number,
            links: if kind == FileType::Directory { 2 } else { 1 },
            uid: self.object.owner.0,
            gid: self.object.owner.1,
            size: if kind == FileType::Regular { self.system.file_size } else { 0 },
            block_size: 1024,
            accessed: now,
            modified: now,
            changed: now,
            ..Stat::anonymous(kind, self.object.permissions, self.number)
        })
    }

    fn ownership(&self) -> Result<(u32, u32, u32)> {
        Ok((self.object.permissions, self.object.owner.0, self.object.owner.1))
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let Body::Directory(folder) = &self.object.body else { return Err(Errno::ENOTDIR) };
        let object = folder.find(name)?;
        let number = child_number(self.number, name);
        Ok(Arc::new(GeneratedInode { system: self.system.clone(), number, object }))
    }

    fn create(&self, _name: &[u8], _new: &NewInode) -> Result<Arc<dyn Inode>> {
        // What /proc and /sys answer for names that they do not have.
        Err(Errno::ENOENT)
    }

    fn read_directory(&self, mut position: u64, parent: u64, sink: &mut dyn DirectorySink) -> Result<u64> {
        let Body::Directory(folder) = &self.object.body else { return Err(Errno::ENOTDIR) };
        let directory = FileType::Directory.directory_entry_type();
        for (own, inode, name) in [(0, self.number, &b"."[..]), (1, parent, b"..")] {
            if position == own {
                if !sink.add(inode, position + 1, directory, name) {
                    return Ok(position);
                }
                position += 1;
            }
        }
        while let Some(entry) = folder.next(position - FIRST) {
            let after = entry.position + FIRST + 1;
            let number = child_number(self.number, &entry.name);
            if !sink.add(number, after, entry.kind.directory_entry_type(), &entry.name) {
                break;
            }
            position = after;
        }
        Ok(position)
    }

    fn read_link(&self) -> Result<Vec<u8>> {
        match &self.object.body {
            Body::Link(link) => link.text(),
            _ => Err(Errno::EINVAL),
        }
    }

    fn follow(&self) -> Result<LinkTarget> {
        match &self.object.body {
            Body::Link(link) => link.target(),
            _ => Err(Errno::EINVAL),
        }
    }

    fn set(&self, change: &AttributeChange) -> Result<()> {
        // Cutting such a file is allowed and does nothing; its attributes are not the program's to set.
        let AttributeChange { size, permissions, uid, gid, .. } = change;
        let only_size = size.is_some() && permissions.is_none() && uid.is_none() && gid.is_none();
        if only_size { Ok(()) } else { Err(Errno::EPERM) }
    }

    fn open(&self, at: &Location, flags: OpenFlags) -> Result<Arc<dyn File>> {
        match &self.object.body {
            Body::Text(text) => Ok(TextFile::open(at.clone(), text.clone(), flags)),
            _ => Err(Errno::ENXIO),
        }
    }

    fn statistics(&self) -> FsStatistics {
        FsStatistics { magic: self.system.magic, block_size: 4096, ..FsStatistics::default() }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
