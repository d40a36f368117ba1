//! The one hardware address range that all processes of the enclave share: who owns which part of it.
//!
//! Every address space claims what it maps, so no two processes ever use the same address, except in turn ([`super::Stage`]).
//! Ranges are searched from the top down, as Linux does.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use casemate_platform::sync::Mutex;

use super::span::{PAGE, Span};
use super::stage::Stages;

/// Owner of what belongs to all processes (the vDSO).
pub const SYSTEM: u64 = 0;

/// A range of addresses and its owners.
pub struct Arena {
    bounds: Span,
    /// start → (end, owner); touching ranges of one owner are joined.
    taken: Mutex<BTreeMap<u64, (u64, u64)>>,
    /// Addresses whose processes take turns.
    pub(super) stages: Stages,
}

impl Arena {
    /// A free arena.
    pub fn new(bounds: Span) -> Arena {
        Arena { bounds, taken: Mutex::new(BTreeMap::new()), stages: Stages::default() }
    }

    /// All addresses there are.
    pub fn bounds(&self) -> Span {
        self.bounds
    }

    /// Makes `span` the owner's; returns the parts that were free before. `None` when a part of it is out of bounds or
    /// someone else's: nothing is changed then.
    pub fn claim(&self, owner: u64, span: Span) -> Option<Vec<Span>> {
        if !self.bounds.encloses(span) {
            return None;
        }
        let mut taken = self.taken.lock();
        let mut fresh = Vec::new();
        let mut at = span.start;
        for (part, holder) in overlapping(&taken, span) {
            if holder != owner {
                return None;
            }
            if at < part.start {
                fresh.push(Span::new(at, part.start));
            }
            at = part.end;
        }
        if at < span.end {
            fresh.push(Span::new(at, span.end));
        }
        for part in &fresh {
            insert(&mut taken, owner, *part);
        }
        Some(fresh)
    }

    /// Makes `span` the owner's if all of it is free.
    pub fn claim_free(&self, owner: u64, span: Span) -> bool {
        if !self.bounds.encloses(span) {
            return false;
        }
        let mut taken = self.taken.lock();
        let free = overlapping(&taken, span).next().is_none();
        if free {
            insert(&mut taken, owner, span);
        }
        free
    }

    /// Claims the highest free range of `length` bytes in `window` that begins at a multiple of `alignment`.
    pub fn claim_highest(&self, owner: u64, length: u64, alignment: u64, window: Span) -> Option<Span> {
        let window = window.meet(self.bounds);
        let mut taken = self.taken.lock();
        let mut upper = window.end;
        let fit = |floor: u64, upper: u64| {
            let start = upper.checked_sub(length)? & !(alignment - 1);
            (start >= floor.max(window.start)).then(|| Span::new(start, start + length))
        };
        let mut found = None;
        for (&start, &(end, _)) in taken.range(..window.end).rev() {
            found = fit(end, upper);
            if found.is_some() || end <= window.start {
                break;
            }
            upper = upper.min(start);
        }
        let found = found.or_else(|| {
            let below = taken.range(..upper).next_back().map_or(window.start, |(_, &(end, _))| end);
            fit(below, upper)
        })?;
        insert(&mut taken, owner, found);
        Some(found)
    }

    /// Claims the lowest free range of `length` bytes in `window`, page-aligned.
    pub fn claim_lowest(&self, owner: u64, length: u64, window: Span) -> Option<Span> {
        let window = window.meet(self.bounds);
        let mut taken = self.taken.lock();
        let mut at = window.start.next_multiple_of(PAGE);
        loop {
            let candidate = Span::sized(at, length)?;
            if candidate.end > window.end {
                return None;
            }
            let Some((blocker, _)) = overlapping(&taken, candidate).last() else {
                insert(&mut taken, owner, candidate);
                return Some(candidate);
            };
            at = blocker.end;
        }
    }

    /// Gives back what the owner has in `span`.
    pub fn release(&self, owner: u64, span: Span) {
        let mut taken = self.taken.lock();
        let parts: Vec<Span> =
            overlapping(&taken, span).filter(|(_, holder)| *holder == owner).map(|(part, _)| part).collect();
        for part in parts {
            remove(&mut taken, part);
        }
    }

    /// Gives back everything the owner has.
    pub fn release_all(&self, owner: u64) {
        self.taken.lock().retain(|_, (_, holder)| *holder != owner);
    }

    /// Whether all of `span` is free.
    pub fn is_free(&self, span: Span) -> bool {
        self.bounds.encloses(span) && overlapping(&self.taken.lock(), span).next().is_none()
    }
}

