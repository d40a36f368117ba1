//! The index file's bytes: what `docs/formats/index.md` describes. All numbers are little-endian.
//!
//! The *body* (header block, then the sections) is followed by the nodes of its Merkle tree, top level first.

use alloc::vec::Vec;

use crate::error::Error;
use crate::inode::{Content, Device, Extent, FileKind, Inode, InodeNumber, Timestamp};
use crate::verity::{BLOCK_SIZE, FAN_OUT, block_count};

pub(crate) const MAGIC: [u8; 8] = *b"CSMTINDX";
pub(crate) const VERSION: u32 = 1;
/// Most blocks that a body may have: 4 GiB, enough for about 400 GiB of files.
pub(crate) const MAX_BODY_BLOCKS: u64 = 1 << 20;

#[cfg(feature = "std")]
pub(crate) const HEADER_SIZE: usize = 128;
pub(crate) const INODE_SIZE: usize = 128;
pub(crate) const ENTRY_SIZE: usize = 16;
pub(crate) const HASH_SIZE: usize = 32;
pub(crate) const SITE_SIZE: usize = 8;

/// Longest name of a directory entry, in bytes (`NAME_MAX`).
#[cfg(feature = "std")]
pub(crate) const MAX_NAME: usize = 255;
/// Longest target of a symbolic link, in bytes (`PATH_MAX` less the NUL).
pub(crate) const MAX_TARGET: usize = 4095;
/// Most bytes of one inode's extended attributes, encoded.
pub(crate) const MAX_XATTRS: usize = 1 << 20;
/// Longest value of an extended attribute (`XATTR_SIZE_MAX`).
#[cfg(feature = "std")]
pub(crate) const MAX_XATTR_VALUE: usize = 65536;

/// A section of the body, in bytes from the file's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Section {
    pub offset: u64,
    pub length: u64,
}

/// The sections, in the order in which they lie in the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sections {
    pub inodes: Section,
    pub entries: Section,
    pub names: Section,
    pub hashes: Section,
    pub sites: Section,
    pub auxiliary: Section,
}

impl Sections {
    /// Lays out sections of these lengths behind the header; also gives the number of blocks of the body.
    pub fn lay_out(lengths: [u64; 6]) -> Option<(Self, u64)> {
        let mut next_block = 1;
        let mut place = |length: u64| -> Option<Section> {
            let offset = next_block * BLOCK_SIZE as u64;
            next_block += block_count(length);
            (next_block <= MAX_BODY_BLOCKS).then_some(Section { offset, length })
        };
        let [inodes, entries, names, hashes, sites, auxiliary] = lengths;
        let sections = Self {
            inodes: place(inodes)?,
            entries: place(entries)?,
            names: place(names)?,
            hashes: place(hashes)?,
            sites: place(sites)?,
            auxiliary: place(auxiliary)?,
        };
        Some((sections, next_block))
    }

    pub fn in_order(&self) -> [Section; 6] {
        [self.inodes, self.entries, self.names, self.hashes, self.sites, self.auxiliary]
    }
}

/// Block 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub body_blocks: u64,
    pub inode_count: u32,
    pub sections: Sections,
}

impl Header {
    /// The size of the body as block 0 claims it, before anything is authenticated.
    pub fn claimed_body_blocks(block: &[u8; BLOCK_SIZE]) -> Result<u64, Error> {
        if block[..8] != MAGIC {
            return Err(Error::Malformed("it does not begin with CSMTINDX"));
        }
        if u32_at(block, 8) != VERSION {
            return Err(Error::Malformed("it is of another version than 1; build the image again"));
        }
        let body_blocks = u64_at(block, 16);
        if u32_at(block, 12) != BLOCK_SIZE as u32 || !(2..=MAX_BODY_BLOCKS).contains(&body_blocks) {
            return Err(Error::Malformed("its size is out of range"));
        }
        Ok(body_blocks)
    }

    pub fn decode(block: &[u8; BLOCK_SIZE]) -> Result<Self, Error> {
        let body_blocks = Self::claimed_body_blocks(block)?;
        let inode_count = u32_at(block, 24);
        let lengths = core::array::from_fn(|section| u64_at(block, 40 + section * 16));
        let (sections, end) =
            Sections::lay_out(lengths).ok_or(Error::Malformed("a section is longer than the body"))?;
        let offsets_agree = sections
            .in_order()
            .iter()
            .enumerate()
            .all(|(i, section)| u64_at(block, 32 + i * 16) == section.offset);
        let whole_records = [INODE_SIZE, ENTRY_SIZE, 1, HASH_SIZE, SITE_SIZE, 1]
            .iter()
            .zip(lengths)
            .all(|(size, length)| length % *size as u64 == 0);
        if !offsets_agree || end != body_blocks || !whole_records {
            return Err(Error::Malformed("its sections do not fill the body"));
        }
        if inode_count == 0 || sections.inodes.length != u64::from(inode_count) * INODE_SIZE as u64 {
            return Err(Error::Malformed("the number of inodes does not match their section"));
        }
        Ok(Self { body_blocks, inode_count, sections })
    }

