//! An enclave without EDMM, whose host shows what should be hidden.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use casemate_platform::pages::Protection;

use super::fake::{FakeFile, FakePages, contents};
use crate::errno::Errno;
use crate::mm::{AddressSpace, Advice, MapRequest, PAGE, Placement, RemapRequest, Span};

const READ: Protection = Protection { read: true, write: false, execute: false };
const RX: Protection = Protection { execute: true, ..READ };
const WRITE: Protection = Protection { read: false, write: true, execute: false };

fn space() -> (AddressSpace, Arc<FakePages>) {
    let (space, pages) = super::fake::space(512);
    pages.only_hidden.store(true, Relaxed);
    (space, pages)
}

fn map(space: &AddressSpace, file: &Arc<FakeFile>, pages: u64, protection: Protection) -> Result<u64, Errno> {
    space.map(MapRequest::private_file(Placement::Hint(0), pages * PAGE, protection, file.clone(), 0))
}

/// Whether the host's bytes are nowhere where the program may look.
fn nothing_shows(space: &AddressSpace, pages: &FakePages) -> bool {
    let (there, zeroed) = (pages.pages.lock().unwrap(), pages.zeroed.lock().unwrap());
    let state = space.state.lock();
    let mut spans = state.vmas.iter().filter(|vma| !vma.is_inaccessible()).map(|vma| vma.span);
    spans.all(|span| {
        (span.start..span.end)
            .step_by(PAGE as usize)
            .all(|at| there.contains_key(&at) || zeroed.contains(&at))
    })
}

fn is_mapped(space: &AddressSpace, address: u64) -> bool {
    space.state.lock().vmas.find(address).is_some()
}

#[test]
fn what_is_mapped_is_there_and_behind_its_end_is_nothing_but_zeros() {
    for protection in [READ, RX, WRITE, Protection::READ_WRITE] {
        let (space, pages) = space();
        let at = map(&space, &FakeFile::numbered(40), 90, protection).unwrap();
        assert!(nothing_shows(&space, &pages), "{protection:?}");
        assert_eq!(contents(&space, at + 39 * PAGE, 1), [40]);
        assert_eq!(pages.pages.lock().unwrap().len(), 40, "{protection:?}: the others are hidden");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_not_mapped() {
    for protection in [READ, RX, Protection::READ_WRITE] {
        let (space, pages) = space();
        let file = FakeFile::numbered(40);
        file.broken.store(true, Relaxed);
        assert_eq!(map(&space, &file, 40, protection), Err(Errno::EIO));
        assert_eq!(space.state.lock().vmas.iter().count(), 0);
        assert!(nothing_shows(&space, &pages));
    }
}

#[test]
fn memory_that_the_host_does_not_give_is_not_mapped() {
    for failing in 1..60 {
        let (space, pages) = space();
        let file = FakeFile::numbered(40);
        *pages.fail_at.lock().unwrap() = failing;
        let mapped = map(&space, &file, 60, READ);
        let failed = *pages.fail_at.lock().unwrap() == 0;
        assert!(mapped.is_ok() || failed && mapped == Err(Errno::ENOMEM), "{failing}: {mapped:?}");
        assert!(nothing_shows(&space, &pages), "call {failing} fails");
    }
}

#[test]
fn what_becomes_accessible_is_there_or_nothing_but_zeros() {
    let (space, pages) = space();
    let file = FakeFile::numbered(8);
    let at = map(&space, &file, 8, Protection::NONE).unwrap();
    assert!(pages.pages.lock().unwrap().is_empty());
    space.protect(at, 4 * PAGE, READ).unwrap();
    assert!(nothing_shows(&space, &pages) && contents(&space, at, 1) == [1]);
    file.broken.store(true, Relaxed);
    assert_eq!(space.protect(at, 8 * PAGE, READ), Err(Errno::EIO));
    assert!(nothing_shows(&space, &pages) && is_mapped(&space, at + 7 * PAGE));
    assert_eq!(contents(&space, at, 1), [1]);
}

#[test]
fn what_was_dropped_comes_back_or_is_nothing_but_zeros() {
    let (space, pages) = space();
    let file = FakeFile::numbered(8);
    let at = map(&space, &file, 8, Protection::READ_WRITE).unwrap();
    let span = Span::new(at, at + 8 * PAGE);
    space.advise(span, Advice::Discard).unwrap();
    assert_eq!(contents(&space, at + PAGE, 1), [2]);
    file.broken.store(true, Relaxed);
    pages.zeroed.lock().unwrap().clear();
    assert_eq!(space.advise(span, Advice::Discard), Err(Errno::EIO));
    assert!(nothing_shows(&space, &pages));
}

#[test]
fn what_grows_is_there_or_nothing_but_zeros() {
    for broken in [false, true] {
        let (space, pages) = space();
        let file = FakeFile::numbered(16);
        let at = map(&space, &file, 4, READ).unwrap();
        file.broken.store(broken, Relaxed);
        let grown = space.remap(RemapRequest {
            address: at,
            old_length: 4 * PAGE,
            new_length: 16 * PAGE,
            may_move: true,
            fixed: None,
            keep_old: false,
        });
        assert_eq!(grown.is_err(), broken, "{grown:?}");
        assert!(nothing_shows(&space, &pages), "broken: {broken}");
    }
}
