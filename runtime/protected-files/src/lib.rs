//! Protected files: encrypted and authenticated files in Gramine's format (`GRAFS_PF`, version 2.0), which comes from the
//! Intel SGX SDK's protected file system. `docs/formats/protected-files.md` describes it byte for byte.
//!
//! Pure: where the nodes are kept is a [`Storage`]'s matter, and so are random numbers. Everything that a storage
//! returns is hostile; nothing of it is used before it is authenticated, except the plain part of the metadata, which
//! only decides what is tried.
//!
//! The format does not notice when a whole file is replaced by an older one. While a file is open its keys are kept
//! here, and nothing of it can be exchanged.

#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;

mod cache;
mod crypto;
mod file;
mod flush;
mod layout;
mod metadata;
mod nodes;
mod recovery;
mod storage;

pub use crypto::FileKey;
pub use file::ProtectedFile;
pub use layout::{HEAD_SIZE, MAX_SIZE, NODE_SIZE, Node, nodes_of};
pub use metadata::MAX_PATH;
pub use storage::{Error, Storage};
