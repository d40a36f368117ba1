//! The image's file index: every path with its metadata, fs-verity trees of the files' contents, and the
//! system-call sites of ELF files. `docs/formats/index.md` describes the bytes.
//!
//! The reading half ([`Index`], [`FileVerifier`], [`Site`]) is `no_std` and runs inside the enclave on bytes that an
//! untrusted host delivers: each block is copied in, authenticated against the root digest, and only then used.
//! The writing half (feature `std`) runs where images are built: [`FileHasher`] summarises file contents,
//! [`LayerTable`] holds one layer, [`merge`] lays layers over one another and writes the index.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;

mod blocks;
mod error;
mod file;
mod inode;
mod layout;
mod reader;
mod resolve;
mod runtime_sites;
mod site;
mod verity;

#[cfg(feature = "std")]
mod hasher;
#[cfg(feature = "std")]
mod layer;
#[cfg(feature = "std")]
mod layer_format;
#[cfg(feature = "std")]
mod merge;
#[cfg(feature = "std")]
mod survey;
#[cfg(feature = "std")]
mod write;

pub use blocks::{Block, BlockSource, SourceError};
pub use error::Error;
pub use file::{FileVerifier, Sites};
pub use inode::{Device, FileKind, Inode, InodeNumber, Timestamp};
pub use reader::{DirectoryEntry, Index, Xattr};
pub use resolve::Follow;
pub use runtime_sites::{RuntimeSites, find_runtime_sites};
pub use site::{
    MAX_CODE, MAX_STUB, PatchError, SYSCALL_ENTRY_GS_OFFSET, Site, SiteKind, encode_patch, encode_stub,
};
pub use verity::{BLOCK_SIZE, DIGEST_SIZE, Digest, verity_digest};

#[cfg(feature = "std")]
pub use hasher::{FileHasher, FileSummary, HasherError};
#[cfg(feature = "std")]
pub use layer::{Attributes, LayerError, LayerTable, SpecialKind};
#[cfg(feature = "std")]
pub use merge::merge;
#[cfg(feature = "std")]
pub use survey::{SURVEY_VERSION, survey_elf};
#[cfg(feature = "std")]
pub use write::IndexBytes;
