//! [`FsView`]: a process's view of the tree.

use core::sync::atomic::{AtomicU32, Ordering::*};

use casemate_platform::sync::{RwLock, RwLockReadGuard};

use super::node::Location;
use super::recent;

fn replace(place: &RwLock<Location>, new: Location) {
    let mut held = place.write();
    let old = core::mem::replace(&mut *held, new);
    recent::changed();
    drop(held);
    // Its drop may take locks.
    drop(old);
}

/// Root, working directory and umask; threads of a process share it.
pub struct FsView {
    root: RwLock<Location>,
    cwd: RwLock<Location>,
    umask: AtomicU32,
}

impl FsView {
    /// A view with this root and working directory.
    pub fn new(root: Location, cwd: Location, umask: u32) -> FsView {
        FsView { root: RwLock::new(root), cwd: RwLock::new(cwd), umask: AtomicU32::new(umask & 0o777) }
    }

    /// A copy for a new process.
    pub fn duplicate(&self) -> FsView {
        FsView::new(self.root(), self.cwd(), self.umask())
    }

    /// The root directory.
    pub fn root(&self) -> Location {
        self.locked_root().clone()
    }

    /// The working directory.
    pub fn cwd(&self) -> Location {
        self.locked_cwd().clone()
    }

    /// The root directory, without a reference of one's own.
    pub fn locked_root(&self) -> RwLockReadGuard<'_, Location> {
        self.root.read()
    }

    /// The working directory, without a reference of one's own.
    pub fn locked_cwd(&self) -> RwLockReadGuard<'_, Location> {
        self.cwd.read()
    }

    /// chroot(2).
    pub fn set_root(&self, root: Location) {
        replace(&self.root, root);
    }

    /// chdir(2).
    pub fn set_cwd(&self, cwd: Location) {
        replace(&self.cwd, cwd);
    }

    /// The file mode creation mask.
    pub fn umask(&self) -> u32 {
        self.umask.load(Relaxed)
    }

    /// umask(2); returns the old mask.
    pub fn set_umask(&self, umask: u32) -> u32 {
        self.umask.swap(umask & 0o777, Relaxed)
    }
}
