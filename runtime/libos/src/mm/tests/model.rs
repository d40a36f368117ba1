//! Random sequences of calls against a model that knows, for each page, what it is and what it holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use casemate_platform::pages::Protection;
use proptest::prelude::*;

use super::fake::{BASE, FakeFile, FakePages, space};
use crate::errno::Errno;
use crate::mm::{AddressSpace, Advice, FaultOutcome, MapRequest, PAGE, Placement, RemapRequest, Span};
use crate::user_space::Access;

pub(super) const PAGES: u64 = 48;
const FILE_PAGES: u64 = 40;

#[derive(Clone, Debug)]
pub(super) enum Call {
    Map { at: u64, pages: u64, rights: u8, file: Option<u64>, fixed: u8 },
    Unmap { at: u64, pages: u64 },
    Protect { at: u64, pages: u64, rights: u8 },
    Discard { at: u64, pages: u64 },
    Write { at: u64, value: u8 },
    Lock { at: u64, pages: u64 },
    Remap { at: u64, old: u64, new: u64, to: Option<u64>, how: u8 },
}

pub(super) fn call() -> impl Strategy<Value = Call> {
    let (at, pages, rights) = (0..PAGES, 1..12u64, 0..8u8);
    prop_oneof![
        4 => (at.clone(), pages.clone(), rights.clone(), prop::option::of(0..8u64), 0..3u8)
            .prop_map(|(at, pages, rights, file, fixed)| Call::Map { at, pages, rights, file, fixed }),
        2 => (at.clone(), pages.clone()).prop_map(|(at, pages)| Call::Unmap { at, pages }),
        3 => (at.clone(), pages.clone(), rights).prop_map(|(at, pages, rights)| Call::Protect { at, pages, rights }),
        1 => (at.clone(), pages.clone()).prop_map(|(at, pages)| Call::Discard { at, pages }),
        4 => (at.clone(), 1..=255u8).prop_map(|(at, value)| Call::Write { at, value }),
        1 => (at.clone(), pages.clone()).prop_map(|(at, pages)| Call::Lock { at, pages }),
        4 => (at.clone(), pages.clone(), pages, prop::option::of(at), 0..4u8)
            .prop_map(|(at, old, new, to, how)| Call::Remap { at, old, new, to, how }),
    ]
}

pub(super) fn rights(bits: u8) -> Protection {
    Protection { read: bits & 1 != 0, write: bits & 2 != 0, execute: bits & 4 != 0 }
}

/// What the model knows of a mapped page.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ModelPage {
    protection: Protection,
    /// Page of the file, if there is one.
    file: Option<u64>,
    first_byte: u8,
}

impl ModelPage {
    fn fresh(protection: Protection, file: Option<u64>) -> ModelPage {
        ModelPage { protection, file, first_byte: file.map_or(0, |page| page as u8 + 1) }
    }
}

pub(super) struct Pair {
    pub(super) space: AddressSpace,
    pub(super) pages: Arc<FakePages>,
    pub(super) file: Arc<FakeFile>,
    model: BTreeMap<u64, ModelPage>,
}

impl Pair {
    pub(super) fn new() -> Pair {
        let (space, pages) = space(PAGES);
        Pair { space, pages, file: FakeFile::numbered(FILE_PAGES), model: BTreeMap::new() }
    }

    fn free(&self, at: u64, pages: u64) -> bool {
        at + pages <= PAGES && (at..at + pages).all(|page| !self.model.contains_key(&page))
    }

