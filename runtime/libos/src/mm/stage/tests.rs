//! Turns without threads, and pages that go aside and come back.

use super::*;
use crate::mm::tests::fake::{FakePages, contents, leaves_nothing, sibling};
use crate::mm::{MapRequest, Placement};

const EXTENT: Span = Span { start: 0x40_0000, end: 0x40_4000 };
const RW: Protection = Protection::READ_WRITE;
const SLICE: u64 = SLICE_NS;

fn member(number: u8) -> Arc<AddressSpace> {
    let arena = Arc::new(Arena::new(Span::new(0x1_0000, 1 << 36)));
    let space = Arc::new(AddressSpace::with(arena, Arc::new(FakePages::default())));
    put_program(&space, number);
    space
}

/// Two pages of data with another right each, a hole, and a page that is not there yet.
fn put_program(space: &Arc<AddressSpace>, number: u8) {
    space.take_stage(EXTENT).unwrap();
    for (page, protection) in [(0, RW), (1, RW), (3, Protection::NONE)] {
        let place = Placement::Fixed(EXTENT.start + page * PAGE);
        space.map(MapRequest::anonymous(place, PAGE, protection)).unwrap();
    }
    space.write_bytes(EXTENT.start + 5, &[number, number + 1]).unwrap();
    space.write_bytes(EXTENT.start + PAGE, &[number + 2]).unwrap();
    space.protect(EXTENT.start + PAGE, PAGE, Protection { write: false, ..RW }).unwrap();
}

fn check_program(space: &AddressSpace, number: u8) {
    assert_eq!(contents(space, EXTENT.start + 5, 2), [number, number + 1]);
    assert_eq!(contents(space, EXTENT.start + PAGE, 1), [number + 2]);
    let write = |address: u64| space.pages.write(address, &[1]).is_ok();
    assert!(write(EXTENT.start) && !write(EXTENT.start + PAGE), "each page has its own right");
}

#[test]
fn pages_go_aside_and_come_back_with_their_rights() {
    let first = member(10);
    let second = Arc::new(sibling(&first));
    first.step_aside();
    put_program(&second, 50);
    check_program(&second, 50);
    second.step_aside();
    first.step_forward();
    check_program(&first, 10);
    first.step_aside();
    second.step_forward();
    check_program(&second, 50);
    let beyond = MapRequest::anonymous(Placement::Fixed(second.wings().unwrap().start), PAGE, RW);
    assert_eq!(second.map(beyond), Err(Errno::ENOMEM), "no mapping goes into the wings");
    second.stage().unwrap().turns.lock().current = Some(second.id);
    drop(first);
    check_program(&second, 50);
    assert!(leaves_nothing(second));
}

#[test]
fn a_futex_on_the_stage_is_the_processs_own_and_elsewhere_everyones() {
    let first = member(1);
    let second = Arc::new(sibling(&first));
    second.take_stage(EXTENT).unwrap();
    let key = |space: &AddressSpace| space.futex_key(EXTENT.start + 8);
    assert_ne!(key(&first), key(&second));
    let elsewhere = 3 << 30;
    assert_eq!((first.futex_key(elsewhere), second.futex_key(elsewhere)), (elsewhere, elsewhere));
}

#[test]
fn programs_of_other_sizes_share_a_stage_while_it_is_roomy_enough() {
    let space = member(1);
    let fits = Arc::new(sibling(&space));
    fits.take_stage(Span::new(EXTENT.start + PAGE, ROOMY_END)).unwrap();
    assert!(Arc::ptr_eq(space.stage().unwrap(), fits.stage().unwrap()));
    let too_long = Arc::new(sibling(&space));
    assert_eq!(too_long.take_stage(Span::new(EXTENT.start, ROOMY_END + PAGE)), Err(Errno::ENOMEM));
    let behind = Arc::new(sibling(&space));
    behind.take_stage(Span::new(ROOMY_END, ROOMY_END + PAGE)).unwrap();
    assert!(!Arc::ptr_eq(space.stage().unwrap(), behind.stage().unwrap()));
}

