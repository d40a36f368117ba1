//! Directories of the host, for what the manifest names insecure: nothing in them is vouched for. Every path goes to the host
//! beneath its directory without following links (links are walked inside), every name and status that comes back is checked
//! for its form, never believed for its meaning.

mod file;
mod inode;
mod listing;

pub use inode::HostInode;
pub(in crate::fs) use inode::admit;

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use casemate_platform::host;
use casemate_platform::sync::Mutex;

use super::lock::FileLocks;
use super::mount::new_device;
use super::notify::Watchers;
use crate::errno::Result;

/// A directory that the host offered.
pub struct Volume {
    /// Its number in host calls.
    number: u32,
    /// st_dev of what is in it.
    device: u64,
    /// What open files of the same inode number share.
    shared: Mutex<BTreeMap<u64, Weak<Shared>>>,
}

/// What all openings of one file share.
struct Shared {
    locks: FileLocks,
    watchers: Watchers,
}

/// Entries after which unused ones are looked for.
const SHARED_LIMIT: usize = 4096;

impl Volume {
    /// The volume with this number.
    pub fn new(number: u32) -> Arc<Volume> {
        Arc::new(Volume { number, device: new_device(), shared: Mutex::new(BTreeMap::new()) })
    }

    /// Its number in host calls.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// st_dev of what is in it.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// Its root directory; fails when the host has none there.
    pub fn root(self: &Arc<Self>) -> Result<Arc<HostInode>> {
        HostInode::find(self, Vec::new())
    }

    fn share(&self, inode: u64) -> Arc<Shared> {
        let mut shared = self.shared.lock();
        if let Some(found) = shared.get(&inode).and_then(Weak::upgrade) {
            return found;
        }
        if shared.len() >= SHARED_LIMIT {
            shared.retain(|_, entry| entry.strong_count() > 0);
        }
        let made = Arc::new(Shared { locks: FileLocks::new(), watchers: Watchers::default() });
        shared.insert(inode, Arc::downgrade(&made));
        made
    }

    fn stat(&self, path: &[u8]) -> Result<casemate_abi::HostStat> {
        Ok(host::path_stat(self.number, path)?)
    }
}

#[cfg(test)]
mod tests;