    fn run(&mut self, call: &Call) {
        let address = |page: u64| BASE + page * PAGE;
        match *call {
            Call::Map { at, pages, rights: bits, file, fixed } => {
                self.run_map(at, pages, rights(bits), file, fixed)
            }
            Call::Unmap { at, pages } => {
                assert_eq!(self.space.unmap(address(at), pages * PAGE), Ok(()));
                self.model.retain(|page, _| !(at..at + pages).contains(page));
            }
            Call::Protect { at, pages, rights: bits } => {
                let hole = (at..at + pages).find(|page| !self.model.contains_key(page));
                let expected = if hole.is_some() { Err(Errno::ENOMEM) } else { Ok(()) };
                assert_eq!(self.space.protect(address(at), pages * PAGE, rights(bits)), expected);
                for page in at..hole.unwrap_or(at + pages) {
                    self.model.get_mut(&page).unwrap().protection = rights(bits);
                }
            }
            Call::Discard { at, pages } => {
                let span = Span::new(address(at), address(at + pages));
                let whole = (at..at + pages).all(|page| self.model.contains_key(&page));
                let expected = if whole { Ok(()) } else { Err(Errno::ENOMEM) };
                let locked = self.space.advise(span, Advice::Discard);
                if locked == Err(Errno::EINVAL) {
                    return;
                }
                assert_eq!(locked, expected);
                for (_, page) in self.model.range_mut(at..at + pages) {
                    *page = ModelPage::fresh(page.protection, page.file);
                }
            }
            Call::Write { at, value } => {
                let writable = self.model.get(&at).is_some_and(|page| page.protection.write);
                assert_eq!(self.space.write_bytes(address(at), &[value]).is_ok(), writable);
                if writable {
                    self.model.get_mut(&at).unwrap().first_byte = value;
                }
            }
            Call::Remap { at, old, new, to, how } => self.run_remap(at, old, new, to, how),
            Call::Lock { at, pages } => {
                let whole = (at..at + pages).all(|page| self.model.contains_key(&page));
                let span = Span::new(address(at), address(at + pages));
                assert_eq!(self.space.set_locked(span, at % 2 == 0).is_ok(), whole);
            }
        }
    }

    /// mremap with `how`: 0 in place only, 1 and 2 anywhere, 3 leaving the old mapping.
    fn run_remap(&mut self, at: u64, old: u64, new: u64, to: Option<u64>, how: u8) {
        let keep_old = how == 3;
        let new = if keep_old { old } else { new };
        let to = to.filter(|_| how != 0);
        let mapping = |page: u64| self.space.state.lock().vmas.find(BASE + page * PAGE).cloned();
        let whole = |page: u64, count: u64| {
            mapping(page).is_some_and(|vma| vma.span.end >= BASE + (page + count) * PAGE)
        };
        let result = |pair: &Pair| {
            pair.space.remap(RemapRequest {
                address: BASE + at * PAGE,
                old_length: old * PAGE,
                new_length: new * PAGE,
                may_move: how != 0,
                fixed: to.map(|to| BASE + to * PAGE),
                keep_old,
            })
        };
        let overlaps = to.is_some_and(|to| to < at + old && at < to + new);
        let expected = match mapping(at) {
            None => Some(Errno::EFAULT),
            Some(_) if overlaps => Some(Errno::EINVAL),
            Some(_) => None,
        };
        if let Some(error) = expected {
            assert_eq!(result(self), Err(error));
            return;
        }
        let moves = to.is_some() || keep_old;
        // What is cut off, and what is replaced when the mapping also becomes shorter, goes first.
        let kept = old.min(new);
        let refused = (moves || new > old) && !whole(at, kept);
        let ends_there = mapping(at + kept - 1).is_some_and(|vma| vma.span.end == BASE + (at + kept) * PAGE);
        let found = result(self);
        if new < old {
            self.model.retain(|page, _| !(at + new..at + old).contains(page));
            if let Some(to) = to {
                self.model.retain(|page, _| !(to..to + new).contains(page));
            }
        }
        if refused {
            assert_eq!(found, Err(Errno::EFAULT));
            return;
        }
        let grows = !moves && new > old && ends_there && self.free(at + old, new - old);
        let target = match (found, to) {
            (Ok(address), _) => (address - BASE) / PAGE,
            (Err(error), to) => {
                assert_eq!(error, Errno::ENOMEM);
                assert!(!grows, "there was room behind it");
                let room = match to {
                    Some(to) => to + new <= PAGES,
                    None => (0..PAGES).any(|start| self.free(start, new)),
                };
                assert!(how == 0 || !room, "there was room");
                return;
            }
        };
        match to {
            Some(to) => assert_eq!(target, to),
            None if !moves && (new <= old || grows) => assert_eq!(target, at),
            None => assert!(self.free(target, new)),
        }
        if !moves && new <= old {
            return;
        }
        let pages: Vec<ModelPage> = (at..at + kept).map(|page| self.model[&page]).collect();
        for (page, model) in (at..).zip(&pages) {
            if keep_old {
                self.model.insert(page, ModelPage::fresh(model.protection, model.file));
            } else {
                self.model.remove(&page);
            }
        }
        for offset in 0..new {
            let page = pages.get(offset as usize).copied().unwrap_or_else(|| {
                ModelPage::fresh(pages[0].protection, pages[0].file.map(|first| first + offset))
            });
            self.model.insert(target + offset, page);
        }
    }

