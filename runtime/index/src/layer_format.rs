//! A layer table's bytes, for the build cache. `docs/formats/index.md`, last section.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::hasher::FileSummary;
use crate::inode::{Device, Timestamp};
use crate::layer::{Attributes, Entry, LayerError, LayerTable, SpecialKind};
use crate::layout::stored_hashes;
use crate::site::Site;
use crate::survey::SURVEY_VERSION;
use crate::verity::{DIGEST_SIZE, Digest, descriptor_digest, root_hash};

const MAGIC: [u8; 8] = *b"CSMTLAYR";
const VERSION: u32 = 1;

impl LayerTable {
    /// The table's bytes: the same entries in the same order give the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&SURVEY_VERSION.to_le_bytes());
        put_bytes(&mut out, self.label.as_bytes());
        out.extend_from_slice(&(self.entries.len() as u64).to_le_bytes());
        for (path, entry) in &self.entries {
            put_bytes(&mut out, path);
            put_entry(&mut out, entry);
        }
        let checksum = Sha256::digest(&out);
        out.extend_from_slice(&checksum);
        out
    }

    /// Reads a table back. Damaged bytes and other versions' tables are errors; make the table again then.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LayerError> {
        let damaged = || LayerError("the layer table is damaged; delete it and build again".into());
        let (content, checksum) = bytes.split_last_chunk::<DIGEST_SIZE>().ok_or_else(damaged)?;
        let mut reader = Reader { rest: content };
        if reader.take(8) != Some(&MAGIC) {
            return Err(LayerError("this is not a layer table".into()));
        }
        if reader.u32() != Some(VERSION) || reader.u32() != Some(SURVEY_VERSION) {
            return Err(LayerError(
                "the layer table was made by another version; delete it and build again".into(),
            ));
        }
        if Digest::from(Sha256::digest(content)) != *checksum {
            return Err(damaged());
        }
        let label =
            reader.bytes().and_then(|label| String::from_utf8(label.to_vec()).ok()).ok_or_else(damaged)?;
        let mut table = Self::new(label);
        for _ in 0..reader.u64().ok_or_else(damaged)? {
            let path = reader.bytes().ok_or_else(damaged)?;
            let entry = reader.entry().ok_or_else(damaged)?;
            // The root is kept as an empty path, which `add` knows as `.`.
            table.add(if path.is_empty() { b"." } else { path }, entry)?;
        }
        if reader.rest.is_empty() { Ok(table) } else { Err(damaged()) }
    }
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    match entry {
        Entry::Directory(attributes) => {
            out.push(1);
            put_attributes(out, attributes);
        }
        Entry::File(summary, attributes) => {
            out.push(2);
            put_attributes(out, attributes);
            out.extend_from_slice(&summary.size.to_le_bytes());
            out.extend_from_slice(&summary.digest);
            out.extend_from_slice(summary.hashes.as_flattened());
            out.extend_from_slice(&(summary.sites.len() as u32).to_le_bytes());
            for site in summary.sites.iter() {
                out.extend_from_slice(&site.encode());
            }
        }
        Entry::Symlink(target, attributes) => {
            out.push(3);
            put_attributes(out, attributes);
            put_bytes(out, target);
        }
        Entry::Special(kind, device, attributes) => {
            out.push(match kind {
                SpecialKind::CharDevice => 4,
                SpecialKind::BlockDevice => 5,
                SpecialKind::Fifo => 6,
                SpecialKind::Socket => 7,
            });
            put_attributes(out, attributes);
            out.extend_from_slice(&device.major.to_le_bytes());
            out.extend_from_slice(&device.minor.to_le_bytes());
        }
        Entry::HardLink(target) => {
            out.push(8);
            put_bytes(out, target);
        }
        Entry::Whiteout => out.push(9),
        Entry::Opaque => out.push(10),
    }
}

fn put_attributes(out: &mut Vec<u8>, attributes: &Attributes) {
    out.extend_from_slice(&attributes.permissions.to_le_bytes());
    out.extend_from_slice(&attributes.uid.to_le_bytes());
    out.extend_from_slice(&attributes.gid.to_le_bytes());
    out.extend_from_slice(&attributes.mtime.seconds.to_le_bytes());
    out.extend_from_slice(&attributes.mtime.nanoseconds.to_le_bytes());
    out.extend_from_slice(&(attributes.xattrs.len() as u32).to_le_bytes());
    for (name, value) in &attributes.xattrs {
        put_bytes(out, name);
        put_bytes(out, value);
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Takes values off the front; `None` once the bytes run out or make no sense.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(length)?;
        self.rest = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(usize::try_from(length).ok()?)
    }

    fn entry(&mut self) -> Option<Entry> {
        Some(match self.array()? {
            [1] => Entry::Directory(self.attributes()?),
            [2] => {
                let attributes = self.attributes()?;
                Entry::File(self.summary()?, attributes)
            }
            [3] => {
                let attributes = self.attributes()?;
                Entry::Symlink(self.bytes()?.to_vec(), attributes)
            }
            [tag @ 4..=7] => {
                let kind = match tag {
                    4 => SpecialKind::CharDevice,
                    5 => SpecialKind::BlockDevice,
                    6 => SpecialKind::Fifo,
                    _ => SpecialKind::Socket,
                };
                let attributes = self.attributes()?;
                Entry::Special(kind, Device { major: self.u32()?, minor: self.u32()? }, attributes)
            }
            [8] => Entry::HardLink(self.bytes()?.to_vec()),
            [9] => Entry::Whiteout,
            [10] => Entry::Opaque,
            _ => return None,
        })
    }

    fn attributes(&mut self) -> Option<Attributes> {
        let permissions = u16::from_le_bytes(self.array()?);
        let (uid, gid) = (self.u32()?, self.u32()?);
        let mtime = Timestamp { seconds: self.u64()? as i64, nanoseconds: self.u32()? };
        let mut xattrs = BTreeMap::new();
        for _ in 0..self.u32()? {
            let name = self.bytes()?.to_vec();
            xattrs.insert(name, self.bytes()?.to_vec());
        }
        Some(Attributes { permissions, uid, gid, mtime, xattrs })
    }

    fn summary(&mut self) -> Option<FileSummary> {
        let size = self.u64()?;
        let digest: Digest = self.array()?;
        let length = usize::try_from(stored_hashes(size)).ok()?.checked_mul(DIGEST_SIZE)?;
        let (hashes, _) = self.take(length)?.as_chunks::<DIGEST_SIZE>();
        if !hashes.is_empty() && descriptor_digest(size, &root_hash(hashes)) != digest {
            return None;
        }
        let count = usize::try_from(self.u32()?).ok()?;
        let (records, _) = self.take(count.checked_mul(8)?)?.as_chunks::<8>();
        let sites: Vec<Site> = records.iter().map(Site::decode).collect::<Option<_>>()?;
        let sorted = sites.is_sorted_by(|one, next| one.offset() < next.offset());
        let inside =
            sites.last().is_none_or(|last| u64::from(last.offset()) + last.code_length() as u64 <= size);
        (sorted && inside).then(|| FileSummary { size, digest, hashes: hashes.into(), sites: sites.into() })
    }
}
