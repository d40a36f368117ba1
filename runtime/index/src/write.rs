//! Writing the merged tree as an index file.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use crate::hasher::FileSummary;
use crate::inode::FileKind;
use crate::layer::{Attributes, LayerError};
use crate::layout::{ENTRY_SIZE, Header, INODE_SIZE, Sections};
use crate::merge::{NodeContent, NodeId, ROOT, Tree};
use crate::verity::{BLOCK_SIZE, DIGEST_SIZE, Digest, descriptor_digest, hash_block, parents};

/// An index file and the digest that vouches for it.
#[derive(Clone, PartialEq, Eq)]
pub struct IndexBytes {
    /// The file.
    pub bytes: Vec<u8>,
    /// fs-verity digest of its body, for the manifest.
    pub root_digest: Digest,
}

impl fmt::Debug for IndexBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexBytes").field("length", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// Numbers the inodes directory by directory, breadth first, so that what lies in one directory lies together and
/// directories are numbered after their parents; then writes section by section.
pub(crate) fn write_index(tree: &Tree<'_>) -> Result<IndexBytes, LayerError> {
    let order = Order::of(tree);
    let mut sections = SectionBytes::default();
    for &node in &order.nodes {
        sections.add_inode(tree, &order, node)?;
    }
    sections.assemble(order.nodes.len())
}

/// Which nodes are reachable, and their numbers.
struct Order {
    /// In the order of their numbers, from 1 on.
    nodes: Vec<NodeId>,
    /// By node: number, names, and for directories the parent's number.
    facts: Vec<Facts>,
}

#[derive(Clone, Copy, Default)]
struct Facts {
    /// 0: not reached.
    number: u32,
    links: u32,
    parent: u32,
}

impl Order {
    fn of(tree: &Tree<'_>) -> Self {
        let mut order = Self { nodes: vec![ROOT], facts: vec![Facts::default(); tree.nodes.len()] };
        order.facts[ROOT] = Facts { number: 1, links: 2, parent: 1 };
        let mut queue = VecDeque::from([ROOT]);
        while let Some(directory) = queue.pop_front() {
            let NodeContent::Directory(children) = &tree.nodes[directory].content else { continue };
            let parent = order.facts[directory].number;
            for &child in children.values() {
                let is_directory = tree.nodes[child].content.kind() == FileKind::Directory;
                if order.facts[child].number == 0 {
                    order.nodes.push(child);
                    order.facts[child] = Facts { number: order.nodes.len() as u32, links: 0, parent };
                }
                order.facts[child].links += if is_directory { 2 } else { 1 };
                if is_directory {
                    order.facts[directory].links += 1;
                    queue.push_back(child);
                }
            }
        }
        order
    }
}

/// The sections under way. Block digests are copied once, into the finished file.
#[derive(Default)]
struct SectionBytes<'a> {
    inodes: Vec<u8>,
    entries: Vec<u8>,
    names: Vec<u8>,
    hashes: Vec<&'a FileSummary>,
    hash_count: u64,
    sites: Vec<u8>,
    auxiliary: Vec<u8>,
    /// First hash and first site of contents written already: equal contents share them.
    contents: HashMap<Digest, (u64, u64)>,
}

/// The three numbers of an inode record that depend on its kind, and its size field.
#[derive(Default)]
struct ContentFields {
    size: u64,
    position: u64,
    first: u64,
    second: u64,
}

impl<'a> SectionBytes<'a> {
    fn add_inode(&mut self, tree: &Tree<'a>, order: &Order, node: NodeId) -> Result<(), LayerError> {
        let facts = order.facts[node];
        let Attributes { permissions, uid, gid, mtime, .. } = *tree.nodes[node].attributes;
        let content = &tree.nodes[node].content;
        let mut fields = ContentFields::default();
        let mut device = Default::default();
        let mut digest = [0; DIGEST_SIZE];
        match content {
            NodeContent::Directory(children) => {
                fields.position = (self.entries.len() / ENTRY_SIZE) as u64;
                fields.first = facts.parent.into();
                fields.second = children.len() as u64;
                for (name, &child) in children {
                    self.add_entry(name, order.facts[child].number, tree.nodes[child].content.kind())?;
                }
            }
            NodeContent::File(summary) => {
                digest = summary.digest;
                fields = self.add_content(summary);
            }
            NodeContent::Symlink(target) => {
                fields.size = target.len() as u64;
                fields.position = self.auxiliary.len() as u64;
                self.auxiliary.extend_from_slice(target);
            }
            NodeContent::Special(_, number) => device = *number,
        }
        let (xattr_offset, xattr_length) = self.add_xattrs(tree.nodes[node].attributes);

        let mut record = [0; INODE_SIZE];
        let mut put =
            |offset: usize, bytes: &[u8]| record[offset..offset + bytes.len()].copy_from_slice(bytes);
        put(0, &(content.kind().mode_bits() | u32::from(permissions)).to_le_bytes());
        put(4, &uid.to_le_bytes());
        put(8, &gid.to_le_bytes());
        put(12, &facts.links.to_le_bytes());
        put(16, &mtime.seconds.to_le_bytes());
        put(24, &mtime.nanoseconds.to_le_bytes());
        put(28, &device.major.to_le_bytes());
        put(32, &device.minor.to_le_bytes());
        put(36, &xattr_length.to_le_bytes());
        put(40, &xattr_offset.to_le_bytes());
        put(48, &fields.size.to_le_bytes());
        put(56, &fields.position.to_le_bytes());
        put(64, &fields.first.to_le_bytes());
        put(72, &fields.second.to_le_bytes());
        put(80, &digest);
        self.inodes.extend_from_slice(&record);
        Ok(())
    }