#[test]
fn in_a_small_enclave_a_program_has_its_addresses_alone() {
    let arena = Arc::new(Arena::new(Span::new(0x1_0000, 256 << 20)));
    let space = Arc::new(AddressSpace::with(arena, Arc::new(FakePages::default())));
    space.take_stage(EXTENT).unwrap();
    assert!(space.stage().is_none());
    let request = |start| MapRequest::anonymous(Placement::FixedNoReplace(start), PAGE, RW);
    assert_eq!(space.map(request(EXTENT.start)), Ok(EXTENT.start));
    let other = Arc::new(sibling(&space));
    assert_eq!(other.take_stage(EXTENT), Err(Errno::ENOMEM));
}

fn goes_on<T>(step: &Step<T>) -> bool {
    matches!(step, Step::GoOn)
}

#[test]
fn whoever_waits_for_the_stage_gets_it_when_the_last_thread_leaves() {
    let mut turns = Turns::new();
    turns.current = Some(1);
    let [a, b, c] = [(); 3].map(|()| Arc::new(()));
    assert!(goes_on(&turns.step(1, &a, 10)) && goes_on(&turns.step(1, &b, 10)));
    let Step::Wait(wait) = turns.step(2, &c, 20) else { panic!("the stage is not free") };
    assert!(wait.interrupt.is_empty() && wait.at_most_ns <= SLICE);
    turns.inside.clear();
    assert!(Arc::ptr_eq(&turns.to_call().unwrap(), &c));
    assert!(matches!(turns.step(2, &c, 30), Step::Change(Some(1))));
    assert!(matches!(turns.step(1, &a, 31), Step::Wait(_)), "pages are moving");
    turns.changing = false;
    turns.current = Some(2);
    assert!(goes_on(&turns.step(2, &c, 40)));
}

#[test]
fn after_its_slice_a_process_is_interrupted_and_gets_in_again_only_after_the_other() {
    let mut turns = Turns::new();
    turns.current = Some(1);
    let [a, b, c] = [(); 3].map(|()| Arc::new(()));
    assert!(goes_on(&turns.step(1, &a, 0)));
    assert!(matches!(turns.step(2, &c, 1), Step::Wait(_)));
    assert!(goes_on(&turns.step(1, &b, 2)), "within the slice");
    turns.inside.retain(|other| !Arc::ptr_eq(other, &b));
    let Step::Wait(wait) = turns.step(2, &c, SLICE) else { panic!("the stage is not free") };
    assert!(wait.interrupt.len() == 1 && Arc::ptr_eq(&wait.interrupt[0], &a));
    turns.inside.clear();
    let Step::Wait(wait) = turns.step(1, &a, SLICE + 1) else { panic!("it is the other's turn") };
    assert!(Arc::ptr_eq(&wait.call.unwrap(), &c), "and the other is told");
    assert!(matches!(turns.step(2, &c, SLICE + 2), Step::Change(Some(1))));
    turns.changing = false;
    (turns.current, turns.since_ns) = (Some(2), SLICE + 2);
    assert!(goes_on(&turns.step(2, &c, SLICE + 3)));
    assert!(matches!(turns.step(1, &a, SLICE + 4), Step::Wait(_)));
    turns.inside.clear();
    assert!(matches!(turns.step(1, &a, SLICE + 5), Step::Change(Some(2))));
}

#[test]
fn a_process_alone_on_its_stage_never_waits() {
    let mut turns = Turns::new();
    turns.current = Some(1);
    let threads: Vec<Arc<u32>> = (0..5).map(Arc::new).collect();
    for (round, thread) in threads.iter().enumerate() {
        assert!(goes_on(&turns.step(1, thread, round as u64 * 10 * SLICE)));
    }
    assert_eq!(turns.inside.len(), 5);
}
