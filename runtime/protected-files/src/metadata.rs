//! The metadata node.

use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::crypto::{FileKey, Seal, decrypt, encrypt};
use crate::layout::{HEAD_SIZE, MAX_SIZE, Node};
use crate::storage::Error;

const FILE_ID: u64 = 0x4650_5f53_4641_5247;
const MAJOR: u8 = 2;
const MINOR: u8 = 0;
/// A flush has begun.
const WRITE_PENDING: u8 = 1;
const PATH_SIZE: usize = 772;
/// Longest path in bytes; a NUL follows it.
pub const MAX_PATH: usize = PATH_SIZE - 1;

/// What anybody can read.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Plain {
    file_id: U64,
    major: u8,
    minor: u8,
    nonce: [u8; 32],
    mac: [u8; 16],
    flags: u8,
}

/// What is encrypted.
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Secret {
    path: [u8; PATH_SIZE],
    size: U64,
    /// Of the hash tree's root; zeros when there is none.
    pub(crate) root: Seal,
    /// The file's first bytes.
    pub(crate) head: [u8; HEAD_SIZE],
}

const PLAIN_SIZE: usize = size_of::<Plain>();
const SECRET_END: usize = PLAIN_SIZE + size_of::<Secret>();
const _: () = assert!(PLAIN_SIZE == 59 && SECRET_END == 3943);

impl Secret {
    pub(crate) fn new(path: &[u8]) -> Option<Secret> {
        let mut secret =
            Secret { path: [0; PATH_SIZE], size: 0.into(), root: Seal::default(), head: [0; HEAD_SIZE] };
        secret.set_path(path).then_some(secret)
    }

    /// Of which path this is the file; `false` when it cannot be.
    pub(crate) fn set_path(&mut self, path: &[u8]) -> bool {
        if path.is_empty() || path.len() > MAX_PATH || path.contains(&0) {
            return false;
        }
        self.path = [0; PATH_SIZE];
        self.path[..path.len()].copy_from_slice(path);
        true
    }

    pub(crate) fn path(&self) -> &[u8] {
        self.path.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    pub(crate) fn size(&self) -> u64 {
        self.size.get()
    }

    pub(crate) fn set_size(&mut self, size: u64) {
        self.size = size.into();
    }

    /// The metadata node with a nonce that was never used.
    pub(crate) fn encrypted(&self, key: &FileKey, nonce: [u8; 32]) -> Node {
        let mut node = [0; size_of::<Node>()];
        let secret = &mut node[PLAIN_SIZE..SECRET_END];
        secret.copy_from_slice(self.as_bytes());
        let mac = encrypt(&key.metadata_key(&nonce), secret);
        let plain = Plain { file_id: FILE_ID.into(), major: MAJOR, minor: MINOR, nonce, mac, flags: 0 };
        node[..PLAIN_SIZE].copy_from_slice(plain.as_bytes());
        node
    }
}

/// Whether this is the metadata node of a file whose flush did not end.
pub(crate) fn is_pending<E>(node: &Node) -> Result<bool, Error<E>> {
    Ok(plain(node)?.flags & WRITE_PENDING != 0)
}

/// Notes in a metadata node that a flush has begun.
pub(crate) fn set_pending(node: &mut Node) {
    node[PLAIN_SIZE - 1] |= WRITE_PENDING;
}

/// Opens a metadata node.
pub(crate) fn open<E>(node: &Node, key: &FileKey) -> Result<Secret, Error<E>> {
    let plain = plain(node)?;
    let mut bytes = *node;
    let seal = Seal { key: key.metadata_key(&plain.nonce), mac: plain.mac };
    let bytes = &mut bytes[PLAIN_SIZE..SECRET_END];
    if !decrypt(&seal, bytes) {
        return Err(Error::KeyOrMetadata);
    }
    let secret = Secret::read_from_bytes(bytes).map_err(|_| Error::Malformed)?;
    if secret.size() > MAX_SIZE || !secret.path.contains(&0) {
        return Err(Error::Malformed);
    }
    Ok(secret)
}

fn plain<E>(node: &Node) -> Result<Plain, Error<E>> {
    let (plain, _) = Plain::read_from_prefix(node).map_err(|_| Error::NotProtected)?;
    if plain.file_id.get() != FILE_ID {
        return Err(Error::NotProtected);
    }
    if (plain.major, plain.minor) != (MAJOR, MINOR) {
        return Err(Error::Version(plain.major, plain.minor));
    }
    Ok(plain)
}
