//! [`Recent`]: the places that a thread's paths led to last, so that naming one again takes no walk.
//!
//! What a path leads to stays so until a name goes away or comes to mean something else, the rights to search a directory change, or
//! a process sees the tree from elsewhere or as somebody else. Whoever does one of these calls [`changed`] when it is done, with
//! the lock still held under which it was: so nobody sees the change before all that is remembered has become void. New names
//! make no difference, because only places that there are get remembered.

use alloc::sync::Weak;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::sync::atomic::{AtomicU64, Ordering::*};

use hashbrown::DefaultHashBuilder;

use super::node::{Location, Node};
use crate::user_space::SHORT_PATH;

/// How often something changed that places depend on.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// What paths lead to may be something else from now on.
pub fn changed() {
    CHANGES.fetch_add(1, SeqCst);
}

/// The state of the tree: a walk that begins now finds what it holds, or something newer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Moment(u64);

impl Moment {
    /// Now.
    pub fn now() -> Moment {
        Moment(CHANGES.load(SeqCst))
    }
}

/// Paths remembered by a thread.
const SLOTS: usize = 64;

/// The places that a thread's paths led to last. It keeps no place alive.
#[derive(Default)]
pub struct Recent {
    hasher: DefaultHashBuilder,
    /// By hash; empty before the first.
    slots: Vec<Option<Known>>,
}

struct Known {
    moment: Moment,
    follow: bool,
    path: [u8; SHORT_PATH],
    length: usize,
    place: Weak<Node>,
}

impl Recent {
    fn index(&self, path: &[u8]) -> usize {
        self.hasher.hash_one(path) as usize % SLOTS
    }

    /// The place that `path` still leads to, if it is remembered; `follow` as for a walk.
    pub fn find(&self, path: &[u8], follow: bool) -> Option<Location> {
        if self.slots.is_empty() {
            return None;
        }
        let known = self.slots.get(self.index(path))?.as_ref()?;
        if known.moment != Moment::now() || known.follow != follow || known.path.get(..known.length)? != path
        {
            return None;
        }
        let place = Location::revive(&known.place)?;
        // A directory that gives up names that nobody uses says so before it looks who does ([`Node::shrink`]): either it
        // saw this use, or it is seen here.
        (known.moment == Moment::now()).then_some(place)
    }

    /// Remembers where a walk begun at `moment` ended.
    pub fn note(&mut self, moment: Moment, path: &[u8], follow: bool, place: &Location) {
        let length = path.len();
        if length > SHORT_PATH {
            return;
        }
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, || None);
        }
        let index = self.index(path);
        let mut known = Known { moment, follow, path: [0; SHORT_PATH], length, place: place.downgrade() };
        known.path[..length].copy_from_slice(path);
        self.slots[index] = Some(known);
    }
}
