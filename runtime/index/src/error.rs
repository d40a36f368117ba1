//! What can go wrong when an index is read.

use core::fmt;

/// Why the index could not answer. Block numbers count the index file's 4 KiB blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The source did not deliver a block; trying again may succeed.
    Source {
        /// The block asked for.
        block: u64,
    },
    /// A block is not the one that the root digest vouches for.
    Unauthentic {
        /// The block delivered.
        block: u64,
    },
    /// The bytes are not an index, or an index that contradicts itself.
    Malformed(&'static str),
    /// There is no inode of this number.
    NoSuchInode(u32),
    /// The inode is of a kind that has no such part.
    WrongKind(&'static str),
    /// A file's data block is not the one that was indexed (or has the wrong length).
    WrongData {
        /// The block's number in the file.
        block: u64,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source { block } => write!(f, "block {block} of the index could not be read"),
            Self::Unauthentic { block } => {
                write!(f, "block {block} of the index does not match its root digest")
            }
            Self::Malformed(what) => write!(f, "the index is malformed: {what}"),
            Self::NoSuchInode(number) => write!(f, "the index has no inode {number}"),
            Self::WrongKind(wanted) => write!(f, "the inode is not {wanted}"),
            Self::WrongData { block } => {
                write!(f, "block {block} of the file does not match its indexed digest")
            }
        }
    }
}

impl core::error::Error for Error {}
