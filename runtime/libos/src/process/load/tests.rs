//! Real programs loaded into pages of the test, and broken ones refused.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::mm::tests::fake::{FakeFile, FakePages, contents, leaves_nothing, sibling};
use crate::mm::{Arena, MapEntry};
use crate::user_space::Access;

const RANGE: Span = Span { start: 0x1_0000, end: 1 << 36 };

fn empty_space() -> Arc<AddressSpace> {
    Arc::new(AddressSpace::with(Arc::new(Arena::new(RANGE)), Arc::new(FakePages::default())))
}

fn dynamic_program() -> Vec<u8> {
    std::fs::read("/bin/true").expect("/bin/true is a dynamic program")
}

fn load(space: &Arc<AddressSpace>, bytes: Vec<u8>) -> Result<LoadedProgram> {
    let start = ProgramStart {
        arguments: &[b"true".to_vec()],
        environment: &[b"A=b".to_vec()],
        path: b"/bin/true",
        credentials: &Credentials::new(1, 2, Vec::new()),
        secure: false,
        stack_size: 8 << 20,
        heap_limit: 1 << 30,
    };
    let open = |path: &[u8]| -> Result<Arc<dyn Mappable>> {
        let path = std::str::from_utf8(path).map_err(|_| Errno::ENOENT)?;
        Ok(FakeFile::new(std::fs::read(path).map_err(|_| Errno::ENOENT)?))
    };
    load_program(space, &Headers::read(FakeFile::new(bytes), open)?, &start)
}

fn value(program: &LoadedProgram, name: u64) -> Option<u64> {
    program.auxiliary.iter().find(|entry| entry[0] == name).map(|entry| entry[1])
}

fn read(space: &AddressSpace, address: u64, length: usize) -> Vec<u8> {
    for at in (address..address + length as u64).step_by(PAGE as usize) {
        assert!(space.make_present(at, Access::Read), "{at:#x}");
    }
    contents(space, address, length)
}

fn entry_of(map: &[MapEntry], address: u64) -> &MapEntry {
    map.iter().find(|entry| entry.span.contains(address)).expect("mapped")
}

#[test]
fn a_dynamic_program_starts_in_its_interpreter() {
    let space = empty_space();
    let bytes = dynamic_program();
    let program = load(&space, bytes.clone()).unwrap();
    let map = space.describe();
    let base = value(&program, key::BASE).unwrap();
    assert!(entry_of(&map, program.entry).protection.execute);
    assert!(entry_of(&map, program.entry).span.start > base);
    assert_eq!(read(&space, base, 4), b"\x7fELF");
    assert_eq!(read(&space, program.image.start, 64), bytes[..64]);
    let headers = value(&program, key::PHDR).unwrap();
    assert_eq!(read(&space, headers, 56), bytes[64..120]);
    let entry = value(&program, key::ENTRY).unwrap();
    assert!(program.image.contains(entry) && entry_of(&map, entry).protection.execute);
    assert!(program.brk_start >= program.image.end);
    assert_eq!(space.brk(program.brk_start + PAGE), program.brk_start + PAGE);
    let stack = entry_of(&map, program.stack_pointer);
    assert_eq!(
        (&stack.name[..], stack.span.len(), stack.protection.execute),
        (&b"[stack]"[..], 8 << 20, false)
    );
    assert_eq!(read(&space, program.stack_pointer, 8), 1u64.to_le_bytes());
    assert_eq!(read(&space, program.environment.start, 4), b"A=b\0");
    assert_eq!((value(&program, key::UID), value(&program, key::EGID)), (Some(1), Some(2)));
}

#[test]
fn the_rest_of_the_data_segments_last_page_is_zero() {
    let space = empty_space();
    let program = load(&space, dynamic_program()).unwrap();
    let data = space
        .describe()
        .into_iter()
        .filter(|entry| entry.protection.write && program.image.encloses(entry.span));
    let last = data.max_by_key(|entry| entry.span.start).unwrap();
    let tail = read(&space, last.span.end - 64, 64);
    assert_eq!(tail, [0; 64]);
}

