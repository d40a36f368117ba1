//! Code whose system calls are rewritten as it comes in.

use std::sync::Arc;

use casemate_platform::pages::Protection;

use super::fake::{FakeFile, contents, space};
use crate::mm::{AddressSpace, FaultOutcome, MapRequest, PAGE, Placement};
use crate::user_space::Access;

const READ: Protection = Protection { read: true, write: false, execute: false };
const CODE: Protection = Protection { read: true, write: false, execute: true };
/// `mov eax, 39; syscall; ret`.
const GETPID: [u8; 8] = [0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3];
/// `syscall; cmp rax, -4096; ret`.
const BARE: [u8; 9] = [0x0f, 0x05, 0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0xc3];

fn code_file(pages: u64, places: &[(u64, &[u8])]) -> Arc<FakeFile> {
    let mut bytes = vec![0x90; (pages * PAGE) as usize];
    for (at, code) in places {
        bytes[*at as usize..*at as usize + code.len()].copy_from_slice(code);
    }
    Arc::new(FakeFile { bytes: bytes.into(), broken: false.into(), searched: true })
}

fn map(space: &AddressSpace, file: Arc<FakeFile>, pages: u64, protection: Protection) -> u64 {
    space.map(MapRequest::private_file(Placement::Hint(0), pages * PAGE, protection, file, 0)).unwrap()
}

fn fetch(space: &AddressSpace, address: u64, length: usize) -> Vec<u8> {
    assert_eq!(space.handle_fault(address, Access::Execute), FaultOutcome::Resolved);
    contents(space, address, length)
}

/// Where the `jmp rel32` at an address leads.
fn jump_target(space: &AddressSpace, address: u64) -> u64 {
    let code = fetch(space, address, 5);
    assert_eq!(code[0], 0xe9, "not rewritten");
    let distance = i32::from_le_bytes(code[1..5].try_into().unwrap());
    (address + 5).wrapping_add_signed(distance.into())
}

fn check_getpid(space: &AddressSpace, at: u64) {
    let stub = jump_target(space, at);
    assert_eq!(contents(space, at + 5, 3), GETPID[5..], "the syscall stays for those who jump to it");
    let code = contents(space, stub, 20);
    assert_eq!(code[..5], GETPID[..5]);
    assert_eq!(code[5..8], [0x48, 0x8d, 0x0d]);
    let distance = i32::from_le_bytes(code[8..12].try_into().unwrap());
    assert_eq!((stub + 12).wrapping_add_signed(distance.into()), at + 7, "goes on after the syscall");
    assert_eq!(code[12..20], [0x65, 0xff, 0x24, 0x25, 8, 0, 0, 0]);

    assert_eq!(space.original_pc(stub), at);
    assert_eq!(space.original_pc(stub + 5), at + 5);
    assert_eq!(space.original_pc(stub + 12), at + 5);
    assert_eq!(space.original_pc(at + 7), at + 7);
    assert_eq!(space.restart_pc(at + 7), at + 5);
    assert_eq!(space.resumable_pc(at), at);
}

#[test]
fn a_system_call_enters_the_library_os_directly() {
    let (space, pages) = space(64);
    let at = map(&space, code_file(4, &[(0x100, &GETPID), (0x2000, &GETPID)]), 4, CODE);
    check_getpid(&space, at + 0x100);
    check_getpid(&space, at + 0x2000);
    let stub = jump_target(&space, at + 0x100) & !(PAGE - 1);
    assert_eq!(pages.pages.lock().unwrap()[&stub].protection, CODE);
    assert_eq!(space.describe().len(), 1, "the trampoline is no mapping of the program's");
}

