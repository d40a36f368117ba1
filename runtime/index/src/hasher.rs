//! Summarising one file's content as it streams by: fs-verity tree and system-call sites.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::layout::stored_hashes;
use crate::site::{Site, SiteKind};
use crate::survey::Surveyor;
use crate::verity::{BLOCK_SIZE, Digest, block_count, descriptor_digest, hash_block, root_hash};

/// What the index keeps of a regular file's content. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSummary {
    pub(crate) size: u64,
    pub(crate) digest: Digest,
    /// Digest of each block; empty for files of at most one block, whose `digest` tells it.
    pub(crate) hashes: Arc<[Digest]>,
    pub(crate) sites: Arc<[Site]>,
}

impl FileSummary {
    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// fs-verity digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The system-call sites, by their places in the file.
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// How many of the sites loading can rewrite.
    pub fn patchable_sites(&self) -> usize {
        self.sites.iter().filter(|site| site.kind() != SiteKind::Trap).count()
    }
}

/// Takes a file's content in pieces. Holds one block, the blocks' digests, and of ELF files what the survey needs.
pub struct FileHasher {
    size: u64,
    received: u64,
    /// The block under way; empty between blocks.
    block: Sha256,
    hashes: Vec<Digest>,
    surveyor: Surveyor,
}

/// The content does not have the size that was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HasherError {
    /// More bytes came than announced.
    TooLong {
        /// The size announced.
        size: u64,
    },
    /// Fewer bytes came than announced.
    TooShort {
        /// The size announced.
        size: u64,
        /// How many came.
        received: u64,
    },
}

impl fmt::Display for HasherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { size } => {
                write!(f, "the file has more than the {size} bytes that its header announces")
            }
            Self::TooShort { size, received } => {
                write!(f, "the file ends after {received} of the {size} bytes that its header announces")
            }
        }
    }
}

impl std::error::Error for HasherError {}

impl fmt::Debug for FileHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileHasher")
            .field("size", &self.size)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

impl FileHasher {
    /// For a file of exactly `size` bytes.
    pub fn new(size: u64) -> Self {
        Self { size, received: 0, block: Sha256::new(), hashes: Vec::new(), surveyor: Surveyor::new(size) }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, mut data: &[u8]) -> Result<(), HasherError> {
        if data.len() as u64 > self.size - self.received {
            return Err(HasherError::TooLong { size: self.size });
        }
        self.surveyor.update(self.received, data);
        while !data.is_empty() {
            let filled = (self.received % BLOCK_SIZE as u64) as usize;
            let (piece, rest) = data.split_at(data.len().min(BLOCK_SIZE - filled));
            self.received += piece.len() as u64;
            if piece.len() == BLOCK_SIZE {
                self.hashes.push(hash_block(piece));
            } else {
                self.block.update(piece);
                if filled + piece.len() == BLOCK_SIZE {
                    self.hashes.push(self.block.finalize_reset().into());
                }
            }
            data = rest;
        }
        Ok(())
    }

    /// The summary, once all bytes have come.
    pub fn finish(mut self) -> Result<FileSummary, HasherError> {
        if self.received != self.size {
            return Err(HasherError::TooShort { size: self.size, received: self.received });
        }
        let filled = (self.size % BLOCK_SIZE as u64) as usize;
        if filled != 0 {
            self.block.update(&[0; BLOCK_SIZE][filled..]);
            self.hashes.push(self.block.finalize_reset().into());
        }
        debug_assert_eq!(self.hashes.len() as u64, block_count(self.size));
        let digest = descriptor_digest(self.size, &root_hash(&self.hashes));
        if stored_hashes(self.size) == 0 {
            self.hashes.clear();
        }
        let sites = self.surveyor.finish();
        Ok(FileSummary { size: self.size, digest, hashes: self.hashes.into(), sites: sites.into() })
    }
}
