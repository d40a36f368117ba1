//! [`Directory`]: the names of a directory: those of the index, merged with what was added, replaced and removed since.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use casemate_index::InodeNumber;
use casemate_platform::sync::Mutex;
use hashbrown::HashMap;

use super::TreeInode;
use crate::errno::{Errno, Result};
use crate::file::DirectorySink;
use crate::fs::image::{Image, index_error};
use crate::stat::FileType;

/// Names of a directory.
pub struct Directory {
    /// The directory in the index, if it comes from there.
    below: Option<InodeNumber>,
    state: Mutex<State>,
}

struct State {
    /// What differs from the index: an inode, or that the name is gone.
    changes: HashMap<Box<[u8]>, Change>,
    /// Names added, by the position at which they are listed.
    order: BTreeMap<u64, Box<[u8]>>,
    next_position: u64,
    /// Removed: nothing can be added any more.
    dead: bool,
}

enum Change {
    Added { inode: Arc<TreeInode>, position: u64 },
    Removed,
}

/// What a name is.
pub enum Found {
    /// Added since the start.
    Added(Arc<TreeInode>),
    /// As in the index.
    Below(InodeNumber),
    /// No such name.
    Nothing,
}

/// Position of the first entry of the index.
const FIRST_BELOW: u64 = 2;
/// Position of the first added entry; the index has fewer entries than this.
const FIRST_ADDED: u64 = 1 << 32;

impl Directory {
    /// A directory of the index, or an empty one.
    pub fn new(below: Option<InodeNumber>) -> Directory {
        let state = State {
            changes: HashMap::new(),
            order: BTreeMap::new(),
            next_position: FIRST_ADDED,
            dead: false,
        };
        Directory { below, state: Mutex::new(state) }
    }

    fn below(&self, image: Option<&Image>, name: &[u8]) -> Result<Option<InodeNumber>> {
        match (self.below, image) {
            (Some(directory), Some(image)) => image.index.lookup(directory, name).map_err(index_error),
            _ => Ok(None),
        }
    }

    /// Looks a name up.
    pub fn find(&self, image: Option<&Image>, name: &[u8]) -> Result<Found> {
        match self.state.lock().changes.get(name) {
            Some(Change::Added { inode, .. }) => return Ok(Found::Added(inode.clone())),
            Some(Change::Removed) => return Ok(Found::Nothing),
            None => {}
        }
        Ok(self.below(image, name)?.map_or(Found::Nothing, Found::Below))
    }

    /// Adds a name or replaces what it stands for; `ENOENT` when the directory itself was removed.
    pub fn put(&self, name: &[u8], inode: Arc<TreeInode>) -> Result<()> {
        let mut state = self.state.lock();
        if state.dead {
            return Err(Errno::ENOENT);
        }
        state.changes.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let position = match state.changes.get(name) {
            // A replaced name keeps its place in listings.
            Some(Change::Added { position, .. }) => *position,
            _ => {
                let position = state.next_position;
                state.next_position += 1;
                state.order.insert(position, name.into());
                position
            }
        };
        let old = state.changes.insert(name.into(), Change::Added { inode, position });
        drop(state);
        drop(old);
        Ok(())
    }

    /// Takes a name away.
    pub fn take(&self, image: Option<&Image>, name: &[u8]) -> Result<()> {
        let hidden = self.below(image, name)?.is_some();
        let mut state = self.state.lock();
        let old = if hidden {
            state.changes.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            state.changes.insert(name.into(), Change::Removed)
        } else {
            state.changes.remove(name)
        };
        if let Some(Change::Added { position, .. }) = &old {
            state.order.remove(position);
        }
        drop(state);
        drop(old);
        Ok(())
    }

    /// Marks the directory removed if it is empty; `ENOTEMPTY`.
    pub fn kill(&self, image: Option<&Image>) -> Result<()> {
        let mut state = self.state.lock();
        if !state.order.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        if let (Some(directory), Some(image)) = (self.below, image) {
            let mut position = 0;
            while let Some(entry) = image.index.read_dir(directory, position).map_err(index_error)? {
                if !state.changes.contains_key(entry.name) {
                    return Err(Errno::ENOTEMPTY);
                }
                position += 1;
            }
        }
        state.dead = true;
        Ok(())
    }

    /// Whether it was removed.
    pub fn is_dead(&self) -> bool {
        self.state.lock().dead
    }

    /// Adds the entries from `position` on to the sink; returns the position after the last one taken.
    pub fn list(
        &self,
        image: Option<&Image>,
        own: u64,
        parent: u64,
        mut position: u64,
        sink: &mut dyn DirectorySink,
    ) -> Result<u64> {
        let directory = FileType::Directory.directory_entry_type();
        // The state is locked for one entry at a time: sinks may touch program memory.
        loop {
            if position < FIRST_BELOW {
                if self.is_dead() {
                    return Ok(position);
                }
                let (inode, name): (u64, &[u8]) = if position == 0 { (own, b".") } else { (parent, b"..") };
                if !sink.add(inode, position + 1, directory, name) {
                    return Ok(position);
                }
                position += 1;
            } else if position < FIRST_ADDED {
                match self.list_below(image, position, sink)? {
                    Listed::Taken => position += 1,
                    Listed::Full => return Ok(position),
                    Listed::End => position = FIRST_ADDED,
                }
            } else {
                let next = {
                    let state = self.state.lock();
                    let next = state.order.range(position..).next();
                    next.and_then(|(&position, name)| match state.changes.get(name) {
                        Some(Change::Added { inode, .. }) => Some((position, name.clone(), inode.clone())),
                        _ => None,
                    })
                };
                let Some((at, name, inode)) = next else { return Ok(position) };
                if !sink.add(inode.number(), at + 1, inode.file_type().directory_entry_type(), &name) {
                    return Ok(position);
                }
                position = at + 1;
            }
        }
    }

    fn list_below(
        &self,
        image: Option<&Image>,
        position: u64,
        sink: &mut dyn DirectorySink,
    ) -> Result<Listed> {
        let (Some(directory), Some(image)) = (self.below, image) else { return Ok(Listed::End) };
        let at = (position - FIRST_BELOW) as u32;
        let Some(entry) = image.index.read_dir(directory, at).map_err(index_error)? else {
            return Ok(Listed::End);
        };
        if self.state.lock().changes.contains_key(entry.name) {
            return Ok(Listed::Taken);
        }
        let taken = sink.add(entry.inode.0.into(), position + 1, entry.kind as u8, entry.name);
        Ok(if taken { Listed::Taken } else { Listed::Full })
    }
}

enum Listed {
    Taken,
    Full,
    End,
}
