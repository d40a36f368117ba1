//! The one hardware address range that all processes of the enclave share: who owns which part of it.
//!
//! Every address space claims what it maps, so no two processes ever use the same address, except in turn ([`super::Stage`]).
//! Ranges are searched from the top down, as Linux does.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use casemate_platform::sync::Mutex;

use super::span::{PAGE, Span};
use super::stage::Stages;

/// Owner of what belongs to all processes (the vDSO).
pub const SYSTEM: u64 = 0;

/// A range of addresses and its owners.
pub struct Arena {
    bounds: Span,
    taken: Mutex<Taken>,
    /// Addresses whose processes take turns.
    pub(super) stages: Stages,
}

/// Free ranges of one class are at least 2ⁿ pages long and shorter than 2ⁿ⁺¹.
const CLASSES: usize = 52;
/// Free ranges of a class looked at before a larger one has to do.
const PATIENCE: usize = 64;

/// What is taken and what is free.
struct Taken {
    bounds: Span,
    /// start → (end, owner); touching ranges of one owner are joined.
    by_start: BTreeMap<u64, (u64, u64)>,
    /// Starts of the free ranges, by class.
    free: [BTreeSet<u64>; CLASSES],
}

impl Arena {
    /// A free arena.
    pub fn new(bounds: Span) -> Arena {
        Arena { bounds, taken: Mutex::new(Taken::new(bounds)), stages: Stages::default() }
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
        for (part, holder) in taken.overlapping(span) {
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
            taken.insert(owner, *part);
        }
        Some(fresh)
    }

    /// Makes `span` the owner's if all of it is free.
    pub fn claim_free(&self, owner: u64, span: Span) -> bool {
        if !self.bounds.encloses(span) {
            return false;
        }
        let mut taken = self.taken.lock();
        let free = taken.overlapping(span).next().is_none();
        if free {
            taken.insert(owner, span);
        }
        free
    }

    /// Claims the highest free range of `length` bytes in `window` that begins at a multiple of `alignment`; or one that is nearly as
    /// high, where finding it would take long.
    pub fn claim_highest(&self, owner: u64, length: u64, alignment: u64, window: Span) -> Option<Span> {
        let window = window.meet(self.bounds);
        let mut taken = self.taken.lock();
        let found = taken.highest(length, alignment, window, PATIENCE);
        let found = found.or_else(|| taken.highest(length, alignment, window, usize::MAX))?;
        taken.insert(owner, found);
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
            let Some((blocker, _)) = taken.overlapping(candidate).last() else {
                taken.insert(owner, candidate);
                return Some(candidate);
            };
            at = blocker.end;
        }
    }

    /// Gives back what the owner has in `span`.
    pub fn release(&self, owner: u64, span: Span) {
        let mut taken = self.taken.lock();
        let parts: Vec<Span> =
            taken.overlapping(span).filter(|(_, holder)| *holder == owner).map(|(part, _)| part).collect();
        for part in parts {
            taken.remove(part);
        }
    }

    /// Gives back everything the owner has.
    pub fn release_all(&self, owner: u64) {
        self.release(owner, self.bounds);
    }

    /// How much nobody has.
    pub fn free_bytes(&self) -> u64 {
        let taken: u64 = self.taken.lock().by_start.iter().map(|(start, (end, _))| end - start).sum();
        self.bounds.len() - taken
    }

    /// Whether all of `span` is free.
    pub fn is_free(&self, span: Span) -> bool {
        self.bounds.encloses(span) && self.taken.lock().overlapping(span).next().is_none()
    }
}

fn class_of(length: u64) -> usize {
    (length / PAGE).max(1).ilog2() as usize
}

impl Taken {
    fn new(bounds: Span) -> Taken {
        let mut taken =
            Taken { bounds, by_start: BTreeMap::new(), free: [const { BTreeSet::new() }; CLASSES] };
        taken.add_free(bounds);
        taken
    }