/// The taken parts of `span` with their owners, ascending.
fn overlapping(taken: &BTreeMap<u64, (u64, u64)>, span: Span) -> impl Iterator<Item = (Span, u64)> + '_ {
    let first = match taken.range(..=span.start).next_back() {
        Some((&start, &(end, _))) if end > span.start => start,
        _ => span.start,
    };
    taken
        .range(first..span.end.max(first))
        .map(move |(&start, &(end, owner))| (Span::new(start, end).meet(span), owner))
        .filter(|(part, _)| !part.is_empty())
}

fn insert(taken: &mut BTreeMap<u64, (u64, u64)>, owner: u64, span: Span) {
    let mut joined = span;
    if let Some((&start, &(end, holder))) = taken.range(..span.start).next_back()
        && end == span.start
        && holder == owner
    {
        taken.remove(&start);
        joined.start = start;
    }
    if let Some(&(end, holder)) = taken.get(&span.end)
        && holder == owner
    {
        taken.remove(&span.end);
        joined.end = end;
    }
    taken.insert(joined.start, (joined.end, owner));
}

/// Takes out `part`, which lies within one entry.
fn remove(taken: &mut BTreeMap<u64, (u64, u64)>, part: Span) {
    let Some((&start, &(end, owner))) = taken.range(..=part.start).next_back() else { return };
    taken.remove(&start);
    if start < part.start {
        taken.insert(start, (part.start, owner));
    }
    if part.end < end {
        taken.insert(part.end, (end, owner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arena() -> Arena {
        Arena::new(Span::new(0x1000, 0x10000))
    }

    #[test]
    fn searches_from_the_top_and_fills_holes() {
        let arena = arena();
        let all = arena.bounds();
        assert_eq!(arena.claim_highest(1, 0x2000, PAGE, all), Some(Span::new(0xe000, 0x10000)));
        assert_eq!(arena.claim_highest(2, 0x2000, PAGE, all), Some(Span::new(0xc000, 0xe000)));
        assert_eq!(arena.claim_highest(1, 0x2000, PAGE, all), Some(Span::new(0xa000, 0xc000)));
        arena.release(2, Span::new(0xd000, 0xe000));
        assert_eq!(arena.claim_highest(1, 0x2000, PAGE, all), Some(Span::new(0x8000, 0xa000)));
        assert_eq!(arena.claim_highest(1, 0x1000, PAGE, all), Some(Span::new(0xd000, 0xe000)));
        assert_eq!(arena.claim_highest(1, 0x8000, PAGE, all), None);
        assert_eq!(arena.claim_highest(1, 0x7000, PAGE, all), Some(Span::new(0x1000, 0x8000)));
        assert_eq!(arena.claim_highest(1, 0x1000, PAGE, all), None);
    }

    #[test]
    fn alignment_and_windows_are_kept() {
        let arena = arena();
        let window = Span::new(0x3000, 0x9000);
        assert_eq!(arena.claim_highest(1, 0x1000, 0x4000, window), Some(Span::new(0x8000, 0x9000)));
        assert_eq!(arena.claim_highest(1, 0x1000, 0x4000, window), Some(Span::new(0x4000, 0x5000)));
        assert_eq!(arena.claim_highest(1, 0x1000, 0x4000, window), None);
        assert_eq!(arena.claim_lowest(1, 0x1000, window), Some(Span::new(0x3000, 0x4000)));
        assert_eq!(arena.claim_lowest(1, 0x2000, window), Some(Span::new(0x5000, 0x7000)));
    }

    #[test]
    fn a_claim_over_another_owner_changes_nothing() {
        let arena = arena();
        assert!(arena.claim_free(1, Span::new(0x4000, 0x6000)));
        assert_eq!(arena.claim(2, Span::new(0x3000, 0x5000)), None);
        assert!(arena.is_free(Span::new(0x3000, 0x4000)));
        let fresh = arena.claim(1, Span::new(0x3000, 0x7000));
        assert_eq!(fresh, Some([Span::new(0x3000, 0x4000), Span::new(0x6000, 0x7000)].to_vec()));
        arena.release(2, Span::new(0x3000, 0x7000));
        assert!(!arena.is_free(Span::new(0x6000, 0x7000)));
        arena.release_all(1);
        assert!(arena.is_free(arena.bounds()));
        assert_eq!(arena.claim(1, Span::new(0, 0x2000)), None, "out of bounds");
    }
}
