//! Sizes of a file system as statfs(2) gives them.

/// Sizes of a file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct FsStatistics {
    /// Magic number of the file system type (linux/magic.h).
    pub magic: u64,
    /// Size of a block in bytes.
    pub block_size: u64,
    /// Blocks in all.
    pub blocks: u64,
    /// Free blocks.
    pub free: u64,
    /// Free blocks for ordinary users.
    pub available: u64,
    /// Inodes in all.
    pub files: u64,
    /// Free inodes.
    pub free_files: u64,
}

/// OVERLAYFS_SUPER_MAGIC: what the root of a container is.
pub const OVERLAY: u64 = 0x794c_7630;
/// TMPFS_MAGIC.
pub const TMPFS: u64 = 0x0102_1994;
/// PROC_SUPER_MAGIC.
pub const PROC: u64 = 0x9fa0;
/// SYSFS_MAGIC.
pub const SYSFS: u64 = 0x6265_6572;
/// PIPEFS_MAGIC; this one and those below have no sizes.
pub const PIPE: u64 = 0x5049_5045;
/// SOCKFS_MAGIC.
pub const SOCKET: u64 = 0x534f_434b;
/// ANON_INODE_FS_MAGIC.
pub const ANONYMOUS: u64 = 0x0904_1934;