    /// The taken parts of `span` with their owners, ascending.
    fn overlapping(&self, span: Span) -> impl Iterator<Item = (Span, u64)> + '_ {
        let first = match self.by_start.range(..=span.start).next_back() {
            Some((&start, &(end, _))) if end > span.start => start,
            _ => span.start,
        };
        self.by_start
            .range(first..span.end.max(first))
            .map(move |(&start, &(end, owner))| (Span::new(start, end).meet(span), owner))
            .filter(|(part, _)| !part.is_empty())
    }

    fn add_free(&mut self, span: Span) {
        if !span.is_empty() {
            self.free[class_of(span.len())].insert(span.start);
        }
    }

    fn drop_free(&mut self, span: Span) {
        if !span.is_empty() {
            self.free[class_of(span.len())].remove(&span.start);
        }
    }

    /// A free range ends elsewhere. Mostly that changes nothing: it is listed by its start and, roughly, its length.
    fn change_free(&mut self, from: Span, to: Span) {
        let listed = |span: Span| (!span.is_empty()).then(|| class_of(span.len()));
        if listed(from) != listed(to) {
            self.drop_free(from);
            self.add_free(to);
        }
    }

    /// Where the free range that ends at or goes on from `at` begins and ends; empty when both sides are taken.
    fn free_around(&self, at: u64) -> Span {
        let below = self.by_start.range(..at).next_back().map_or(self.bounds.start, |(_, &(end, _))| end);
        let above = self.by_start.range(at..).next().map_or(self.bounds.end, |(&start, _)| start);
        Span::new(below, above)
    }

    /// The highest place in a free range, as [`Arena::claim_highest`].
    fn highest(&self, length: u64, alignment: u64, window: Span, patience: usize) -> Option<Span> {
        let mut best: Option<u64> = None;
        for starts in &self.free[class_of(length)..] {
            for &start in starts.range(..window.end).rev().take(patience) {
                let end = self.by_start.range(start..).next().map_or(self.bounds.end, |(&next, _)| next);
                let top = end.min(window.end).saturating_sub(length) & !(alignment - 1);
                if best.is_some_and(|best| top <= best) || end <= window.start {
                    break;
                }
                if top >= start.max(window.start) && end.min(window.end) >= length {
                    best = Some(top);
                    break;
                }
            }
        }
        best.map(|start| Span::new(start, start + length))
    }

    /// Takes `span`, all of which is free.
    fn insert(&mut self, owner: u64, span: Span) {
        let around = self.free_around(span.start);
        self.change_free(around, Span::new(around.start, span.start));
        self.add_free(Span::new(span.end, around.end));
        let mut joined = span;
        if let Some((&start, &(end, holder))) = self.by_start.range(..span.start).next_back()
            && end == span.start
            && holder == owner
        {
            self.by_start.remove(&start);
            joined.start = start;
        }
        if let Some(&(end, holder)) = self.by_start.get(&span.end)
            && holder == owner
        {
            self.by_start.remove(&span.end);
            joined.end = end;
        }
        self.by_start.insert(joined.start, (joined.end, owner));
    }

    /// Takes out `part`, which lies within one entry.
    fn remove(&mut self, part: Span) {
        let Some((&start, &(end, owner))) = self.by_start.range(..=part.start).next_back() else { return };
        self.by_start.remove(&start);
        if start < part.start {
            self.by_start.insert(start, (part.start, owner));
        }
        if part.end < end {
            self.by_start.insert(part.end, (end, owner));
        }
        let around = self.free_around(part.start);
        self.drop_free(Span::new(part.end, around.end));
        self.change_free(Span::new(around.start, part.start), around);
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
    fn what_is_free_is_what_is_not_taken() {
        let arena = Arena::new(Span::new(0x1000, 0x80000));
        let mut state = 7u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..20_000 {
            let owner = 1 + random(3);
            let length = (1 + random(9)) * PAGE;
            let start = (1 + random(0x7e)) * PAGE;
            match random(4) {
                0 => drop(arena.claim(owner, Span::new(start, start + length))),
                1 => arena.release(owner, Span::new(start, start + length)),
                2 => {
                    let fits = |at: &u64| arena.is_free(Span::new(*at, at + length));
                    let expected = (1..0x80).map(|page| page * PAGE).filter(fits).max();
                    let found = arena.claim_highest(owner, length, PAGE, arena.bounds());
                    assert_eq!(found.map(|span| span.start), expected);
                }
                _ if random(50) == 0 => arena.release_all(owner),
                _ => {}
            }
            let taken = arena.taken.lock();
            let mut at = arena.bounds().start;
            let mut holes = Vec::new();
            for (&start, &(end, _)) in &taken.by_start {
                if at < start {
                    holes.push((class_of(start - at), at));
                }
                at = end;
            }
            if at < arena.bounds().end {
                holes.push((class_of(arena.bounds().end - at), at));
            }
            let mut listed: Vec<(usize, u64)> = Vec::new();
            for (class, starts) in taken.free.iter().enumerate() {
                listed.extend(starts.iter().map(|&start| (class, start)));
            }
            listed.sort_by_key(|&(_, start)| start);
            assert_eq!(listed, holes);
        }
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
