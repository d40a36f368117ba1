//! What single calls do.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use casemate_platform::pages::Protection;

use super::fake::{BASE, FakeFile, FakePages, space};
use crate::errno::Errno;
use crate::mm::{AddressSpace, Advice, Arena, FaultOutcome, MapRequest, PAGE, Placement, Span};
use crate::user_space::Access;

const READ: Protection = Protection { read: true, write: false, execute: false };
const RW: Protection = Protection::READ_WRITE;

fn anonymous(space: &AddressSpace, placement: Placement, pages: u64) -> Result<u64, Errno> {
    space.map(MapRequest::anonymous(placement, pages * PAGE, RW))
}

fn byte(space: &AddressSpace, address: u64) -> u8 {
    assert_eq!(space.handle_fault(address, Access::Read), FaultOutcome::Resolved, "{address:#x}");
    let mut found = [0];
    space.pages.read(address, &mut found).unwrap();
    found[0]
}

#[test]
fn mappings_are_found_from_the_top_down_and_hints_are_kept() {
    let (space, _) = space(64);
    let top = BASE + 64 * PAGE;
    assert_eq!(anonymous(&space, Placement::Hint(0), 2), Ok(top - 2 * PAGE));
    assert_eq!(anonymous(&space, Placement::Hint(0), 1), Ok(top - 3 * PAGE));
    assert_eq!(anonymous(&space, Placement::Hint(BASE + 8 * PAGE), 2), Ok(BASE + 8 * PAGE));
    assert_eq!(anonymous(&space, Placement::Hint(BASE + 9 * PAGE), 1), Ok(top - 4 * PAGE), "taken");
    assert_eq!(anonymous(&space, Placement::FixedNoReplace(BASE + 9 * PAGE), 2), Err(Errno::EEXIST));
    assert_eq!(anonymous(&space, Placement::Fixed(BASE + 9 * PAGE), 2), Ok(BASE + 9 * PAGE));
    assert_eq!(anonymous(&space, Placement::Fixed(BASE + 1), 1), Err(Errno::EINVAL));
    assert_eq!(anonymous(&space, Placement::Fixed(top), 1), Err(Errno::ENOMEM));
    assert_eq!(anonymous(&space, Placement::Fixed(0), 1), Err(Errno::EPERM));
    assert_eq!(anonymous(&space, Placement::Hint(0), 64), Err(Errno::ENOMEM));
    assert_eq!(anonymous(&space, Placement::Hint(0), 0), Err(Errno::EINVAL));
    assert_eq!(anonymous(&space, Placement::Hint(0), u64::MAX / PAGE), Err(Errno::ENOMEM));
}

#[test]
fn scratch_pages_leave_the_low_addresses_to_programs_that_are_linked_to_them() {
    for size in [64 << 20, 1 << 30, 8 << 30u64] {
        let arena = Arc::new(Arena::new(Span::new(0x1_0000, size)));
        let spaces = [(); 4].map(|()| AddressSpace::with(arena.clone(), Arc::new(FakePages::default())));
        let lowest = spaces.iter().filter_map(|space| space.scratch).map(|span| span.start).min();
        assert!(lowest.is_some_and(|lowest| lowest >= size.min(4 << 30) / 2), "{size:#x}: {lowest:x?}");
    }
}

#[test]
fn an_anonymous_mapping_costs_one_call_and_a_reservation_none() {
    let (space, pages) = space(64);
    anonymous(&space, Placement::Hint(0), 8).unwrap();
    assert_eq!(*pages.calls.lock().unwrap(), 1);
    let reserved = space.map(MapRequest::anonymous(Placement::Hint(0), 8 * PAGE, Protection::NONE)).unwrap();
    assert_eq!(*pages.calls.lock().unwrap(), 1);
    assert_eq!(space.handle_fault(reserved, Access::Read), FaultOutcome::AccessError);
    space.protect(reserved, 4 * PAGE, RW).unwrap();
    assert_eq!(*pages.calls.lock().unwrap(), 2);
    assert_eq!(byte(&space, reserved), 0);
    assert_eq!(space.handle_fault(reserved + 4 * PAGE, Access::Read), FaultOutcome::AccessError);
}

