//! What happens to files, told to those who watch them (inotify(7)). While nobody watches anything, this costs each operation one
//! load; otherwise whoever watches hangs on the inode itself ([`Watchers`]).
//!
//! Lock order: a directory's names, an inode's watchers, a queue. Waking a reader may be a host call, so it is left to the
//! [`Notices`], which are dropped when the locks are gone.

mod inotify;
mod opened;
mod watchers;

pub use inotify::{Inotify, LIMITS};
pub use opened::{Opened, StillOpen};
pub use watchers::{Add, Notices, Watchers};

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};

use bitflags::bitflags;
use linux_raw_sys::general as raw;

use super::inode::{AttributeChange, Inode};
use super::node::{Location, Node};
use crate::file::File;
use crate::stat::FileType;

bitflags! {
    /// IN_* of inotify(7): events, and how to watch.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    #[allow(missing_docs)]
    pub struct Mask: u32 {
        const ACCESS = raw::IN_ACCESS;
        const MODIFY = raw::IN_MODIFY;
        const ATTRIB = raw::IN_ATTRIB;
        const CLOSE_WRITE = raw::IN_CLOSE_WRITE;
        const CLOSE_NOWRITE = raw::IN_CLOSE_NOWRITE;
        const OPEN = raw::IN_OPEN;
        const MOVED_FROM = raw::IN_MOVED_FROM;
        const MOVED_TO = raw::IN_MOVED_TO;
        const CREATE = raw::IN_CREATE;
        const DELETE = raw::IN_DELETE;
        const DELETE_SELF = raw::IN_DELETE_SELF;
        const MOVE_SELF = raw::IN_MOVE_SELF;
        const UNMOUNT = raw::IN_UNMOUNT;
        const OVERFLOW = raw::IN_Q_OVERFLOW;
        const IGNORED = raw::IN_IGNORED;
        const ONLY_DIRECTORY = raw::IN_ONLYDIR;
        const DO_NOT_FOLLOW = raw::IN_DONT_FOLLOW;
        const NOT_UNLINKED = raw::IN_EXCL_UNLINK;
        const CREATE_WATCH = raw::IN_MASK_CREATE;
        const ADD_TO_WATCH = raw::IN_MASK_ADD;
        const DIRECTORY = raw::IN_ISDIR;
        const ONE_SHOT = raw::IN_ONESHOT;
    }
}

impl Mask {
    /// IN_ALL_EVENTS.
    pub const EVENTS: Mask = Mask::from_bits_truncate(raw::IN_ALL_EVENTS);
    /// What a watch remembers beside its events.
    pub const MANNERS: Mask = Mask::NOT_UNLINKED.union(Mask::ONE_SHOT);
}

/// How many watches there are.
static WATCHES: AtomicUsize = AtomicUsize::new(0);

/// Whether anybody watches anything.
#[inline]
pub fn is_watching() -> bool {
    WATCHES.load(Relaxed) != 0
}

/// Ties the two events of a move together.
fn new_cookie() -> u32 {
    static COOKIES: AtomicU32 = AtomicU32::new(1);
    COOKIES.fetch_add(1, Relaxed)
}

/// Something happened to what lies at `place`.
pub fn happened(place: &Location, what: Mask) {
    if is_watching() {
        tell_place(place, what, false);
    }
}

/// The same for what is done through an open description, which a watch may ignore once the name is gone.
fn happened_to_open(place: &Location, what: Mask) {
    if is_watching() {
        tell_place(place, what, true);
    }
}

#[cold]
fn tell_place(place: &Location, what: Mask, opened: bool) {
    let mut notices = Notices::default();
    let what = what | directory_bit(place.kind());
    let (parent, name, attached) = place.whereabouts();
    let unlinked = opened && !attached;
    if let Some(parent) = parent.filter(|_| !place.is_mount_root()) {
        notices.tell(parent.inode(), what, &name, 0, unlinked);
    }
    notices.tell(place.inode(), what, b"", 0, unlinked);
}

fn directory_bit(kind: FileType) -> Mask {
    if kind == FileType::Directory { Mask::DIRECTORY } else { Mask::empty() }
}

/// Bytes or names were read.
pub fn accessed(file: &dyn File) {
    transferred(file, Mask::ACCESS);
}

/// Bytes were written, or the size was changed.
pub fn modified(file: &dyn File) {
    transferred(file, Mask::MODIFY);
}

/// Nothing is told of the bytes that go through a FIFO.
fn transferred(file: &dyn File, what: Mask) {
    if is_watching()
        && let Some(place) = file.location().filter(|place| place.kind() != FileType::Fifo)
    {
        tell_place(place, what, true);
    }
}

/// What a change of attributes is to those who watch (kernel/include/linux/fsnotify.h, fsnotify_change).
pub fn of_change(change: &AttributeChange) -> Mask {
    let mut what = Mask::empty();
    if change.permissions.is_some() || change.uid.is_some() || change.gid.is_some() {
        what |= Mask::ATTRIB;
    }
    if change.size.is_some() {
        what |= Mask::MODIFY;
    }
    what | match (change.accessed.is_some(), change.modified.is_some()) {
        (true, true) => Mask::ATTRIB,
        (true, false) => Mask::ACCESS,
        (false, true) => Mask::MODIFY,
        (false, false) => Mask::empty(),
    }
}

/// The changes of a directory's names; called with them locked.
impl Notices {
    /// `inode` got this name in `directory`.
    pub fn created(&mut self, directory: &Node, name: &[u8], inode: &Arc<dyn Inode>) {
        if is_watching() {
            self.tell(directory.inode(), Mask::CREATE | directory_bit(inode.kind()), name, 0, false);
        }
    }

    /// The number of names of `inode` changed.
    pub fn relinked(&mut self, inode: &Arc<dyn Inode>) {
        if is_watching() {
            self.tell(inode, Mask::ATTRIB | directory_bit(inode.kind()), b"", 0, false);
        }
    }

    /// `inode` lost this name in `directory`.
    pub fn removed(&mut self, directory: &Node, name: &[u8], inode: &Arc<dyn Inode>) {
        if is_watching() {
            self.tell(directory.inode(), Mask::DELETE | directory_bit(inode.kind()), name, 0, false);
        }
    }

    /// `moved` went from one name to another and took the names of `replaced` away.
    pub fn moved(
        &mut self,
        from: Entry,
        to: Entry,
        moved: &Arc<dyn Inode>,
        replaced: Option<&Arc<dyn Inode>>,
    ) {
        if !is_watching() {
            return;
        }
        let (cookie, directory) = (new_cookie(), directory_bit(moved.kind()));
        self.tell(from.0.inode(), Mask::MOVED_FROM | directory, from.1, cookie, false);
        self.tell(to.0.inode(), Mask::MOVED_TO | directory, to.1, cookie, false);
        if let Some(replaced) = replaced {
            self.relinked(replaced);
        }
        self.tell(moved, Mask::MOVE_SELF, b"", 0, false);
    }

    /// The last name of `inode` and all use of it are gone: its watches end.
    pub fn gone(&mut self, inode: &Arc<dyn Inode>) {
        if let Some(watchers) = inode.watchers().filter(|_| is_watching()) {
            self.tell(inode, Mask::DELETE_SELF, b"", 0, false);
            watchers.end_all(self);
        }
    }
}

/// A name and the directory it lies in.
pub type Entry<'a> = (&'a Node, &'a [u8]);
