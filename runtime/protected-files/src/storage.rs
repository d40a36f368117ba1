//! What a protected file is kept in, and what can go wrong.

use alloc::boxed::Box;
use core::fmt;

use crate::Node;

/// Where a file's nodes are kept: a file of a host, mostly. Nothing that it returns is believed.
pub trait Storage {
    /// What can go wrong with it.
    type Error;

    /// Reads a node.
    fn read(&mut self, number: u64, node: &mut Node) -> Result<(), Self::Error>;

    /// Writes a node; at the end, the storage grows.
    fn write(&mut self, number: u64, node: &Node) -> Result<(), Self::Error>;

    /// Keeps so many nodes of a storage that has more.
    fn cut(&mut self, nodes: u64) -> Result<(), Self::Error>;

    /// Random bytes that nobody can guess.
    fn random(&mut self, to: &mut [u8]) -> Result<(), Self::Error>;

    /// Whether what a flush overwrites is kept until it has ended. A storage that says yes implements the three below.
    fn recovers(&self) -> bool {
        false
    }

    /// Appends a node to what is kept. All of it is there for good before the next [`write`](Self::write) is.
    fn keep(&mut self, _number: u64, _node: &Node) -> Result<(), Self::Error> {
        Ok(())
    }

    /// The node that was kept as the `index`th, with its number; `None` behind the last.
    fn kept(&mut self, _index: u64) -> Result<Option<(u64, Box<Node>)>, Self::Error> {
        Ok(None)
    }

    /// Forgets what was kept.
    fn forget(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// Why something cannot be done with a protected file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The storage failed.
    Storage(E),
    /// There is no protected file.
    NotProtected,
    /// A protected file of this version, which is not 2.0.
    Version(u8, u8),
    /// The metadata do not authenticate: another key, or a file that was changed.
    KeyOrMetadata,
    /// This node is not what was written.
    Changed(u64),
    /// What is authenticated makes no sense: whoever has the key wrote it so.
    Malformed,
    /// The file is one of another path.
    OtherPath,
    /// A path too long or with a NUL in it.
    BadPath,
    /// The file would be larger than [`MAX_SIZE`](crate::MAX_SIZE).
    TooLarge,
    /// A flush was cut off, and nothing is kept to go back to.
    NotRecoverable,
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Storage(error) => error.fmt(to),
            Error::NotProtected => to.write_str("it is no protected file"),
            Error::Version(major, minor) => {
                write!(to, "it is a protected file of version {major}.{minor}; only 2.0 is known")
            }
            Error::KeyOrMetadata => {
                to.write_str("the key is another one, or the file's metadata were changed")
            }
            Error::Changed(node) => write!(to, "node {node} was changed"),
            Error::Malformed => to.write_str("its metadata make no sense"),
            Error::OtherPath => to.write_str("it was made for another path"),
            Error::BadPath => to.write_str("the path is empty, too long, or has a NUL in it"),
            Error::TooLarge => to.write_str("it would be too large"),
            Error::NotRecoverable => {
                to.write_str("writing it was cut off, and there is nothing to recover it from")
            }
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Error<E> {}