/// A minimal executable: one segment at a fixed address, no interpreter.
fn fixed_program(address: u64) -> Vec<u8> {
    let mut bytes = vec![0u8; 0x2000];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[2, 0, 62, 0, 1, 0, 0, 0]);
    put(24, &(address + 0x100).to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(52, &[64, 0, 56, 0, 1, 0]);
    put(64, &[1, 0, 0, 0, 7, 0, 0, 0]);
    for (index, word) in [0, address, address, 0x1800, 0x5000, 0x1000].into_iter().enumerate() {
        put(72 + 8 * index, &word.to_le_bytes());
    }
    put(0x17ff, &[0xaa, 0xbb]);
    bytes
}

#[test]
fn a_fixed_program_gets_its_own_addresses_or_none() {
    let space = empty_space();
    let program = load(&space, fixed_program(0x40_0000)).unwrap();
    assert_eq!(program.entry, 0x40_0100);
    assert_eq!(program.image, Span::new(0x40_0000, 0x40_5000));
    assert_eq!(value(&program, key::BASE), Some(0));
    assert_eq!(read(&space, 0x40_17ff, 2), [0xaa, 0], "bytes behind the file's part are zero");
    assert_eq!(read(&space, 0x40_4fff, 1), [0]);

    let other = Arc::new(sibling(&space));
    let elsewhere = load(&other, fixed_program(0x8000_0000)).unwrap();
    assert_eq!(elsewhere.entry, 0x8000_0100, "another stage");
    let taken = MapRequest::anonymous(Placement::Fixed(0x1000_0000), PAGE, Protection::READ_WRITE);
    space.map(taken).unwrap();
    let third = Arc::new(sibling(&space));
    assert_eq!(load(&third, fixed_program(0xfff_e000)).err(), Some(Errno::ENOMEM), "no stage");
    drop(third);
    assert!(space.make_present(0x1000_0000, Access::Read), "what was there is untouched");
}

#[test]
fn what_is_no_program_is_refused() {
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fixed_program(0x40_0000);
        change(&mut bytes);
        load(&empty_space(), bytes).err()
    };
    assert_eq!(refused(&|_| {}), None);
    assert_eq!(refused(&|bytes| bytes.truncate(63)), Some(Errno::ENOEXEC));
    assert_eq!(refused(&|bytes| bytes[0] = 0), Some(Errno::ENOEXEC));
    assert_eq!(refused(&|bytes| bytes[16] = 1), Some(Errno::ENOEXEC), "an object file");
    assert_eq!(refused(&|bytes| bytes[18] = 3), Some(Errno::ENOEXEC), "another machine");
    assert_eq!(refused(&|bytes| bytes[54] = 32), Some(Errno::ENOEXEC), "another header size");
    assert_eq!(refused(&|bytes| bytes[56] = 0), Some(Errno::ENOEXEC), "no headers");
    assert_eq!(refused(&|bytes| bytes[56..58].fill(0xff)), Some(Errno::ENOEXEC), "too many headers");
    assert_eq!(refused(&|bytes| bytes[64] = 4), Some(Errno::EINVAL), "nothing to load");
    assert_eq!(refused(&|bytes| bytes[73] = 1), Some(Errno::EINVAL), "offset and address disagree");
    assert_eq!(refused(&|bytes| bytes[97] = 0xff), Some(Errno::EINVAL), "more in the file than in memory");
    assert_eq!(refused(&|bytes| bytes[87] = 0xff), Some(Errno::EINVAL), "addresses beyond all memory");
    assert_eq!(load(&empty_space(), b"#!/bin/sh\n".to_vec()).err(), Some(Errno::ENOEXEC));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn hostile_headers_never_do_more_than_fail(
        changes in prop::collection::vec((0usize..800, any::<u8>()), 1..12),
        dynamic in any::<bool>(),
    ) {
        let mut bytes = if dynamic { dynamic_program() } else { fixed_program(0x40_0000) };
        for (at, value) in changes {
            bytes[at] = value;
        }
        let space = empty_space();
        let _ = load(&space, bytes);
        prop_assert!(leaves_nothing(space));
    }
}
