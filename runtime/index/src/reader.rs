//! Answering questions about the image: the part of this crate that the library OS uses.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::blocks::{BlockSource, BlockTree};
use crate::error::Error;
use crate::file::{FileVerifier, Sites};
use crate::inode::{Content, FileKind, Inode, InodeNumber};
use crate::layout::{ENTRY_SIZE, Header, INODE_SIZE, decode_inode, u16_at, u32_at};
use crate::verity::Digest;

/// An open index. Many threads may use it at once; what it has authenticated it keeps.
#[derive(Debug)]
pub struct Index {
    pub(crate) tree: BlockTree,
    pub(crate) header: Header,
}

/// One name in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryEntry<'a> {
    /// The name, without a slash; `.` and `..` are not listed.
    pub name: &'a [u8],
    /// What it names.
    pub inode: InodeNumber,
    /// That inode's kind.
    pub kind: FileKind,
}

/// Name and value of an extended attribute.
pub type Xattr = (Vec<u8>, Vec<u8>);

impl Index {
    /// Opens the index that `source` holds and `root_digest` vouches for. Reads a handful of blocks, whatever the
    /// index's size.
    pub fn open(source: impl BlockSource + 'static, root_digest: &Digest) -> Result<Self, Error> {
        let tree = BlockTree::open(Box::new(source), root_digest)?;
        let header = Header::decode(tree.block(0)?)?;
        let index = Self { tree, header };
        match index.inode(InodeNumber::ROOT)?.kind {
            FileKind::Directory => Ok(index),
            _ => Err(Error::Malformed("its root is not a directory")),
        }
    }

    /// The root directory's number.
    pub fn root(&self) -> InodeNumber {
        InodeNumber::ROOT
    }

    /// How many inodes there are; their numbers are 1 to this.
    pub fn inode_count(&self) -> u32 {
        self.header.inode_count
    }

    /// The inode of this number.
    pub fn inode(&self, number: InodeNumber) -> Result<Inode, Error> {
        decode_inode(number, self.inode_record(number)?, &self.header)
    }

    /// What `name` is in directory `directory`; `None` when there is no such name. `.` and `..` are not names here:
    /// see [`Index::parent`].
    pub fn lookup(&self, directory: InodeNumber, name: &[u8]) -> Result<Option<InodeNumber>, Error> {
        let (first, count) = self.entries_of(directory)?;
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            let record = self.tree.record(self.header.sections.entries, first + u64::from(middle))?;
            match self.entry_name(record)?.cmp(name) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(Some(self.decode_entry(directory, record)?.inode)),
            }
        }
        Ok(None)
    }

    /// The entry at `position` (0, 1, …) of a directory, in the names' byte order; `None` past the last.
    pub fn read_dir(
        &self,
        directory: InodeNumber,
        position: u32,
    ) -> Result<Option<DirectoryEntry<'_>>, Error> {
        let (first, count) = self.entries_of(directory)?;
        if position >= count {
            return Ok(None);
        }
        let record = self.tree.record(self.header.sections.entries, first + u64::from(position))?;
        self.decode_entry(directory, record).map(Some)
    }

    /// The directory that holds `directory`; the root's is itself.
    pub fn parent(&self, directory: InodeNumber) -> Result<InodeNumber, Error> {
        match self.inode(directory)?.content {
            Content::Directory { parent, .. } => Ok(InodeNumber(parent)),
            _ => Err(Error::WrongKind("a directory")),
        }
    }

    /// The target of a symbolic link.
    pub fn symlink_target(&self, link: InodeNumber) -> Result<Vec<u8>, Error> {
        match self.inode(link)?.content {
            Content::Symlink(extent) => {
                self.tree.copy(self.header.sections.auxiliary, extent.offset, extent.length as usize)
            }
            _ => Err(Error::WrongKind("a symbolic link")),
        }
    }

    /// The extended attributes, names and values, in the names' byte order.
    pub fn xattrs(&self, number: InodeNumber) -> Result<Vec<Xattr>, Error> {
        let extent = self.inode(number)?.xattrs;
        let bytes = self.tree.copy(self.header.sections.auxiliary, extent.offset, extent.length as usize)?;
        let mut rest = bytes.as_slice();
        let mut take = |length: usize| {
            let (head, tail) = rest.split_at_checked(length)?;
            rest = tail;
            Some(head)
        };
        let mut xattrs = Vec::new();
        // Each: length of the name (u16), length of the value (u32), name, value.
        while let Some(lengths) = take(6) {
            let name = take(u16_at(lengths, 0).into());
            let value = take(u32_at(lengths, 2) as usize);
            match (name, value) {
                (Some(name), Some(value)) => xattrs.push((name.to_vec(), value.to_vec())),
                _ => return Err(Error::Malformed("extended attributes are cut off")),
            }
        }
        if rest.is_empty() { Ok(xattrs) } else { Err(Error::Malformed("extended attributes are cut off")) }
    }

    /// What is needed to check a regular file's data; keep it while the file is open.
    pub fn file_verifier(&self, file: InodeNumber) -> Result<FileVerifier, Error> {
        FileVerifier::new(&self.inode(file)?)
    }

    /// Checks one block of a file's data, see [`FileVerifier::verify_block`].
    pub fn verify_block(&self, file: InodeNumber, block: u64, data: &[u8]) -> Result<(), Error> {
        self.file_verifier(file)?.verify_block(self, block, data)
    }

    /// The system-call sites of a regular file; none for files that are no x86-64 programs.
    pub fn syscall_sites(&self, file: InodeNumber) -> Result<Sites, Error> {
        Sites::new(&self.inode(file)?)
    }

    fn inode_record(&self, number: InodeNumber) -> Result<&[u8; INODE_SIZE], Error> {
        if number.0 == 0 || number.0 > self.header.inode_count {
            return Err(Error::NoSuchInode(number.0));
        }
        self.tree.record(self.header.sections.inodes, u64::from(number.0) - 1)
    }

    /// First entry and number of entries of a directory.
    fn entries_of(&self, directory: InodeNumber) -> Result<(u64, u32), Error> {
        match self.inode(directory)?.content {
            Content::Directory { first_entry, entry_count, .. } => Ok((first_entry, entry_count)),
            _ => Err(Error::WrongKind("a directory")),
        }
    }

    fn entry_name(&self, record: &[u8; ENTRY_SIZE]) -> Result<&[u8], Error> {
        self.tree.slice(self.header.sections.names, u32_at(record, 0).into(), record[8].into())
    }

    fn decode_entry(
        &self,
        directory: InodeNumber,
        record: &[u8; ENTRY_SIZE],
    ) -> Result<DirectoryEntry<'_>, Error> {
        let kind = FileKind::from_dt(record[9]).ok_or(Error::Malformed("an entry is of an unknown kind"))?;
        let inode = InodeNumber(u32_at(record, 4));
        // Directories are numbered after their parents, so walking down always ends.
        if kind == FileKind::Directory && inode <= directory {
            return Err(Error::Malformed("a directory lies inside itself"));
        }
        Ok(DirectoryEntry { name: self.entry_name(record)?, inode, kind })
    }
}
