//! Limits of extended attributes (linux/limits.h).

/// Most bytes of names and values that one inode holds.
pub const INODE_LIMIT: usize = 64 * 1024;
