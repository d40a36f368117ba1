//! The index file's blocks, each authenticated when first touched and kept from then on.
//!
//! A block is copied into memory of our own, hashed there, and compared with the digest in its (equally
//! authenticated) parent node. No lock is held meanwhile: when two threads load the same block, one copy stays.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use once_cell::race::OnceBox;

use crate::error::Error;
use crate::layout::{Header, Section, array_at, tree_levels};
use crate::verity::{BLOCK_SIZE, DIGEST_SIZE, Digest, FAN_OUT, descriptor_digest, hash_block};

/// One block's bytes.
pub type Block = [u8; BLOCK_SIZE];

/// The source could not deliver; it logs the reason itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceError;

/// Where the index file's bytes come from. Nothing that it delivers is believed.
pub trait BlockSource: Send + Sync {
    /// Copies the file's block `number` into `out`. A block past the end of the file is an error.
    fn read_block(&self, number: u64, out: &mut Block) -> Result<(), SourceError>;
}

impl BlockSource for Vec<u8> {
    fn read_block(&self, number: u64, out: &mut Block) -> Result<(), SourceError> {
        let (blocks, _) = self.as_chunks::<BLOCK_SIZE>();
        *out = *usize::try_from(number).ok().and_then(|number| blocks.get(number)).ok_or(SourceError)?;
        Ok(())
    }
}

impl<T: BlockSource + ?Sized> BlockSource for alloc::sync::Arc<T> {
    fn read_block(&self, number: u64, out: &mut Block) -> Result<(), SourceError> {
        (**self).read_block(number, out)
    }
}

struct Level {
    /// Where the level lies in the file, in blocks.
    first_block: u64,
    blocks: Box<[OnceBox<Block>]>,
}

/// The body's blocks (level 0) under the tree's nodes.
pub(crate) struct BlockTree {
    source: Box<dyn BlockSource>,
    levels: Vec<Level>,
}

impl fmt::Debug for BlockTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockTree").field("levels", &self.levels.len()).finish_non_exhaustive()
    }
}

impl BlockTree {
    /// Reads block 0 and the tree's top node. The size that block 0 claims is believed, and memory for the table of
    /// blocks allocated, only when size and top node together give `root_digest`.
    pub fn open(source: Box<dyn BlockSource>, root_digest: &Digest) -> Result<Self, Error> {
        let body_blocks = Header::claimed_body_blocks(&*read(&*source, 0)?)?;
        let counts = tree_levels(body_blocks);
        let top_block = read(&*source, body_blocks)?;
        let root_hash = hash_block(&*top_block);
        if descriptor_digest(body_blocks * BLOCK_SIZE as u64, &root_hash) != *root_digest {
            return Err(Error::Unauthentic { block: body_blocks });
        }
        let mut levels = Vec::with_capacity(counts.len() + 1);
        let mut first_block = body_blocks;
        for &count in counts.iter().rev() {
            levels.push(Level::new(first_block, count));
            first_block += count;
        }
        levels.push(Level::new(0, body_blocks));
        levels.reverse();
        let tree = Self { source, levels };
        if let Some(top) = tree.levels.last().and_then(|level| level.blocks.first()) {
            let _ = top.set(top_block); // cannot be set already
        }
        Ok(tree)
    }

    /// The body's block `number`.
    pub fn block(&self, number: u64) -> Result<&Block, Error> {
        self.node(0, number)
    }

    #[inline]
    fn node(&self, level: usize, number: u64) -> Result<&Block, Error> {
        let slot = self.levels.get(level).and_then(|level| level.blocks.get(usize::try_from(number).ok()?));
        let slot = slot.ok_or(Error::Malformed("a block lies outside the index"))?;
        match slot.get() {
            Some(block) => Ok(block),
            None => self.load(slot, level, number),
        }
    }

    /// The top node is there from the beginning, so the recursion over the levels (4 at most) ends.
    #[cold]
    fn load<'a>(&'a self, slot: &'a OnceBox<Block>, level: usize, number: u64) -> Result<&'a Block, Error> {
        let parent = self.node(level + 1, number / FAN_OUT as u64)?;
        let expected: Digest = array_at(parent, (number as usize % FAN_OUT) * DIGEST_SIZE);
        let file_block = self.levels[level].first_block + number;
        let block = read(&*self.source, file_block)?;
        if hash_block(&*block) != expected {
            return Err(Error::Unauthentic { block: file_block });
        }
        slot.get_or_try_init(|| Ok(block))
    }

    /// Record `index` of a section. Records never cross a block's edge: their size divides a block's.
    #[inline]
    pub fn record<const N: usize>(&self, section: Section, index: u64) -> Result<&[u8; N], Error> {
        const { assert!(BLOCK_SIZE.is_multiple_of(N)) };
        if index >= section.length / N as u64 {
            return Err(Error::Malformed("a record lies outside its section"));
        }
        let offset = section.offset + index * N as u64;
        let block = self.block(offset / BLOCK_SIZE as u64)?;
        let (records, _) = block.as_chunks::<N>();
        Ok(&records[offset as usize % BLOCK_SIZE / N])
    }

    /// `length` bytes of a section that lie in one block.
    #[inline]
    pub fn slice(&self, section: Section, offset: u64, length: usize) -> Result<&[u8], Error> {
        if offset.checked_add(length as u64).is_none_or(|end| end > section.length) {
            return Err(Error::Malformed("a name lies outside its section"));
        }
        let block = self.block((section.offset + offset) / BLOCK_SIZE as u64)?;
        let start = offset as usize % BLOCK_SIZE;
        block.get(start..start + length).ok_or(Error::Malformed("a name crosses a block's edge"))
    }

    /// A copy of `length` bytes of a section, wherever they lie.
    pub fn copy(&self, section: Section, mut offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        if offset.checked_add(length as u64).is_none_or(|end| end > section.length) {
            return Err(Error::Malformed("data lies outside its section"));
        }
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let start = offset as usize % BLOCK_SIZE;
            let piece = (length - bytes.len()).min(BLOCK_SIZE - start);
            bytes.extend_from_slice(self.slice(section, offset, piece)?);
            offset += piece as u64;
        }
        Ok(bytes)
    }
}

impl Level {
    fn new(first_block: u64, count: u64) -> Self {
        Self { first_block, blocks: (0..count).map(|_| OnceBox::new()).collect() }
    }
}

fn read(source: &dyn BlockSource, number: u64) -> Result<Box<Block>, Error> {
    let mut block = Box::new([0; BLOCK_SIZE]);
    source.read_block(number, &mut block).map_err(|SourceError| Error::Source { block: number })?;
    Ok(block)
}
