//! An open file: its bytes.

use alloc::boxed::Box;

use hashbrown::HashSet;

use crate::cache::Cache;
use crate::crypto::FileKey;
use crate::layout::{HEAD_SIZE, MAX_SIZE, METADATA, NODE_SIZE, Place, data_nodes, nodes_of};
use crate::metadata::{self, Secret};
use crate::storage::{Error, Storage};

static ZEROS: [u8; NODE_SIZE] = [0; NODE_SIZE];

/// A protected file. What is written reaches the storage with [`flush`](Self::flush), and before when it is much; dropping the file
/// loses the rest.
pub struct ProtectedFile<S> {
    pub(crate) storage: S,
    pub(crate) key: FileKey,
    pub(crate) metadata: Box<Secret>,
    pub(crate) cache: Cache,
    /// Data nodes that the storage has as the tree knows them. Those behind are in the cache, changed.
    pub(crate) stored: u64,
    /// Nodes of all kinds that the storage had after the last flush.
    pub(crate) nodes: u64,
    /// The metadata are not as they are stored.
    pub(crate) changed: bool,
    /// Nodes that are kept for recovery since a flush began that did not end.
    pub(crate) kept: HashSet<u64>,
}

impl<S: Storage> ProtectedFile<S> {
    /// Makes an empty file in an empty storage.
    pub fn create(storage: S, key: FileKey, path: &[u8]) -> Result<Self, Error<S::Error>> {
        let metadata = Secret::new(path).ok_or(Error::BadPath)?;
        let mut file = Self::with(storage, key, metadata);
        file.changed = true;
        file.flush()?;
        Ok(file)
    }

    /// Opens a file, which must be of this path when one is given. What a flush that was cut off left is recovered first.
    pub fn open(mut storage: S, key: FileKey, path: Option<&[u8]>) -> Result<Self, Error<S::Error>> {
        let mut node = Box::new([0; NODE_SIZE]);
        storage.read(METADATA, &mut node).map_err(Error::Storage)?;
        if metadata::is_pending(&node)? {
            Self::recover(&mut storage)?;
            storage.read(METADATA, &mut node).map_err(Error::Storage)?;
            if metadata::is_pending(&node)? {
                return Err(Error::NotRecoverable);
            }
        }
        let metadata = metadata::open(&node, &key)?;
        if path.is_some_and(|path| path != metadata.path()) {
            return Err(Error::OtherPath);
        }
        let mut file = Self::with(storage, key, metadata);
        file.stored = data_nodes(file.size());
        file.nodes = nodes_of(file.size());
        Ok(file)
    }

    fn with(storage: S, key: FileKey, metadata: Secret) -> Self {
        Self {
            storage,
            key,
            metadata: Box::new(metadata),
            cache: Cache::default(),
            stored: 0,
            nodes: 0,
            changed: false,
            kept: HashSet::new(),
        }
    }

    /// The path it was made for.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.metadata.path()
    }

    /// Makes it the file of another path.
    pub fn set_path(&mut self, path: &[u8]) -> Result<(), Error<S::Error>> {
        if !self.metadata.set_path(path) {
            return Err(Error::BadPath);
        }
        self.changed = true;
        Ok(())
    }

    /// Size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.metadata.size()
    }

    /// What it is kept in.
    pub fn storage(&mut self) -> &mut S {
        &mut self.storage
    }

    /// Reads from `offset`; how many bytes, fewer than fit into `to` only at the end of the file.
    pub fn read(&mut self, offset: u64, to: &mut [u8]) -> Result<usize, Error<S::Error>> {
        let count = self.size().saturating_sub(offset).min(to.len() as u64) as usize;
        let mut done = 0;
        while done < count {
            let (place, at) = locate(offset + done as u64);
            let from = match place {
                None => &self.metadata.head[at..],
                Some(index) => {
                    self.make_room()?;
                    &self.data(index)?[at..]
                }
            };
            let part = from.len().min(count - done);
            to[done..done + part].copy_from_slice(&from[..part]);
            done += part;
        }
        Ok(count)
    }

    /// Writes at `offset`. Between the old end and there come zeros. When it fails, some of it may be written.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error<S::Error>> {
        if bytes.is_empty() {
            return Ok(());
        }
        let end =
            offset.checked_add(bytes.len() as u64).filter(|end| *end <= MAX_SIZE).ok_or(Error::TooLarge)?;
        self.grow(offset)?;
        let mut done = 0;
        while done < bytes.len() {
            done += self.write_part(offset + done as u64, &bytes[done..])?;
        }
        debug_assert!(self.size() >= end);
        Ok(())
    }

    /// Cuts it off or lets it grow, by zeros.
    pub fn set_size(&mut self, size: u64) -> Result<(), Error<S::Error>> {
        if size > MAX_SIZE {
            return Err(Error::TooLarge);
        }
        if size < self.size() {
            let count = data_nodes(size);
            self.cache.keep_only(|place| is_used(place, count));
            self.stored = self.stored.min(count);
            self.metadata.set_size(size);
            self.changed = true;
        }
        self.grow(size)
    }

    /// Zeros up to `size`; nothing when it is as large already. What lies behind the end in its node may be anything.
    fn grow(&mut self, size: u64) -> Result<(), Error<S::Error>> {
        while self.size() < size {
            let missing = (size - self.size()).min(NODE_SIZE as u64) as usize;
            self.write_part(self.size(), &ZEROS[..missing])?;
        }
        Ok(())
    }

    /// Writes the part of `bytes` that is for one node; how many bytes.
    fn write_part(&mut self, offset: u64, bytes: &[u8]) -> Result<usize, Error<S::Error>> {
        let (place, at) = locate(offset);
        let part = match place {
            None => {
                let part = bytes.len().min(HEAD_SIZE - at);
                self.metadata.head[at..at + part].copy_from_slice(&bytes[..part]);
                part
            }
            Some(index) => {
                self.make_room()?;
                let part = bytes.len().min(NODE_SIZE - at);
                let node = self.data_to_change(index, part == NODE_SIZE)?;
                node[at..at + part].copy_from_slice(&bytes[..part]);
                part
            }
        };
        let end = offset + part as u64;
        self.metadata.set_size(end.max(self.size()));
        self.changed = true;
        Ok(part)
    }
}

/// Where a byte is: in the head or a data node, and where in it.
fn locate(offset: u64) -> (Option<u64>, usize) {
    match offset.checked_sub(HEAD_SIZE as u64) {
        None => (None, offset as usize),
        Some(behind) => (Some(behind / NODE_SIZE as u64), (behind % NODE_SIZE as u64) as usize),
    }
}

/// Whether a file of so many data nodes has this node.
pub(crate) fn is_used(place: Place, data: u64) -> bool {
    match place {
        Place::Data(index) => index < data,
        Place::Mht(index) => {
            Place::Data(data).parent().is_some_and(|(last, slot)| index < last || (index == last && slot > 0))
        }
    }
}
