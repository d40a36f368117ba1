//! Nodes in clear text, those that were used last.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::layout::{Node, Place};

/// Nodes that are kept, roughly: a MiB.
const LIMIT: usize = 256;
/// How many are left when some have to go.
const LEFT: usize = LIMIT * 3 / 4;

struct Entry {
    node: Box<Node>,
    changed: bool,
    used: u64,
}

#[derive(Default)]
pub(crate) struct Cache {
    entries: HashMap<Place, Entry>,
    changed: usize,
    clock: u64,
}

impl Cache {
    pub(crate) fn has(&self, place: Place) -> bool {
        self.entries.contains_key(&place)
    }

    pub(crate) fn get(&mut self, place: Place) -> Option<&Node> {
        self.clock += 1;
        let entry = self.entries.get_mut(&place)?;
        entry.used = self.clock;
        Some(&entry.node)
    }

    /// A node that is about to be changed.
    pub(crate) fn change(&mut self, place: Place) -> Option<&mut Node> {
        self.clock += 1;
        let entry = self.entries.get_mut(&place)?;
        entry.used = self.clock;
        self.changed += usize::from(!entry.changed);
        entry.changed = true;
        Some(&mut entry.node)
    }

    /// Adds a node that is as it is stored.
    pub(crate) fn add(&mut self, place: Place, node: Box<Node>) {
        self.clock += 1;
        let old = self.entries.insert(place, Entry { node, changed: false, used: self.clock });
        self.changed -= usize::from(old.is_some_and(|entry| entry.changed));
    }

    /// The nodes that are not as they are stored: those of data first, then each MHT node before its parent.
    pub(crate) fn changed(&self) -> Vec<Place> {
        let mut places: Vec<Place> =
            self.entries.iter().filter(|(_, entry)| entry.changed).map(|(place, _)| *place).collect();
        places.sort_unstable_by_key(|place| match place {
            Place::Data(index) => (0, *index),
            Place::Mht(index) => (1, u64::MAX - index),
        });
        places
    }

    pub(crate) fn is_changed(&self) -> bool {
        self.changed > 0
    }

    /// All nodes are as they are stored.
    pub(crate) fn set_stored(&mut self) {
        self.changed = 0;
        for entry in self.entries.values_mut() {
            entry.changed = false;
        }
    }

    pub(crate) fn keep_only(&mut self, keep: impl Fn(Place) -> bool) {
        self.entries.retain(|place, _| keep(*place));
        self.changed = self.entries.values().filter(|entry| entry.changed).count();
    }

    /// Whether nodes have to be given up before more come in.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= LIMIT
    }

    /// Whether giving up nodes that are stored would not be worth much.
    pub(crate) fn is_mostly_changed(&self) -> bool {
        self.changed > LIMIT / 2
    }

    /// Gives up the stored nodes that were not used for longest.
    pub(crate) fn shrink(&mut self) {
        let mut stored: Vec<u64> =
            self.entries.values().filter(|entry| !entry.changed).map(|entry| entry.used).collect();
        let go = self.entries.len().saturating_sub(LEFT).min(stored.len());
        if go == 0 {
            return;
        }
        let (_, last, _) = stored.select_nth_unstable(go - 1);
        let last = *last;
        self.entries.retain(|_, entry| entry.changed || entry.used > last);
    }
}