#[test]
fn small_files_come_in_at_once_and_large_ones_when_touched() {
    let (space, pages) = space(256);
    let small = FakeFile::numbered(3);
    let at = space.map(MapRequest::private_file(Placement::Hint(0), 3 * PAGE, READ, small, 0)).unwrap();
    assert_eq!(pages.pages.lock().unwrap().len(), 3);
    assert_eq!([byte(&space, at), byte(&space, at + 2 * PAGE), byte(&space, at + 3 * PAGE - 1)], [1, 3, 0]);

    let large = FakeFile::numbered(100);
    let length = 120 * PAGE;
    let at = space.map(MapRequest::private_file(Placement::Hint(0), length, READ, large, 5 * PAGE)).unwrap();
    assert_eq!(pages.pages.lock().unwrap().len(), 3);
    assert_eq!(byte(&space, at + 40 * PAGE), 46);
    let loaded = pages.pages.lock().unwrap().len();
    assert!(loaded > 3 && loaded <= 3 + 16, "{loaded}");
    assert_eq!(byte(&space, at + 94 * PAGE), 100);
    assert_eq!(space.handle_fault(at + 95 * PAGE, Access::Read), FaultOutcome::BusError);
    assert_eq!(space.handle_fault(at, Access::Write), FaultOutcome::AccessError);
    assert_eq!(
        space.handle_fault(at + length, Access::Read),
        FaultOutcome::Resolved,
        "the small file lies above"
    );
    assert_eq!(space.handle_fault(at - 1, Access::Read), FaultOutcome::NotMapped);
}

#[test]
fn a_page_of_a_file_comes_in_where_calls_find_no_room_any_more() {
    let (space, pages) = space(256);
    let file = MapRequest::private_file(Placement::Hint(0), 120 * PAGE, READ, FakeFile::numbered(120), 0);
    let at = space.map(file).unwrap();
    let memory = anonymous(&space, Placement::Hint(0), 20).unwrap();
    pages.most_boundaries.store(8, Relaxed);
    let refused = (1..20).step_by(2).find(|page| space.protect(memory + page * PAGE, PAGE, READ).is_err());
    assert_eq!(refused, Some(7), "boundaries at both ends, and two for each page");
    assert_eq!(byte(&space, at + 40 * PAGE), 41);
    assert_eq!(space.handle_fault(at + 100 * PAGE, Access::Read), FaultOutcome::OutOfMemory);
}

#[test]
fn private_changes_stay_and_dontneed_brings_the_file_back() {
    let (space, _) = space(64);
    let file = FakeFile::numbered(3);
    let at = space.map(MapRequest::private_file(Placement::Hint(0), 3 * PAGE, RW, file.clone(), 0)).unwrap();
    space.write_bytes(at, &[99]).unwrap();
    assert_eq!(byte(&space, at), 99);
    assert_eq!(file.bytes.lock().unwrap()[0], 1);
    space.advise(Span::new(at, at + PAGE), Advice::Discard).unwrap();
    assert_eq!(byte(&space, at), 1);
    let memory = anonymous(&space, Placement::Hint(0), 2).unwrap();
    space.write_bytes(memory, &[7]).unwrap();
    space.advise(Span::new(memory, memory + 2 * PAGE), Advice::Free).unwrap();
    assert_eq!(byte(&space, memory), 0);
    let hole = Span::new(memory - 8 * PAGE, memory + PAGE);
    assert_eq!(space.advise(hole, Advice::Discard), Err(Errno::ENOMEM));
}

#[test]
fn shared_changes_reach_the_file_page_by_page() {
    let (space, _) = space(64);
    let file = FakeFile::numbered(4);
    let request = MapRequest::private_file(Placement::Hint(0), 4 * PAGE, RW, file.clone(), 0);
    let at = space.map(MapRequest { shared: true, ..request }).unwrap();
    space.write_bytes(at + PAGE, &[50]).unwrap();
    let content = |page: u64| file.bytes.lock().unwrap()[(page * PAGE) as usize];
    assert_eq!(content(1), 2, "not before msync");
    file.bytes.lock().unwrap()[0] = 77;
    space.synchronize(at, 4 * PAGE, 4).unwrap();
    assert_eq!([content(0), content(1)], [77, 50], "a page that was not written to does not go back");
    space.write_bytes(at + PAGE, &[51]).unwrap();
    space.write_bytes(at + 3 * PAGE, &[52; PAGE as usize]).unwrap();
    space.unmap(at, 4 * PAGE).unwrap();
    assert_eq!([content(1), content(3)], [51, 52]);
    assert_eq!(file.bytes.lock().unwrap().len() as u64, 4 * PAGE - PAGE / 2);
}

#[test]
fn dirty_pages_stay_writable_when_rights_change() {
    let (space, pages) = space(64);
    let file = FakeFile::numbered(4);
    let request = MapRequest::private_file(Placement::Hint(0), 4 * PAGE, RW, file.clone(), 0);
    let at = space.map(MapRequest { shared: true, ..request }).unwrap();
    space.write_bytes(at, &[50]).unwrap();
    space.protect(at, 4 * PAGE, READ).unwrap();
    space.protect(at, 4 * PAGE, RW).unwrap();
    let writable = |page: u64| pages.pages.lock().unwrap()[&(at + page * PAGE)].protection.write;
    assert!(writable(0) && !writable(1));
    space.release();
    assert_eq!(file.bytes.lock().unwrap()[0], 50);
    assert!(pages.pages.lock().unwrap().is_empty());
}