    #[cfg(feature = "std")]
    pub fn encode(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(BLOCK_SIZE as u32).to_le_bytes());
        bytes[16..24].copy_from_slice(&self.body_blocks.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.inode_count.to_le_bytes());
        for (i, section) in self.sections.in_order().iter().enumerate() {
            bytes[32 + i * 16..40 + i * 16].copy_from_slice(&section.offset.to_le_bytes());
            bytes[40 + i * 16..48 + i * 16].copy_from_slice(&section.length.to_le_bytes());
        }
        bytes
    }
}

/// Number of nodes in each level of the tree over `body_blocks` blocks, from the one above the data to the top.
pub(crate) fn tree_levels(body_blocks: u64) -> Vec<u64> {
    let mut levels = Vec::new();
    let mut count = body_blocks;
    while count > 1 {
        count = count.div_ceil(FAN_OUT as u64);
        levels.push(count);
    }
    levels
}

pub(crate) fn decode_inode(
    number: InodeNumber,
    record: &[u8; INODE_SIZE],
    header: &Header,
) -> Result<Inode, Error> {
    let mode = u32_at(record, 0);
    let kind = u8::try_from(mode >> 12)
        .ok()
        .and_then(FileKind::from_dt)
        .ok_or(Error::Malformed("an inode is of an unknown kind"))?;
    let mtime = Timestamp { seconds: u64_at(record, 16) as i64, nanoseconds: u32_at(record, 24) };
    if mtime.nanoseconds >= 1_000_000_000 {
        return Err(Error::Malformed("an inode's time is out of range"));
    }
    let size = u64_at(record, 48);
    let xattrs = Extent { offset: u64_at(record, 40), length: u32_at(record, 36) };
    if xattrs.length as usize > MAX_XATTRS {
        return Err(Error::Malformed("an inode's extended attributes are too long"));
    }
    check_range(header.sections.auxiliary, 1, xattrs.offset, xattrs.length.into())?;
    Ok(Inode {
        number,
        kind,
        permissions: (mode & 0o7777) as u16,
        uid: u32_at(record, 4),
        gid: u32_at(record, 8),
        nlink: u32_at(record, 12),
        mtime,
        device: Device { major: u32_at(record, 28), minor: u32_at(record, 32) },
        size,
        digest: array_at(record, 80),
        has_xattrs: xattrs.length > 0,
        content: decode_content(kind, size, record, header)?,
        xattrs,
    })
}

fn decode_content(
    kind: FileKind,
    size: u64,
    record: &[u8; INODE_SIZE],
    header: &Header,
) -> Result<Content, Error> {
    let sections = &header.sections;
    let (position, first, second) = (u64_at(record, 56), u64_at(record, 64), u64_at(record, 72));
    let count = u32::try_from(second).map_err(|_| Error::Malformed("an inode's count is out of range"))?;
    Ok(match kind {
        FileKind::Directory => {
            check_range(sections.entries, ENTRY_SIZE, position, count.into())?;
            let parent = u32::try_from(first).ok().filter(|parent| (1..=header.inode_count).contains(parent));
            let parent = parent.ok_or(Error::Malformed("a directory's parent is out of range"))?;
            Content::Directory { first_entry: position, entry_count: count, parent }
        }
        FileKind::Regular => {
            if size > i64::MAX as u64 {
                return Err(Error::Malformed("a file's size is out of range"));
            }
            check_range(sections.hashes, HASH_SIZE, position, stored_hashes(size))?;
            check_range(sections.sites, SITE_SIZE, first, count.into())?;
            Content::Regular { first_hash: position, first_site: first, site_count: count }
        }
        FileKind::Symlink => {
            if size == 0 || size > MAX_TARGET as u64 {
                return Err(Error::Malformed("a symbolic link's length is out of range"));
            }
            check_range(sections.auxiliary, 1, position, size)?;
            Content::Symlink(Extent { offset: position, length: size as u32 })
        }
        _ => Content::None,
    })
}

/// Number of block digests kept for a file of this size: none when the file's own digest already tells the one block's.
pub(crate) fn stored_hashes(size: u64) -> u64 {
    if size <= BLOCK_SIZE as u64 { 0 } else { block_count(size) }
}

fn check_range(section: Section, record_size: usize, first: u64, count: u64) -> Result<(), Error> {
    let records = section.length / record_size as u64;
    match first.checked_add(count) {
        Some(end) if end <= records => Ok(()),
        _ => Err(Error::Malformed("an inode points outside its section")),
    }
}

pub(crate) fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[offset..offset + N]);
    array
}

pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, offset))
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, offset))
}

pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, offset))
}
