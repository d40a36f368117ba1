//! What the host's page tables have of program memory, written down here. An enclave with EDMM goes by it, because what the host
//! would say does not count; on any platform it tells how many mappings of the host's kernel program memory takes, of
//! which there are not endlessly many (vm.max_map_count). Where they run out is for the library OS to say, before the host does.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};

use super::Protection;
use crate::sync::{Mutex, MutexGuard};

static REGIONS: Mutex<Regions> = Mutex::new(Regions::new());

/// Linux's default for vm.max_map_count.
const USUAL_MAPPINGS: u64 = 65_530;
/// Fewer than this the host has for nobody.
const FEWEST_MAPPINGS: u64 = 1024;
/// Mappings beside program memory: files of the image that are open (at most 1024), the loader's own, and room for what takes
/// some for a moment.
const BESIDE: u64 = 2048;
/// Mappings of a thread: its block and what the loader has for it, with the guards between.
const PER_THREAD: u64 = 12;

/// Kept of what is left for pages that programs touch, or a part of it: a call can be refused, a page that is touched cannot.
const FOR_TOUCHED: usize = 1024;
const FOR_TOUCHED_PART: usize = 8;

/// Boundaries that a change of one range makes at most: at its ends.
const MOST_NEW: usize = 2;

/// How many mappings the host's kernel lets a process have, as the host says.
static HOST_MAPPINGS: AtomicU64 = AtomicU64::new(USUAL_MAPPINGS);
/// How many boundaries program memory may have.
static LIMIT: AtomicUsize = AtomicUsize::new((USUAL_MAPPINGS - BESIDE) as usize);

/// Notes what the host says of its limit; called once at start. A lie only makes it refuse where the library OS could have.
pub(crate) fn set_host_mappings(mappings: u64, threads: u32) {
    let mappings = mappings.clamp(FEWEST_MAPPINGS, i32::MAX as u64);
    let beside = BESIDE + PER_THREAD * u64::from(threads);
    HOST_MAPPINGS.store(mappings, Relaxed);
    LIMIT.store((mappings - beside.min(mappings / 2)) as usize, Relaxed);
}

/// How many mappings a process of the host may have (vm.max_map_count), as the host says.
pub fn host_mappings() -> u64 {
    HOST_MAPPINGS.load(Relaxed)
}

/// The regions, locked.
pub(super) fn regions() -> MutexGuard<'static, Regions> {
    REGIONS.lock()
}

/// What the host does not tell apart: neighbours of one kind are one mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) protection: Protection,
    /// Pages that the host moved keep a mapping of their own: not 0, and another for each move.
    pub(super) moved: u64,
}

impl Kind {
    pub(super) const fn of(protection: Protection) -> Kind {
        Kind { protection, moved: 0 }
    }
}

/// A change of a range of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Fresh pages with these rights.
    Map(Protection),
    /// Other rights for the pages that there are.
    Protect(Protection),
    /// No pages.
    Unmap,
}

/// What a change is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A call of the program, which gets an error when there is no room.
    Call,
    /// A page that a program touched: without room its process is killed. So calls leave something for it.
    Touched,
}

impl Need {
    /// How many boundaries there may be.
    fn limit(self) -> usize {
        let limit = LIMIT.load(Relaxed);
        match self {
            Need::Call => limit - FOR_TOUCHED.min(limit / FOR_TOUCHED_PART),
            Need::Touched => limit,
        }
    }
}

/// A range with its rights.
pub(super) type Part = (u64, u64, Protection);

/// The pages that exist: start → end and kind; neighbours of one kind are joined.
pub(super) struct Regions {
    map: BTreeMap<u64, (u64, Kind)>,
    /// Addresses at which the kind changes: one mapping fewer than the host has.
    boundaries: usize,
    moves: u64,
}

impl Regions {
    const fn new() -> Regions {
        Regions { map: BTreeMap::new(), boundaries: 0, moves: 0 }
    }

