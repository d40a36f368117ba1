//! Checking a regular file's data, and listing its system-call sites.

use core::ops::Range;

use crate::error::Error;
use crate::inode::{Content, Inode};
use crate::layout::{HASH_SIZE, SITE_SIZE, stored_hashes};
use crate::reader::Index;
use crate::site::Site;
use crate::verity::{BLOCK_SIZE, Digest, block_length, descriptor_digest, hash_block};

/// Checks the data of one regular file, block by block, each for the cost of one hash.
///
/// It holds no state of its own, so an open file can keep a copy and threads can share it: the digests it compares
/// with lie in the index, whose blocks are authenticated once and then kept for every file and every opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVerifier {
    size: u64,
    digest: Digest,
    first_hash: u64,
}

impl FileVerifier {
    /// For this inode, which must be a regular file's.
    pub fn new(inode: &Inode) -> Result<Self, Error> {
        match inode.content {
            Content::Regular { first_hash, .. } => {
                Ok(Self { size: inode.size, digest: inode.digest, first_hash })
            }
            _ => Err(Error::WrongKind("a regular file")),
        }
    }

    /// The file's size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Number of bytes in block `block` of the file: 4096, or less for the last one; `None` past the end.
    pub fn block_length(&self, block: u64) -> Option<usize> {
        block_length(self.size, block)
    }

    /// Checks that `data` is block `block` of the file, whole: exactly [`FileVerifier::block_length`] bytes.
    ///
    /// `data` must already lie where the host cannot change it, or the check says nothing.
    pub fn verify_block(&self, index: &Index, block: u64, data: &[u8]) -> Result<(), Error> {
        let wrong = Error::WrongData { block };
        if self.block_length(block) != Some(data.len()) {
            return Err(wrong);
        }
        let hash = hash_block(data);
        let right = if stored_hashes(self.size) == 0 {
            descriptor_digest(self.size, &hash) == self.digest
        } else {
            let position = self.first_hash.checked_add(block).ok_or(wrong)?;
            hash == *index.tree.record::<HASH_SIZE>(index.header.sections.hashes, position)?
        };
        if right { Ok(()) } else { Err(wrong) }
    }

    /// Checks a run of whole blocks from `first_block` on; the last may be the file's short last one. The error names
    /// the first block that is wrong.
    pub fn verify_run(&self, index: &Index, first_block: u64, data: &[u8]) -> Result<(), Error> {
        for (i, piece) in data.chunks(BLOCK_SIZE).enumerate() {
            let block = first_block.checked_add(i as u64).ok_or(Error::WrongData { block: first_block })?;
            self.verify_block(index, block, piece)?;
        }
        Ok(())
    }
}

/// The system-call sites of one file, in the order of their places in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sites {
    first: u64,
    count: u32,
}

impl Sites {
    pub(crate) fn new(inode: &Inode) -> Result<Self, Error> {
        match inode.content {
            Content::Regular { first_site, site_count, .. } => {
                Ok(Self { first: first_site, count: site_count })
            }
            _ => Err(Error::WrongKind("a regular file")),
        }
    }

    /// Number of sites.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Site `position` (below [`Sites::len`]).
    pub fn get(&self, index: &Index, position: u32) -> Result<Site, Error> {
        if position >= self.count {
            return Err(Error::Malformed("a record lies outside its section"));
        }
        let record =
            index.tree.record::<SITE_SIZE>(index.header.sections.sites, self.first + u64::from(position))?;
        Site::decode(record).ok_or(Error::Malformed("a system-call site is out of range"))
    }

    /// The sites whose first byte lies in `offsets` (of the file). One at the range's end may reach past it: see
    /// [`Site::code_length`].
    pub fn in_range<'a>(
        &self,
        index: &'a Index,
        offsets: Range<u64>,
    ) -> impl Iterator<Item = Result<Site, Error>> + use<'a> {
        let sites = *self;
        let (mut position, mut failed) = match sites.position_of(index, offsets.start) {
            Ok(position) => (position, None),
            Err(error) => (sites.count, Some(error)),
        };
        core::iter::from_fn(move || {
            if let Some(error) = failed.take() {
                return Some(Err(error));
            }
            if position >= sites.count {
                return None;
            }
            let site = sites.get(index, position);
            position = match &site {
                Ok(site) if u64::from(site.offset()) < offsets.end => position + 1,
                Ok(_) => return None,
                Err(_) => sites.count,
            };
            Some(site)
        })
    }

    /// Position of the first site at or after `offset`.
    fn position_of(&self, index: &Index, offset: u64) -> Result<u32, Error> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if u64::from(self.get(index, middle)?.offset()) < offset {
                low = middle + 1
            } else {
                high = middle
            }
        }
        Ok(low)
    }
}