#[test]
fn a_covered_call_goes_on_in_its_stub() {
    let (space, _) = space(64);
    let at = map(&space, code_file(1, &[(0x40, &BARE)]), 1, CODE) + 0x40;
    let stub = jump_target(&space, at);
    assert_eq!(contents(&space, at + 5, 3), [0xcc; 3]);
    let next = stub + 15;
    assert_eq!(contents(&space, next, 6), BARE[2..8]);
    assert_eq!(space.original_pc(next), at + 2);
    assert_eq!(space.resumable_pc(at + 2), next);
    assert_eq!(space.restart_pc(next), at, "the jump at the site makes the call again");
    assert_eq!(space.original_pc(next + 6), at + 8);
}

#[test]
fn clusters_that_come_in_one_by_one_share_a_trampoline() {
    let (space, _) = space(256);
    let places: Vec<(u64, &[u8])> = (0..100).map(|page| (page * PAGE + 0x30, &GETPID[..])).collect();
    let at = map(&space, code_file(100, &places), 100, CODE);
    for page in [99, 0, 50, 17, 98] {
        check_getpid(&space, at + page * PAGE + 0x30);
    }
    assert_eq!(space.state.lock().trampolines.len(), 1);
}

#[test]
fn code_that_becomes_executable_later_is_rewritten_too() {
    let (space, pages) = space(256);
    let small = map(&space, code_file(2, &[(0x80, &GETPID)]), 2, READ);
    assert_eq!(contents(&space, small + 0x80, 8), GETPID);
    space.protect(small, 2 * PAGE, CODE).unwrap();
    check_getpid(&space, small + 0x80);
    assert_eq!(pages.pages.lock().unwrap()[&small].protection, CODE);

    let large = map(&space, code_file(60, &[(0x80, &GETPID), (50 * PAGE, &GETPID)]), 60, READ);
    assert!(space.make_present(large + 0x80, Access::Read));
    space.protect(large, 60 * PAGE, CODE).unwrap();
    check_getpid(&space, large + 0x80);
    check_getpid(&space, large + 50 * PAGE);
}

#[test]
fn rewritten_text_can_be_written_to_and_run_again() {
    let (space, _) = space(64);
    let at = map(&space, code_file(2, &[(0x80, &GETPID)]), 2, CODE);
    space.protect(at, 2 * PAGE, Protection::READ_WRITE).unwrap();
    space.write_bytes(at + 0x200, &[0xf4]).unwrap();
    space.protect(at, 2 * PAGE, CODE).unwrap();
    check_getpid(&space, at + 0x80);
    assert_eq!(contents(&space, at + 0x200, 1), [0xf4]);
}

#[test]
fn a_trampoline_lives_as_long_as_its_code_and_is_not_mapped_over() {
    let (space, pages) = space(64);
    let at = map(&space, code_file(4, &[(0x80, &GETPID)]), 4, CODE);
    let stub = jump_target(&space, at + 0x80) & !(PAGE - 1);
    let over = MapRequest::anonymous(Placement::Fixed(stub), PAGE, Protection::READ_WRITE);
    assert_eq!(space.map(over).err(), Some(crate::errno::Errno::ENOMEM));
    space.unmap(at + PAGE, 3 * PAGE).unwrap();
    check_getpid(&space, at + 0x80);
    space.unmap(at, PAGE).unwrap();
    assert!(pages.pages.lock().unwrap().is_empty());
    assert!(space.state.lock().trampolines.is_empty());
    let again = MapRequest::anonymous(Placement::FixedNoReplace(stub), PAGE, Protection::READ_WRITE);
    assert_eq!(space.map(again), Ok(stub));
}

#[test]
fn stubs_that_cannot_be_written_leave_their_code_as_it_was() {
    let (space, pages) = space(256);
    let at = map(&space, code_file(60, &[(0x80, &GETPID)]), 60, CODE);
    *pages.fail_at.lock().unwrap() = 1;
    assert_eq!(space.handle_fault(at, Access::Execute), FaultOutcome::Resolved);
    assert_eq!(fetch(&space, at + 0x80, 8), GETPID, "it traps");
}