#[test]
fn a_shared_read_only_file_cannot_become_writable() {
    let (space, _) = space(64);
    let request = MapRequest::private_file(Placement::Hint(0), 4 * PAGE, READ, FakeFile::numbered(4), 0);
    let at = space.map(MapRequest { shared: true, may_write: false, ..request }).unwrap();
    assert_eq!(space.protect(at, PAGE, RW), Err(Errno::EACCES));
}

#[test]
fn mprotect_changes_what_lies_before_a_hole() {
    let (space, _) = space(64);
    let at = anonymous(&space, Placement::Hint(BASE), 4).unwrap();
    space.unmap(at + 2 * PAGE, PAGE).unwrap();
    assert_eq!(space.protect(at, 4 * PAGE, READ), Err(Errno::ENOMEM));
    assert_eq!(space.handle_fault(at + PAGE, Access::Write), FaultOutcome::AccessError);
    assert_eq!(space.handle_fault(at + 3 * PAGE, Access::Write), FaultOutcome::Resolved);
    assert_eq!(space.protect(at + 2 * PAGE, PAGE, READ), Err(Errno::ENOMEM));
    assert_eq!(space.protect(at + 1, PAGE, READ), Err(Errno::EINVAL));
    assert_eq!(space.protect(at, 0, READ), Ok(()));
}

#[test]
fn the_heap_grows_and_shrinks_within_its_limit() {
    let (space, pages) = space(64);
    space.set_heap(BASE + PAGE, 4 * PAGE);
    assert_eq!(space.brk(0), BASE + PAGE);
    assert_eq!(space.brk(BASE + PAGE + 100), BASE + PAGE + 100);
    assert_eq!(pages.pages.lock().unwrap().len(), 1);
    space.write_bytes(BASE + PAGE, &[5]).unwrap();
    assert_eq!(space.brk(BASE + 3 * PAGE), BASE + 3 * PAGE);
    assert_eq!(byte(&space, BASE + PAGE), 5);
    assert_eq!(space.brk(BASE + 6 * PAGE), BASE + 3 * PAGE, "beyond the limit");
    assert_eq!(space.brk(BASE), BASE + 3 * PAGE, "below the start");
    assert_eq!(space.brk(BASE + PAGE + 1), BASE + PAGE + 1);
    assert_eq!(pages.pages.lock().unwrap().len(), 1);
    anonymous(&space, Placement::Hint(0), 55).unwrap();
    assert_eq!(space.brk(BASE + 5 * PAGE), BASE + 5 * PAGE, "its room was kept free");
    assert_eq!(space.describe()[0].name, b"[heap]");
    space.write_bytes(BASE + 4 * PAGE, &[6]).unwrap();
    space.brk(BASE + 4 * PAGE);
    space.brk(BASE + 5 * PAGE);
    assert_eq!(byte(&space, BASE + 4 * PAGE), 0, "what comes back is zero");
}

#[test]
fn processes_never_get_each_others_addresses() {
    let pages = Arc::new(super::fake::FakePages::default());
    let arena = Arc::new(Arena::new(Span::new(BASE, BASE + 8 * PAGE)));
    let first = AddressSpace::with(arena.clone(), pages.clone());
    let second = AddressSpace::with(arena, pages.clone());
    let at = anonymous(&first, Placement::Hint(0), 4).unwrap();
    first.write_bytes(at, &[1]).unwrap();
    assert_eq!(anonymous(&second, Placement::Fixed(at), 1), Err(Errno::ENOMEM));
    assert_eq!(anonymous(&second, Placement::FixedNoReplace(at), 1), Err(Errno::EEXIST));
    assert_ne!(anonymous(&second, Placement::Hint(at), 1), Ok(at));
    second.unmap(BASE, 8 * PAGE).unwrap();
    assert_eq!(byte(&first, at), 1);
    assert_eq!(second.handle_fault(at, Access::Read), FaultOutcome::NotMapped);
    drop(first);
    assert!(pages.pages.lock().unwrap().is_empty());
    assert_eq!(anonymous(&second, Placement::Fixed(at), 1), Ok(at));
}

#[test]
fn a_file_that_cannot_be_read_is_a_bus_error() {
    let (space, _) = space(64);
    let file =
        Arc::new(super::fake::FakeFile { bytes: vec![1; 100].into(), broken: true.into(), searched: false });
    let at = space.map(MapRequest::private_file(Placement::Hint(0), PAGE, READ, file, 0)).unwrap();
    assert_eq!(space.handle_fault(at, Access::Read), FaultOutcome::BusError);
    assert!(!space.make_present(at, Access::Read));
}

#[test]
fn threads_that_touch_the_same_cluster_all_see_its_contents() {
    let (space, _) = space(512);
    let file = FakeFile::numbered(200);
    let at = space.map(MapRequest::private_file(Placement::Hint(0), 200 * PAGE, READ, file, 0)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for page in 0..200 {
                    assert_eq!(byte(&space, at + page * PAGE), (page + 1) as u8);
                }
            });
        }
    });
}
