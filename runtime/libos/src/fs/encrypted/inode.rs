//! [`EncryptedInode`]: a file or directory of an encrypted mount.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use super::Folder;
use super::file::EncryptedFile;
use super::sealed::Sealed;
use crate::errno::{Errno, Result};
use crate::file::{DirectorySink, File, OpenFlags};
use crate::fs::Location;
use crate::fs::host_directory::{self, HostInode};
use crate::fs::inode::{AttributeChange, Inode, NewInode, NewKind};
use crate::fs::lock::FileLocks;
use crate::fs::notify::Watchers;
use crate::fs::statfs::FsStatistics;
use crate::stat::{FileType, Stat};

/// A file or directory of an encrypted mount.
pub struct EncryptedInode {
    folder: Arc<Folder>,
    host: Arc<HostInode>,
}

impl EncryptedInode {
    /// What the host has, if it is a file or a directory.
    pub(super) fn admit(folder: &Arc<Folder>, host: Arc<HostInode>) -> Result<Arc<EncryptedInode>> {
        match host.kind() {
            FileType::Regular | FileType::Directory => {
                Ok(Arc::new(EncryptedInode { folder: folder.clone(), host }))
            }
            _ => Err(Errno::EIO),
        }
    }

    fn sealed(&self) -> Result<Arc<Sealed>> {
        let _turn = self.folder.names.take()?;
        Sealed::open(&self.folder, self.host.path())
    }

    fn of_same_folder<'a>(&self, inode: &'a Arc<dyn Inode>) -> Result<&'a EncryptedInode> {
        let other: &EncryptedInode = inode.as_any().downcast_ref().ok_or(Errno::EXDEV)?;
        if Arc::ptr_eq(&self.folder, &other.folder) { Ok(other) } else { Err(Errno::EXDEV) }
    }
}

impl Inode for EncryptedInode {
    fn kind(&self) -> FileType {
        self.host.kind()
    }

    fn stat(&self) -> Result<Stat> {
        let stat = self.host.stat()?;
        if self.kind() != FileType::Regular {
            return Ok(stat);
        }
        Ok(Stat { size: self.sealed()?.size()?, ..stat })
    }

    fn ownership(&self) -> Result<(u32, u32, u32)> {
        self.host.ownership()
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        Ok(Self::admit(&self.folder, self.host.find_child(name)?)?)
    }

    fn create(&self, name: &[u8], new: &NewInode) -> Result<Arc<dyn Inode>> {
        if !matches!(new.kind, NewKind::Regular | NewKind::Directory) {
            return Err(Errno::EPERM);
        }
        let _turn = self.folder.names.take()?;
        // Without a key nothing is made.
        self.folder.key()?;
        self.host.create(name, new)?;
        if matches!(new.kind, NewKind::Regular) {
            let path = self.host.child(name)?;
            self.folder.forget(&path);
            if let Err(error) = Sealed::create(&self.folder, &path) {
                let _ = self.host.unlink(name);
                return Err(error);
            }
        }
        Ok(Self::admit(&self.folder, self.host.find_child(name)?)?)
    }

    fn unlink(&self, name: &[u8]) -> Result<()> {
        let _turn = self.folder.names.take()?;
        self.host.unlink(name)?;
        self.folder.forget(&self.host.child(name)?);
        Ok(())
    }

    fn remove_directory(&self, name: &[u8]) -> Result<()> {
        self.host.remove_directory(name)
    }

    /// A file gets its new path first. Of a directory every file would have to: programs then copy, as between file systems.
    fn rename(&self, name: &[u8], to: &Arc<dyn Inode>, to_name: &[u8], exchange: bool) -> Result<()> {
        let to = self.of_same_folder(to)?;
        if exchange {
            return Err(Errno::EINVAL);
        }
        let _turn = self.folder.names.take()?;
        if self.host.find_child(name)?.kind() != FileType::Regular {
            return Err(Errno::EXDEV);
        }
        let (old, new) = (self.host.child(name)?, to.host.child(to_name)?);
        let sealed = Sealed::open(&self.folder, &old)?;
        sealed.set_path(&self.folder.carried(&new))?;
        let directory: Arc<dyn Inode> = to.host.clone();
        if let Err(error) = self.host.rename(name, &directory, to_name, false) {
            sealed.set_path(&self.folder.carried(&old))?;
            return Err(error);
        }
        self.folder.forget(&old);
        self.folder.note(&new, &sealed);
        Ok(())
    }

    fn read_directory(&self, position: u64, parent: u64, sink: &mut dyn DirectorySink) -> Result<u64> {
        self.host.read_directory(position, parent, sink)
    }

    fn read_link(&self) -> Result<Vec<u8>> {
        Err(Errno::EINVAL)
    }

    fn set(&self, change: &AttributeChange) -> Result<()> {
        if let Some(size) = change.size {
            self.sealed()?.set_size(size)?;
        }
        self.host.set(&AttributeChange { size: None, ..*change })
    }

    fn open(&self, at: &Location, flags: OpenFlags) -> Result<Arc<dyn File>> {
        if self.kind() != FileType::Regular {
            return Err(Errno::ENXIO);
        }
        let sealed = self.sealed()?;
        if flags.writable() {
            sealed.check_writable()?;
        }
        Ok(EncryptedFile::open(at.clone(), sealed, self.folder.volume.device(), flags))
    }

    fn statistics(&self) -> FsStatistics {
        self.host.statistics()
    }

    fn locks(&self) -> Option<&FileLocks> {
        self.host.locks()
    }

    fn watchers(&self) -> Option<&Watchers> {
        self.host.watchers()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A file's status: the host's, but for its size.
pub(super) fn stat(sealed: &Sealed, device: u64) -> Result<Stat> {
    let stat = host_directory::admit(&sealed.host_stat()?, device)?;
    Ok(Stat { size: sealed.size()?, ..stat })
}
