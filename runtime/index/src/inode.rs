//! What an inode is, for the reader and the writer alike.

use crate::verity::Digest;

/// Number of an inode; 1 is the root directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeNumber(pub u32);

impl InodeNumber {
    /// The root directory.
    pub const ROOT: Self = Self(1);
}

/// Kind of an inode; the numbers are the `DT_*` values of `getdents64(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FileKind {
    /// FIFO.
    Fifo = 1,
    /// Character device.
    CharDevice = 2,
    /// Directory.
    Directory = 4,
    /// Block device.
    BlockDevice = 6,
    /// Regular file.
    Regular = 8,
    /// Symbolic link.
    Symlink = 10,
    /// UNIX socket.
    Socket = 12,
}

impl FileKind {
    /// From a `DT_*` value.
    pub fn from_dt(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::Fifo,
            2 => Self::CharDevice,
            4 => Self::Directory,
            6 => Self::BlockDevice,
            8 => Self::Regular,
            10 => Self::Symlink,
            12 => Self::Socket,
            _ => return None,
        })
    }

    /// The `S_IFMT` bits of `st_mode`.
    pub fn mode_bits(self) -> u32 {
        (self as u32) << 12
    }
}

/// A time since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timestamp {
    /// Whole seconds, may be negative.
    pub seconds: i64,
    /// Nanoseconds to be added, below 1,000,000,000.
    pub nanoseconds: u32,
}

/// A device's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// One inode, copied out of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode {
    /// Its number.
    pub number: InodeNumber,
    /// Its kind.
    pub kind: FileKind,
    /// Permission bits, at most `0o7777`.
    pub permissions: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Number of names (directories: 2 + subdirectories).
    pub nlink: u32,
    /// Time of the last modification.
    pub mtime: Timestamp,
    /// Number of a device; zeros for other kinds.
    pub device: Device,
    /// Regular file: size in bytes; symbolic link: length of the target; otherwise 0.
    pub size: u64,
    /// Regular file: fs-verity digest; otherwise zeros.
    pub digest: Digest,
    /// Whether there are extended attributes.
    pub has_xattrs: bool,
    pub(crate) content: Content,
    pub(crate) xattrs: Extent,
}

impl Inode {
    /// `st_mode`: kind and permissions.
    pub fn mode(&self) -> u32 {
        self.kind.mode_bits() | u32::from(self.permissions)
    }
}

/// A run of bytes in the auxiliary section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub offset: u64,
    pub length: u32,
}

/// Where the kind's own data lies; positions count records of their section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    None,
    Directory { first_entry: u64, entry_count: u32, parent: u32 },
    Regular { first_hash: u64, first_site: u64, site_count: u32 },
    Symlink(Extent),
}