    fn run_map(&mut self, at: u64, pages: u64, protection: Protection, file: Option<u64>, fixed: u8) {
        let wish = BASE + at * PAGE;
        let placement = match fixed {
            0 => Placement::Hint(wish),
            1 => Placement::Fixed(wish),
            _ => Placement::FixedNoReplace(wish),
        };
        let mut request = MapRequest::anonymous(placement, pages * PAGE, protection);
        if let Some(first) = file {
            request.file = Some((self.file.clone(), first * PAGE));
        }
        let found = self.space.map(request);
        let expected = match fixed {
            1 | 2 if at + pages > PAGES => Some(Err(Errno::ENOMEM)),
            2 if !self.free(at, pages) => Some(Err(Errno::EEXIST)),
            0 if !self.free(at, pages) => None,
            _ => Some(Ok(wish)),
        };
        match (expected, found) {
            (Some(expected), found) => assert_eq!(found, expected),
            (None, Err(error)) => {
                assert_eq!(error, Errno::ENOMEM);
                assert!((0..PAGES).all(|start| !self.free(start, pages)), "there was room");
            }
            (None, Ok(address)) => {
                let start = (address - BASE) / PAGE;
                let highest = (0..PAGES).rev().find(|&start| self.free(start, pages));
                assert_eq!(Some(start), highest);
            }
        }
        if let Ok(address) = found {
            let start = (address - BASE) / PAGE;
            for page in 0..pages {
                let fresh = ModelPage::fresh(protection, file.map(|first| first + page));
                self.model.insert(start + page, fresh);
            }
        }
    }

    fn compare(&self) {
        for page in 0..PAGES {
            let address = BASE + page * PAGE;
            let model = self.model.get(&page);
            let hardware = self.pages.pages.lock().unwrap().get(&address).cloned();
            let Some(model) = model else {
                assert!(hardware.is_none(), "page {page} is left behind");
                assert_eq!(self.space.handle_fault(address, Access::Read), FaultOutcome::NotMapped);
                continue;
            };
            if let Some(hardware) = hardware {
                assert_eq!(hardware.protection, model.protection, "page {page}");
                assert_eq!(hardware.bytes.first().copied().unwrap_or(0), model.first_byte, "page {page}");
            }
            let Protection { read, write, execute } = model.protection;
            let expect = |allowed: bool| match model.file {
                _ if !allowed => FaultOutcome::AccessError,
                Some(file_page) if file_page >= FILE_PAGES => FaultOutcome::BusError,
                _ => FaultOutcome::Resolved,
            };
            assert_eq!(self.space.handle_fault(address, Access::Write), expect(write));
            assert_eq!(self.space.handle_fault(address, Access::Execute), expect(execute));
            assert_eq!(self.space.handle_fault(address, Access::Read), expect(read || write || execute));
        }
        let described: u64 = self.space.describe().iter().map(|entry| entry.span.len()).sum();
        assert_eq!(described, self.model.len() as u64 * PAGE);
        assert_eq!(self.space.totals().mapped, described);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn an_address_space_does_what_the_model_does(
        calls in prop::collection::vec(call(), 1..40),
        compare_each in any::<bool>(),
    ) {
        let mut pair = Pair::new();
        for call in &calls {
            pair.run(call);
            if compare_each {
                pair.compare();
            }
        }
        pair.compare();
        pair.space.release();
        assert!(pair.pages.pages.lock().unwrap().is_empty());
        assert!(pair.space.arena.is_free(pair.space.bounds()));
    }
}
