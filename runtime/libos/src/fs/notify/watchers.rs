//! [`Watchers`]: who watches an inode.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering::*};

use casemate_platform::sync::Mutex;

use super::inotify::{LIMITS, Message, Queue};
use super::{Mask, WATCHES};
use crate::errno::{Errno, Result};
use crate::events::Events;
use crate::fs::inode::Inode;

/// Who watches an inode. Costs a flag while nobody does.
#[derive(Default)]
pub struct Watchers {
    any: AtomicBool,
    marks: Mutex<Vec<Mark>>,
}

struct Mark {
    queue: Arc<Queue>,
    watch: i32,
    /// Events and manners.
    mask: Mask,
}

/// What becomes of a watch that there is already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Add {
    /// The new mask takes the place of the old.
    Replace,
    /// IN_MASK_ADD.
    Extend,
    /// IN_MASK_CREATE: `EEXIST`.
    New,
}

/// What was told, and is to be done when the locks under which it happened are gone.
#[derive(Default)]
pub struct Notices {
    woken: Vec<Arc<Queue>>,
    /// Inodes that are no longer watched; dropping the last reference to one may take locks.
    released: Vec<Arc<dyn Inode>>,
}

impl Drop for Notices {
    fn drop(&mut self) {
        for queue in self.woken.drain(..) {
            queue.pollee.notify(Events::READABLE);
        }
    }
}

impl Notices {
    fn send(&mut self, queue: &Arc<Queue>, message: Message) {
        if queue.push(message) && !self.woken.iter().any(|woken| Arc::ptr_eq(woken, queue)) {
            self.woken.push(queue.clone());
        }
    }

    /// The mark is gone from its inode: says so, and lets go of the inode.
    fn end(&mut self, mark: &Mark) {
        WATCHES.fetch_sub(1, Relaxed);
        self.send(&mark.queue, Message::new(mark.watch, Mask::IGNORED));
        self.released.extend(mark.queue.release(mark.watch));
    }

    /// Tells those who watch `inode`; `name` is what it happened to in there, empty for the inode itself.
    pub(super) fn tell(
        &mut self,
        inode: &Arc<dyn Inode>,
        what: Mask,
        name: &[u8],
        cookie: u32,
        unlinked: bool,
    ) {
        let Some(watchers) = inode.watchers().filter(|watchers| watchers.any.load(Acquire)) else { return };
        let mut marks = watchers.marks.lock();
        marks.retain(|mark| {
            let wanted = mark.mask.intersects(what & Mask::EVENTS);
            if !wanted || unlinked && mark.mask.contains(Mask::NOT_UNLINKED) {
                return true;
            }
            self.send(&mark.queue, Message { watch: mark.watch, mask: what, cookie, name: name.into() });
            let stays = !mark.mask.contains(Mask::ONE_SHOT);
            if !stays {
                self.end(mark);
            }
            stays
        });
        watchers.any.store(!marks.is_empty(), Release);
    }
}

impl Watchers {
    /// Watches `inode`, whose watchers these are; returns the watch's number. `EEXIST`, `ENOSPC`.
    pub(super) fn add(
        &self,
        inode: &Arc<dyn Inode>,
        queue: &Arc<Queue>,
        mask: Mask,
        add: Add,
    ) -> Result<i32> {
        let mut marks = self.marks.lock();
        if let Some(mark) = marks.iter_mut().find(|mark| Arc::ptr_eq(&mark.queue, queue)) {
            match add {
                Add::New => return Err(Errno::EEXIST),
                Add::Extend => mark.mask |= mask,
                Add::Replace => mark.mask = mask,
            }
            return Ok(mark.watch);
        }
        if WATCHES.fetch_add(1, Relaxed) >= LIMITS.watches {
            WATCHES.fetch_sub(1, Relaxed);
            return Err(Errno::ENOSPC);
        }
        let watch = queue.hold(inode.clone());
        marks.push(Mark { queue: queue.clone(), watch, mask });
        self.any.store(true, Release);
        Ok(watch)
    }

    /// Ends the watch of this number; whether there was one.
    pub(super) fn end(&self, queue: &Arc<Queue>, watch: i32, notices: &mut Notices) -> bool {
        let mut marks = self.marks.lock();
        let of = |mark: &Mark| Arc::ptr_eq(&mark.queue, queue) && mark.watch == watch;
        let Some(position) = marks.iter().position(of) else { return false };
        let mark = marks.swap_remove(position);
        self.any.store(!marks.is_empty(), Release);
        notices.end(&mark);
        true
    }

    /// Ends all watches.
    pub(super) fn end_all(&self, notices: &mut Notices) {
        let mut marks = self.marks.lock();
        for mark in marks.drain(..) {
            notices.end(&mark);
        }
        self.any.store(false, Release);
    }

    /// Forgets the watches of a queue that nobody can read any more.
    pub(super) fn forget(&self, queue: &Arc<Queue>) {
        let mut marks = self.marks.lock();
        let before = marks.len();
        marks.retain(|mark| !Arc::ptr_eq(&mark.queue, queue));
        WATCHES.fetch_sub(before - marks.len(), Relaxed);
        self.any.store(!marks.is_empty(), Release);
    }

    /// What a queue's watch is for.
    pub(super) fn mask(&self, queue: &Arc<Queue>) -> Option<Mask> {
        let marks = self.marks.lock();
        marks.iter().find(|mark| Arc::ptr_eq(&mark.queue, queue)).map(|mark| mark.mask)
    }
}