    /// The parts of a range that exist, joined where the rights are the same.
    pub(super) fn parts(&self, start: u64, end: u64) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        let before = self.map.range(..start).next_back();
        for (&from, &(to, kind)) in before.into_iter().chain(self.map.range(start..end)) {
            let (from, to) = (from.max(start), to.min(end));
            match parts.last_mut() {
                Some((_, last, protection)) if *last == from && *protection == kind.protection => *last = to,
                _ if from < to => parts.push((from, to, kind.protection)),
                _ => {}
            }
        }
        parts
    }

    /// Notes that a range exists as this kind, or not at all.
    pub(super) fn set(&mut self, start: u64, end: u64, kind: Option<Kind>) {
        self.boundaries -= self.boundaries_within(start, end);
        self.take_out(start, end);
        self.boundaries += match kind {
            Some(kind) => self.put(start, end, kind),
            None => usize::from(self.kind_before(start).is_some()) + usize::from(self.kind_at(end).is_some()),
        };
    }

    /// A kind for pages that the host moves.
    pub(super) fn moved(&mut self, protection: Protection) -> Kind {
        self.moves += 1;
        Kind { protection, moved: self.moves }
    }

    /// Notes that what exists of a range has other rights.
    pub(super) fn protect(&mut self, start: u64, end: u64, protection: Protection) {
        for (from, to, kind) in self.protected(start, end, protection) {
            self.set(from, to, Some(kind));
        }
    }

    /// What exists of a range, with other rights.
    fn protected(&self, start: u64, end: u64, protection: Protection) -> Vec<(u64, u64, Kind)> {
        let before = self.map.range(..start).next_back();
        let regions = before.into_iter().chain(self.map.range(start..end));
        let parts = regions.map(|(&from, &(to, kind))| {
            (from.max(start), to.min(end), Kind { protection, moved: kind.moved })
        });
        parts.filter(|(from, to, _)| from < to).collect()
    }

    /// Whether there is room for a change of a range, or it takes no more room than there is taken.
    pub(super) fn admits(&self, start: u64, end: u64, change: Change, need: Need) -> bool {
        let limit = need.limit();
        if self.boundaries + MOST_NEW <= limit {
            return true;
        }
        let parts = match change {
            Change::Map(protection) => Vec::from([(start, end, Kind::of(protection))]),
            Change::Protect(protection) => self.protected(start, end, protection),
            Change::Unmap => Vec::new(),
        };
        let mut after = 0;
        let (mut at, mut last) = (start, self.kind_before(start));
        for (from, to, kind) in parts {
            if at < from {
                after += usize::from(last.is_some());
                last = None;
            }
            after += usize::from(last != Some(kind));
            (at, last) = (to, Some(kind));
        }
        if at < end {
            after += usize::from(last.is_some());
            last = None;
        }
        after += usize::from(last != self.kind_at(end));
        let after = self.boundaries + after - self.boundaries_within(start, end);
        after <= self.boundaries || after <= limit
    }

    /// Whether half the room is taken.
    pub(super) fn are_crowded(&self) -> bool {
        self.boundaries > LIMIT.load(Relaxed) / 2
    }

    fn kind_before(&self, at: u64) -> Option<Kind> {
        let (_, &(end, kind)) = self.map.range(..at).next_back()?;
        (end >= at).then_some(kind)
    }

    fn kind_at(&self, at: u64) -> Option<Kind> {
        let (_, &(end, kind)) = self.map.range(..=at).next_back()?;
        (end > at).then_some(kind)
    }

    /// Boundaries at the addresses from `start` to `end`, both included.
    fn boundaries_within(&self, start: u64, end: u64) -> usize {
        let mut count = 0;
        let mut last = self.map.range(..start).next_back().map(|(_, &region)| region);
        for (&from, &(to, kind)) in self.map.range(start..=end) {
            count += match last {
                Some((before, other)) if before == from => usize::from(other != kind),
                Some((before, _)) if before >= start => 2,
                _ => 1,
            };
            last = Some((to, kind));
        }
        count + usize::from(last.is_some_and(|(to, _)| (start..=end).contains(&to)))
    }

    fn take_out(&mut self, start: u64, end: u64) {
        while let Some((&from, &(to, kind))) = self.map.range(..end).next_back() {
            if to <= start {
                break;
            }
            self.map.remove(&from);
            if end < to {
                self.map.insert(end, (to, kind));
            }
            if from < start {
                self.map.insert(from, (start, kind));
                break;
            }
        }
    }

    /// Adds a range where none is, joined with its neighbours; at how many of its ends the kind changes.
    fn put(&mut self, mut start: u64, mut end: u64, kind: Kind) -> usize {
        let mut edges = 2;
        if let Some((&from, &(to, found))) = self.map.range(..start).next_back()
            && (to, found) == (start, kind)
        {
            self.map.remove(&from);
            start = from;
            edges -= 1;
        }
        if let Some(&(to, found)) = self.map.get(&end)
            && found == kind
        {
            self.map.remove(&end);
            end = to;
            edges -= 1;
        }
        self.map.insert(start, (end, kind));
        edges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Protection = Protection { read: true, ..Protection::NONE };

    /// Boundaries counted anew, over the first addresses.
    fn counted(regions: &Regions) -> usize {
        (0..64).filter(|&at| regions.kind_before(at) != regions.kind_at(at)).count()
    }

    #[test]
    fn parts_are_split_joined_and_clipped() {
        let mut regions = Regions::new();
        let read = Some(Kind::of(READ));
        regions.set(0x1000, 0x5000, read);
        regions.set(0x5000, 0x6000, read);
        assert_eq!(regions.map.len(), 1);
        regions.set(0x2000, 0x3000, Some(Kind::of(Protection::NONE)));
        assert_eq!(
            regions.parts(0x1800, 0x4000),
            [(0x1800, 0x2000, READ), (0x2000, 0x3000, Protection::NONE), (0x3000, 0x4000, READ)]
        );
        regions.set(0x1800, 0x2800, None);
        assert_eq!(
            regions.parts(0, u64::MAX),
            [(0x1000, 0x1800, READ), (0x2800, 0x3000, Protection::NONE), (0x3000, 0x6000, READ)]
        );
        regions.set(0x2800, 0x3000, read);
        assert_eq!(regions.parts(0x2000, 0x7000), [(0x2800, 0x6000, READ)]);
        let moved = regions.moved(READ);
        regions.set(0x6000, 0x7000, Some(moved));
        assert_eq!(regions.map.len(), 3);
        assert_eq!(regions.parts(0x2000, 0x7000), [(0x2800, 0x7000, READ)]);
    }

    #[test]
    fn boundaries_are_counted_as_ranges_come_change_and_go() {
        let mut regions = Regions::new();
        let mut state = 1u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..20_000 {
            let start = 1 + random(50);
            let end = start + 1 + random(10);
            let change = match random(5) {
                0 => Change::Unmap,
                1 => Change::Map(READ),
                2 => Change::Map(Protection::READ_WRITE),
                3 => Change::Protect(Protection::READ_WRITE),
                _ => {
                    let kind = regions.moved(READ);
                    regions.set(start, end, Some(kind));
                    assert_eq!(regions.boundaries, counted(&regions));
                    continue;
                }
            };
            let before = regions.boundaries;
            LIMIT.store(before, Relaxed);
            let admitted = regions.admits(start, end, change, Need::Touched);
            let called = regions.admits(start, end, change, Need::Call);
            match change {
                Change::Map(protection) => regions.set(start, end, Some(Kind::of(protection))),
                Change::Protect(protection) => regions.protect(start, end, protection),
                Change::Unmap => regions.set(start, end, None),
            }
            assert_eq!(regions.boundaries, counted(&regions));
            assert_eq!(admitted, regions.boundaries <= before);
            assert_eq!(called, regions.boundaries <= before.max(Need::Call.limit()));
        }
    }
}
