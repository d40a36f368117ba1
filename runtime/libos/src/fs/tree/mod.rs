//! The tree in memory: over the image's index it is the root file system, without one it is a tmpfs.
//!
//! An inode that comes from the index is made when it is first looked up and forgotten when nobody uses it; once it was changed
//! it stays ([`Tree::keep`]). Nothing here makes host calls but reads of image data.

mod attributes;
mod content;
mod directory;
mod file;
mod inode;
mod make;
mod running;
mod xattrs;

pub use content::{Content, WriteAt, seal};
pub use file::RegularFile;
pub use inode::TreeInode;
pub use running::RunningText;

use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU64, Ordering::*};

use casemate_index::InodeNumber;
use casemate_platform::sync::Mutex;
use hashbrown::HashMap;

use super::image::Image;
use super::inode::{Inode, NewInode, NewKind};
use super::mount::new_device;
use crate::errno::Result;
use crate::fs::image::index_error;

const SHARDS: usize = 16;

/// A file system in memory.
pub struct Tree {
    device: u64,
    image: Option<Arc<Image>>,
    next_number: AtomicU64,
    /// Inodes of the index that somebody uses or that were changed, by number.
    known: [Mutex<HashMap<u32, Known>>; SHARDS],
}

enum Known {
    InUse(Weak<TreeInode>),
    Changed(Arc<TreeInode>),
}

impl Tree {
    /// A tree over an image, or an empty one.
    pub fn new(image: Option<Arc<Image>>) -> Arc<Tree> {
        let first = image.as_ref().map_or(1, |image| u64::from(image.index.inode_count()) + 1);
        Arc::new(Tree {
            device: new_device(),
            image,
            next_number: AtomicU64::new(first),
            known: core::array::from_fn(|_| Mutex::new(HashMap::new())),
        })
    }

    /// st_dev of its files.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// The image below.
    pub fn image(&self) -> Option<&Arc<Image>> {
        self.image.as_ref()
    }

    /// The root directory; one without an image is made with these permissions. Call once.
    pub fn root(self: &Arc<Self>, permissions: u32) -> Result<Arc<dyn Inode>> {
        match &self.image {
            Some(image) => Ok(self.inode(image.index.root(), b"")? as Arc<dyn Inode>),
            None => Ok(self.make(&NewInode { kind: NewKind::Directory, permissions, uid: 0, gid: 0 })),
        }
    }

    /// A new object that has no name yet.
    pub fn make(self: &Arc<Self>, new: &NewInode) -> Arc<TreeInode> {
        TreeInode::make(self, self.next_number.fetch_add(1, Relaxed), new)
    }

    fn shard(&self, number: InodeNumber) -> &Mutex<HashMap<u32, Known>> {
        &self.known[number.0 as usize % SHARDS]
    }

    /// The inode of the index with this number; `path` is where it lies in the image.
    fn inode(self: &Arc<Self>, number: InodeNumber, path: &[u8]) -> Result<Arc<TreeInode>> {
        let mut known = self.shard(number).lock();
        let found = match known.get(&number.0) {
            Some(Known::Changed(inode)) => Some(inode.clone()),
            Some(Known::InUse(inode)) => inode.upgrade(),
            None => None,
        };
        if let Some(inode) = found {
            return Ok(inode);
        }
        let Some(image) = &self.image else { return Err(crate::errno::Errno::EIO) };
        let below = image.index.inode(number).map_err(index_error)?;
        let inode = TreeInode::from_index(self, image, &below, path)?;
        known.insert(number.0, Known::InUse(Arc::downgrade(&inode)));
        Ok(inode)
    }

    /// Keeps a changed inode of the index for as long as it has a name.
    fn keep(&self, inode: &Arc<TreeInode>) {
        if let Some(number) = inode.index_number() {
            self.shard(number).lock().insert(number.0, Known::Changed(inode.clone()));
        }
    }

    /// An inode of the index lost its last name: from now on it lives only while it is open.
    fn let_go(&self, inode: &Arc<TreeInode>) {
        if let Some(number) = inode.index_number() {
            self.shard(number).lock().insert(number.0, Known::InUse(Arc::downgrade(inode)));
        }
    }

    /// The last reference to an unchanged inode went away.
    fn forget(&self, number: InodeNumber) {
        let mut known = self.shard(number).lock();
        if matches!(known.get(&number.0), Some(Known::InUse(inode)) if inode.strong_count() == 0) {
            known.remove(&number.0);
        }
    }
}
