//! A host that refuses in the middle of a call: nothing is half done, and nothing is lost that the call did not ask to lose.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use casemate_platform::pages::Protection;
use proptest::prelude::*;

use super::fake::{BASE, FakePage};
use super::model::{Call, PAGES, Pair, call, rights};
use crate::errno::Errno;
use crate::mm::{Advice, MapRequest, PAGE, Placement, RemapRequest, Span};

/// What is seen of a page that is mapped.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    protection: Protection,
    anonymous: bool,
    /// First byte, if the page is there.
    byte: Option<u8>,
}

fn address(page: u64) -> u64 {
    BASE + page * PAGE
}

impl Pair {
    /// All mapped pages; checks that the pages that there are, and their rights, are what is recorded.
    fn look(&self) -> BTreeMap<u64, Seen> {
        let state = self.space.state.lock();
        let pages = self.pages.pages.lock().unwrap();
        let mut seen = BTreeMap::new();
        for page in 0..PAGES {
            let found: Option<&FakePage> = pages.get(&address(page));
            let Some(vma) = state.vmas.find(address(page)) else {
                // What the host did not take back is known, so that it goes before anything else comes there.
                assert!(
                    found.is_none() || state.present.contains(address(page)),
                    "page {page} is left behind"
                );
                continue;
            };
            assert_eq!(found.is_some(), state.present.contains(address(page)), "page {page} of a mapping");
            if let Some(found) = found {
                assert_eq!(found.protection, vma.protection, "rights of page {page}");
            }
            let byte = found.map(|found| found.bytes.first().copied().unwrap_or(0));
            let anonymous = vma.file().is_none();
            seen.insert(page, Seen { protection: vma.protection, anonymous, byte });
        }
        seen
    }

    /// Makes a call; where it may change something, and whether contents may get lost there.
    fn make(&self, call: &Call) -> (Result<(), Errno>, Vec<(u64, u64)>, bool) {
        match *call {
            Call::Map { at, pages, rights: bits, file, fixed } => {
                let placement = match fixed {
                    0 => Placement::Hint(address(at)),
                    1 => Placement::Fixed(address(at)),
                    _ => Placement::FixedNoReplace(address(at)),
                };
                let mut request = MapRequest::anonymous(placement, pages * PAGE, rights(bits));
                request.file = file.map(|first| (self.file.clone() as _, first * PAGE));
                (self.space.map(request).map(drop), vec![(at, at + pages)], true)
            }
            Call::Unmap { at, pages } => {
                (self.space.unmap(address(at), pages * PAGE), vec![(at, at + pages)], false)
            }
            Call::Protect { at, pages, rights: bits } => {
                (self.space.protect(address(at), pages * PAGE, rights(bits)), vec![(at, at + pages)], false)
            }
            Call::Discard { at, pages } => {
                let span = Span::new(address(at), address(at + pages));
                (self.space.advise(span, Advice::Discard), vec![(at, at + pages)], true)
            }
            Call::Write { at, value } => {
                let written = self.space.write_bytes(address(at), &[value]);
                (written, vec![(at, at + 1)], written.is_ok())
            }
            Call::Lock { at, pages } => {
                let span = Span::new(address(at), address(at + pages));
                (self.space.set_locked(span, at % 2 == 0), vec![], false)
            }
            Call::Remap { at, old, new, to, how } => {
                let request = RemapRequest {
                    address: address(at),
                    old_length: old * PAGE,
                    new_length: new * PAGE,
                    may_move: how != 0,
                    fixed: to.filter(|_| how != 0).map(address),
                    keep_old: how == 3,
                };
                let ranges = std::iter::once((at, at + old)).chain(to.map(|to| (to, to + new)));
                (self.space.remap(request).map(drop), ranges.collect(), false)
            }
        }
    }
}

/// What a call that failed left is what there was.
fn compare(before: &BTreeMap<u64, Seen>, after: &BTreeMap<u64, Seen>, touched: &[(u64, u64)], loses: bool) {
    for page in 0..PAGES {
        let inside = touched.iter().any(|&(from, to)| (from..to).contains(&page));
        let (Some(was), Some(is)) = (before.get(&page), after.get(&page)) else {
            assert!(inside || before.get(&page) == after.get(&page), "page {page}, which was not asked for");
            continue;
        };
        assert!(inside || was.protection == is.protection, "rights of page {page}, which was not asked for");
        let same = was.byte.unwrap_or(0) == is.byte.unwrap_or(0);
        let kept = same || inside && loses || !was.anonymous || !is.anonymous;
        assert!(kept, "contents of page {page}: {was:?} became {is:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn a_call_that_is_refused_half_way_leaves_what_it_does_not_change(
        calls in prop::collection::vec((call(), 0..12usize), 1..40),
        half in any::<bool>(),
    ) {
        let pair = Pair::new();
        pair.pages.fails_half_way.store(half, Relaxed);
        for (call, fail_at) in &calls {
            let before = pair.look();
            *pair.pages.fail_at.lock().unwrap() = if *fail_at > 4 { 0 } else { *fail_at };
            let (outcome, touched, loses) = pair.make(call);
            *pair.pages.fail_at.lock().unwrap() = 0;
            let after = pair.look();
            if outcome.is_err() {
                compare(&before, &after, &touched, loses);
            }
        }
        pair.space.release();
        assert!(pair.pages.pages.lock().unwrap().is_empty());
        assert!(pair.space.arena.is_free(pair.space.bounds()));
    }

    #[test]
    fn where_the_host_has_no_room_for_more_mappings_there_is_none_and_nothing_changes(
        calls in prop::collection::vec(call(), 1..60),
        room in 1..24usize,
    ) {
        let pair = Pair::new();
        pair.pages.most_boundaries.store(room, Relaxed);
        for call in &calls {
            let before = pair.look();
            let (outcome, touched, _) = pair.make(call);
            let after = pair.look();
            if outcome == Err(Errno::ENOMEM) && !matches!(call, Call::Protect { .. } | Call::Discard { .. }) {
                // Unlike what a host refuses, this is known before anything is done.
                compare(&before, &after, &touched, false);
            }
        }
        pair.space.release();
        assert!(pair.pages.pages.lock().unwrap().is_empty());
    }
}
