//! Keeps the number of cached names bounded. Directories that cache names stand in a queue; when there are too many nodes, the
//! oldest directories give up the names that nobody uses. Everything dropped can be looked up again.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};

use casemate_platform::sync::Mutex;

use super::node::{Location, Node};
use super::notify::{self, Notices};
use crate::room;

/// Directories looked at in one go.
const BATCH: usize = 64;

static NODES: AtomicUsize = AtomicUsize::new(0);
static DIRECTORIES: Mutex<VecDeque<Weak<Node>>> = Mutex::new(VecDeque::new());
static SHRINKING: AtomicBool = AtomicBool::new(false);

/// A node was made.
pub(super) fn count_new() {
    NODES.fetch_add(1, Relaxed);
}

impl Drop for Node {
    fn drop(&mut self) {
        NODES.fetch_sub(1, Relaxed);
        if notify::is_watching() && self.inode().is_unlinked() {
            Notices::default().gone(&self.inode().clone());
        }
        // A deep tree must not be dropped by recursion: library OS stacks are small.
        let mut parent = self.take_parent();
        while let Some(mut node) = parent.and_then(Location::into_last) {
            parent = node.take_parent();
        }
    }
}

/// A directory caches names.
pub(super) fn list(directory: &Location) {
    if !directory.listed.swap(true, Relaxed) {
        DIRECTORIES.lock().push_back(Arc::downgrade(directory.arc()));
    }
}

/// Gives unused names up if there are too many nodes. Call with no lock held.
pub(super) fn shrink_if_full() {
    if NODES.load(Relaxed) > room::cached_names() || room::is_short() {
        shrink_alone();
    }
}

/// Gives all names up that nobody uses. Call with no lock held.
pub fn forget_names() {
    // A bounded part of them: who is refused asks again.
    let mut rest = DIRECTORIES.lock().len().min(64 * BATCH);
    while rest > 0 {
        shrink_alone();
        rest = rest.saturating_sub(BATCH);
    }
}

/// Only one thread shrinks at a time.
fn shrink_alone() {
    if !SHRINKING.swap(true, Acquire) {
        shrink();
        SHRINKING.store(false, Release);
    }
}

fn shrink() {
    for _ in 0..BATCH {
        let Some(oldest) = DIRECTORIES.lock().pop_front() else { return };
        let Some(directory) = oldest.upgrade() else { continue };
        if directory.shrink() == 0 {
            directory.listed.store(false, Relaxed);
        } else {
            DIRECTORIES.lock().push_back(oldest);
        }
        // Dropping the last reference to a directory may drop a long chain of parents: not under the queue's lock.
        drop(directory);
    }
}