    fn add_entry(&mut self, name: &[u8], number: u32, kind: FileKind) -> Result<(), LayerError> {
        // A name never crosses a block's edge, so that the reader can compare it where it lies.
        let room = BLOCK_SIZE - self.names.len() % BLOCK_SIZE;
        if name.len() > room {
            self.names.resize(self.names.len() + room, 0);
        }
        let offset = u32::try_from(self.names.len()).map_err(|_| too_large())?;
        self.names.extend_from_slice(name);
        self.entries.extend_from_slice(&offset.to_le_bytes());
        self.entries.extend_from_slice(&number.to_le_bytes());
        self.entries.extend_from_slice(&[name.len() as u8, kind as u8, 0, 0, 0, 0, 0, 0]);
        Ok(())
    }

    fn add_content(&mut self, summary: &'a FileSummary) -> ContentFields {
        let next = (self.hash_count, (self.sites.len() / 8) as u64);
        let (position, first) = *self.contents.entry(summary.digest).or_insert(next);
        if (position, first) == next {
            self.hash_count += summary.hashes.len() as u64;
            if !summary.hashes.is_empty() {
                self.hashes.push(summary);
            }
            for site in summary.sites.iter() {
                self.sites.extend_from_slice(&site.encode());
            }
        }
        ContentFields { size: summary.size, position, first, second: summary.sites.len() as u64 }
    }

    fn add_xattrs(&mut self, attributes: &Attributes) -> (u64, u32) {
        let start = self.auxiliary.len();
        for (name, value) in &attributes.xattrs {
            self.auxiliary.extend_from_slice(&(name.len() as u16).to_le_bytes());
            self.auxiliary.extend_from_slice(&(value.len() as u32).to_le_bytes());
            self.auxiliary.extend_from_slice(name);
            self.auxiliary.extend_from_slice(value);
        }
        let length = self.auxiliary.len() - start;
        if length == 0 { (0, 0) } else { (start as u64, length as u32) }
    }

    fn assemble(self, inode_count: usize) -> Result<IndexBytes, LayerError> {
        let length = |bytes: &Vec<u8>| bytes.len() as u64;
        let lengths = [
            length(&self.inodes),
            length(&self.entries),
            length(&self.names),
            self.hash_count * DIGEST_SIZE as u64,
            length(&self.sites),
            length(&self.auxiliary),
        ];
        let (sections, body_blocks) = Sections::lay_out(lengths).ok_or_else(too_large)?;
        let inode_count = u32::try_from(inode_count).map_err(|_| too_large())?;
        let header = Header { body_blocks, inode_count, sections };
        let mut body = vec![0; body_blocks as usize * BLOCK_SIZE];
        let mut put =
            |offset: u64, bytes: &[u8]| body[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        put(0, &header.encode());
        put(sections.inodes.offset, &self.inodes);
        put(sections.entries.offset, &self.entries);
        put(sections.names.offset, &self.names);
        let mut offset = sections.hashes.offset;
        for summary in self.hashes {
            put(offset, summary.hashes.as_flattened());
            offset += (summary.hashes.len() * DIGEST_SIZE) as u64;
        }
        put(sections.sites.offset, &self.sites);
        put(sections.auxiliary.offset, &self.auxiliary);
        Ok(append_tree(body))
    }
}

/// Appends the Merkle tree of the body, of at least two blocks, top level first.
fn append_tree(mut body: Vec<u8>) -> IndexBytes {
    let size = body.len() as u64;
    let (blocks, _) = body.as_chunks::<BLOCK_SIZE>();
    let mut levels: Vec<Vec<Digest>> = vec![blocks.iter().map(|block| hash_block(block)).collect()];
    while let Some(level) = levels.last().filter(|level| level.len() > 1) {
        levels.push(parents(level));
    }
    let root_hash = levels.pop().map_or([0; DIGEST_SIZE], |top| top[0]);
    for level in levels.iter().rev() {
        body.extend_from_slice(level.as_flattened());
        body.resize(body.len().next_multiple_of(BLOCK_SIZE), 0);
    }
    IndexBytes { bytes: body, root_digest: descriptor_digest(size, &root_hash) }
}

fn too_large() -> LayerError {
    LayerError("the image has more files than an index can hold (4 GiB of metadata); leave some out".into())
}
