//! Where a node lies: its path, and whether it lies under another.

use alloc::vec::Vec;

use super::Location;

impl Location {
    /// Whether `self` is `other` or above it.
    pub fn contains(&self, other: &Location) -> bool {
        let mut at = Some(other.clone());
        while let Some(node) = at {
            if node == *self {
                return true;
            }
            at = node.parent();
        }
        false
    }

    /// The path from `root` as getcwd(2) and /proc show it; `None` when it does not lie under `root`.
    pub fn path_from(&self, root: &Location) -> Option<Vec<u8>> {
        let mut names = Vec::new();
        let mut at = self.clone();
        while at != *root {
            let parent = at.parent()?;
            names.push(at.name());
            at = parent;
        }
        let mut path = Vec::new();
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        Some(path)
    }

    /// The path from the root of the whole tree as /proc shows it, marked when it is deleted.
    pub fn path_text(&self) -> Vec<u8> {
        let mut names = Vec::new();
        let mut attached = true;
        let mut at = self.clone();
        let unnamed = loop {
            let place = at.place.lock();
            attached &= place.attached;
            let (parent, name) = (place.parent.clone(), place.name.clone());
            drop(place);
            match parent {
                Some(parent) => {
                    names.push(name);
                    at = parent;
                }
                None => break name,
            }
        };
        let mut path = unnamed.to_vec();
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        if !attached {
            path.extend_from_slice(b" (deleted)");
        }
        path
    }
}
