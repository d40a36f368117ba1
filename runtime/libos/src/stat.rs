//! File status as stat(2) and statx(2) give it, and file types.

use linux_raw_sys::general as raw;

/// Type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// Regular file.
    Regular,
    /// Directory.
    Directory,
    /// Symbolic link.
    Symlink,
    /// Character device.
    CharacterDevice,
    /// Block device.
    BlockDevice,
    /// FIFO or pipe.
    Fifo,
    /// Socket.
    Socket,
    /// None of these: what has no place in a tree (eventfd, epoll, inotify).
    Anonymous,
}

impl FileType {
    /// The S_IF* bits.
    pub const fn mode_bits(self) -> u32 {
        match self {
            FileType::Regular => raw::S_IFREG,
            FileType::Directory => raw::S_IFDIR,
            FileType::Symlink => raw::S_IFLNK,
            FileType::CharacterDevice => raw::S_IFCHR,
            FileType::BlockDevice => raw::S_IFBLK,
            FileType::Fifo => raw::S_IFIFO,
            FileType::Socket => raw::S_IFSOCK,
            FileType::Anonymous => 0,
        }
    }

    /// From the S_IF* bits of a mode.
    pub const fn from_mode(mode: u32) -> Option<FileType> {
        Some(match mode & raw::S_IFMT {
            raw::S_IFREG => FileType::Regular,
            raw::S_IFDIR => FileType::Directory,
            raw::S_IFLNK => FileType::Symlink,
            raw::S_IFCHR => FileType::CharacterDevice,
            raw::S_IFBLK => FileType::BlockDevice,
            raw::S_IFIFO => FileType::Fifo,
            raw::S_IFSOCK => FileType::Socket,
            _ => return None,
        })
    }

    /// The DT_* number of directory entries.
    pub const fn directory_entry_type(self) -> u8 {
        (self.mode_bits() >> 12) as u8
    }
}

/// A point in time: seconds and ns since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds, below 10⁹.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// The time now.
    pub fn now() -> Timestamp {
        // Tests run without a host below: their clock moves by a second at each look.
        #[cfg(test)]
        {
            static TICKS: core::sync::atomic::AtomicI64 = core::sync::atomic::AtomicI64::new(2_000_000_000);
            let seconds = TICKS.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
            Timestamp { seconds, nanoseconds: 0 }
        }
        #[cfg(not(test))]
        Timestamp::from_ns(casemate_platform::clock::now().realtime_ns as i64)
    }

    /// From ns since 1970.
    pub fn from_ns(ns: i64) -> Timestamp {
        Timestamp { seconds: ns.div_euclid(1_000_000_000), nanoseconds: ns.rem_euclid(1_000_000_000) as u32 }
    }
}

/// File status.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// Device of the file system.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Type.
    pub kind: FileType,
    /// Permission bits with set-id and sticky bits (0o7777).
    pub permissions: u32,
    /// Number of names.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of a device file.
    pub special_device: u64,
    /// Size in bytes.
    pub size: u64,
    /// Allocated blocks of 512 bytes.
    pub blocks: u64,
    /// Preferred transfer size.
    pub block_size: u32,
    /// Last access.
    pub accessed: Timestamp,
    /// Last change of contents.
    pub modified: Timestamp,
    /// Last change of status.
    pub changed: Timestamp,
    /// Creation, where known.
    pub created: Option<Timestamp>,
}

impl Stat {
    /// A status with everything zero but type and permissions, for anonymous files.
    pub fn anonymous(kind: FileType, permissions: u32, inode: u64) -> Stat {
        let start = Timestamp::default();
        Stat {
            device: 0xe,
            inode,
            kind,
            permissions,
            links: 1,
            uid: 0,
            gid: 0,
            special_device: 0,
            size: 0,
            blocks: 0,
            block_size: 4096,
            accessed: start,
            modified: start,
            changed: start,
            created: None,
        }
    }

    /// st_mode.
    pub fn mode(&self) -> u32 {
        self.kind.mode_bits() | self.permissions & 0o7777
    }
}
