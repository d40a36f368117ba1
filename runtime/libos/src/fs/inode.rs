//! [`Inode`]: an object of a file system, whatever file system that is. It knows nothing of paths, mounts or who asks:
//! names are cached and permissions checked above it ([`super::node`], [`super::access`]).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use super::lock::FileLocks;
use super::notify::Watchers;
use super::{Location, statfs::FsStatistics};
use crate::errno::{Errno, Result};
use crate::file::{DirectorySink, File, OpenFlags};
use crate::stat::{FileType, Stat, Timestamp};

/// What a new name is to stand for.
#[derive(Clone, Copy, Debug)]
pub enum NewKind<'a> {
    /// An empty regular file.
    Regular,
    /// An empty directory.
    Directory,
    /// A symbolic link with this target.
    Symlink(&'a [u8]),
    /// A FIFO.
    Fifo,
    /// A name for a UNIX socket.
    Socket,
    /// A character device of this number.
    CharacterDevice(u64),
    /// A block device of this number.
    BlockDevice(u64),
}

impl NewKind<'_> {
    /// The file type.
    pub fn file_type(&self) -> FileType {
        match self {
            NewKind::Regular => FileType::Regular,
            NewKind::Directory => FileType::Directory,
            NewKind::Symlink(_) => FileType::Symlink,
            NewKind::Fifo => FileType::Fifo,
            NewKind::Socket => FileType::Socket,
            NewKind::CharacterDevice(_) => FileType::CharacterDevice,
            NewKind::BlockDevice(_) => FileType::BlockDevice,
        }
    }
}

/// An object to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewInode<'a> {
    /// What it is.
    pub kind: NewKind<'a>,
    /// Permission bits, the umask already applied.
    pub permissions: u32,
    /// Owner.
    pub uid: u32,
    /// Group; a set-group-id directory gives its own instead.
    pub gid: u32,
}

/// A change of attributes; `None` leaves one as it is. The change time is always updated.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttributeChange {
    /// Permission bits (0o7777).
    pub permissions: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Size: cuts or extends with zeros.
    pub size: Option<u64>,
    /// Access time.
    pub accessed: Option<Timestamp>,
    /// Modification time.
    pub modified: Option<Timestamp>,
}

/// Where a symbolic link leads.
pub enum LinkTarget {
    /// A path, looked up from the link's directory.
    Path(Arc<[u8]>),
    /// A place, whatever its path (the links of /proc).
    Place(Location),
}

/// How setxattr(2) treats an existing or missing attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XattrMode {
    /// Make or replace.
    Any,
    /// XATTR_CREATE.
    Create,
    /// XATTR_REPLACE.
    Replace,
}

/// An object of a file system. Defaults are what Linux answers for kinds and file systems that cannot do it.
///
/// Directory operations of a file system with [`Inode::caches_names`] are called with the directory's name cache locked, so
/// they come one at a time per directory and must not make host calls.
pub trait Inode: Send + Sync + Any {
    /// Type; never changes.
    fn kind(&self) -> FileType;

    /// Status.
    fn stat(&self) -> Result<Stat>;

    /// Permission bits, owner and group: what access checks need.
    fn ownership(&self) -> Result<(u32, u32, u32)> {
        self.stat().map(|stat| (stat.permissions, stat.uid, stat.gid))
    }

    /// Whether names looked up here stay true until they are changed through here.
    fn caches_names(&self) -> bool {
        false
    }

    /// The object with this name; `ENOENT`.
    fn lookup(&self, _name: &[u8]) -> Result<Arc<dyn Inode>> {
        Err(Errno::ENOTDIR)
    }

    /// Makes a new object; `EEXIST`.
    fn create(&self, _name: &[u8], _new: &NewInode) -> Result<Arc<dyn Inode>> {
        Err(Errno::EACCES)
    }

    /// Makes an object without a name (O_TMPFILE).
    fn create_unnamed(&self, _new: &NewInode) -> Result<Arc<dyn Inode>> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Gives an object of the same file system another name.
    fn link(&self, _name: &[u8], _inode: &Arc<dyn Inode>) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Takes a name away that is no directory's.
    fn unlink(&self, _name: &[u8]) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Takes an empty directory away; `ENOTEMPTY`.
    fn remove_directory(&self, _name: &[u8]) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Moves a name to `to_name` in directory `to` of the same file system, replacing what is there, or exchanging the two.
    /// Types were found compatible; `ENOTEMPTY`.
    fn rename(&self, _name: &[u8], _to: &Arc<dyn Inode>, _to_name: &[u8], _exchange: bool) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Adds the directory's entries from `position` on (0 is the first; `.` and `..` included, the latter with
    /// number `parent`); returns the position after the last one taken.
    fn read_directory(&self, _position: u64, _parent: u64, _sink: &mut dyn DirectorySink) -> Result<u64> {
        Err(Errno::ENOTDIR)
    }

    /// The text of a symbolic link.
    fn read_link(&self) -> Result<Vec<u8>> {
        Err(Errno::EINVAL)
    }

    /// Where a symbolic link leads.
    fn follow(&self) -> Result<LinkTarget> {
        self.read_link().map(|path| LinkTarget::Path(path.into()))
    }

    /// Changes attributes.
    fn set(&self, _change: &AttributeChange) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Value of an extended attribute; `ENODATA`.
    fn xattr(&self, _name: &[u8]) -> Result<Vec<u8>> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Names of all extended attributes.
    fn xattr_names(&self) -> Result<Vec<Vec<u8>>> {
        Ok(Vec::new())
    }

    /// Sets an extended attribute; `EEXIST`, `ENODATA`.
    fn set_xattr(&self, _name: &[u8], _value: &[u8], _mode: XattrMode) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Removes an extended attribute; `ENODATA`.
    fn remove_xattr(&self, _name: &[u8]) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Opens it; directories, devices and FIFOs of ordinary file systems are opened above.
    fn open(&self, at: &Location, flags: OpenFlags) -> Result<Arc<dyn File>>;

    /// Sizes of its file system.
    fn statistics(&self) -> FsStatistics;

    /// Its locks; `None` where locks make no sense.
    fn locks(&self) -> Option<&FileLocks> {
        None
    }

    /// Who watches it; `None` where objects do not last and there is nothing to tell.
    fn watchers(&self) -> Option<&Watchers> {
        None
    }

    /// Whether its last name is known to be gone.
    fn is_unlinked(&self) -> bool {
        false
    }

    /// What the library OS hangs on a FIFO's or socket's name.
    fn attachment(&self) -> Option<&Attachment> {
        None
    }

    /// For downcasts to a concrete kind.
    fn as_any(&self) -> &dyn Any;
}

/// A slot for what stands behind the name of a FIFO or UNIX socket; the pipe and socket code owns the contents.
#[derive(Default)]
pub struct Attachment(casemate_platform::sync::Mutex<Option<Arc<dyn Any + Send + Sync>>>);

impl Attachment {
    /// What hangs here, if it is a `T`.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let held = self.0.lock().clone();
        held?.downcast().ok()
    }

    /// What hangs here; made by `make` when nothing does.
    pub fn get_or_insert<T: Any + Send + Sync>(&self, make: impl FnOnce() -> Arc<T>) -> Option<Arc<T>> {
        let mut slot = self.0.lock();
        let held = slot.get_or_insert_with(|| make());
        held.clone().downcast().ok()
    }

    /// Replaces what hangs here.
    pub fn set(&self, value: Option<Arc<dyn Any + Send + Sync>>) {
        // The old value's drop may take locks: not under ours.
        let old = core::mem::replace(&mut *self.0.lock(), value);
        drop(old);
    }
}
