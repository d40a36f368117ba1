//! Files against a model of bytes in memory; files that were changed; flushes that were cut off.

mod memory;
mod vectors;

use casemate_protected_files::{FileKey, HEAD_SIZE, MAX_PATH, MAX_SIZE, NODE_SIZE, ProtectedFile, nodes_of};
use memory::{Failure, File, KEY, Memory, PATH, contents, create, open};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Write { offset: u64, length: usize, byte: u8 },
    Read { offset: u64, length: usize },
    SetSize(u64),
    Flush,
    Reopen,
}

/// Places near the edges of the head, of nodes, and of the first MHT nodes.
fn places() -> impl Strategy<Value = u64> {
    let edges =
        prop::sample::select(vec![0, 3072, 7168, 396_288, 396_288 + 96 * 4096, 32 * 96 * 4096 + 3072]);
    let anywhere = prop_oneof![3 => 0_u64..20_000, 1 => 0_u64..1_500_000];
    prop_oneof![
        anywhere,
        (edges, 0_u64..9000).prop_map(|(edge, more): (u64, u64)| (edge + more).saturating_sub(4500))
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let length = prop_oneof![4 => 0_usize..9000, 1 => 0_usize..450_000];
    prop_oneof![
        5 => (places(), length.clone(), any::<u8>())
            .prop_map(|(offset, length, byte)| Step::Write { offset, length, byte }),
        3 => (places(), length).prop_map(|(offset, length)| Step::Read { offset, length }),
        2 => places().prop_map(Step::SetSize),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ]
}

fn pattern(length: usize, byte: u8) -> Vec<u8> {
    (0..length).map(|index| (index as u8).wrapping_mul(31).wrapping_add(byte)).collect()
}

fn write_model(model: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if !bytes.is_empty() {
        let end = model.len().max(offset + bytes.len());
        model.resize(end, 0);
        model[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_is_the_bytes_that_were_written(steps in vec(steps(), 1..25), recovers in any::<bool>()) {
        let memory = Memory::default();
        memory.0.borrow_mut().recovers = recovers;
        let mut file = create(&memory);
        let mut model = Vec::new();
        for step in steps {
            match step {
                Step::Write { offset, length, byte } => {
                    let bytes = pattern(length, byte);
                    file.write(offset, &bytes).unwrap();
                    write_model(&mut model, offset as usize, &bytes);
                }
                Step::Read { offset, length } => {
                    let mut bytes = vec![0; length];
                    let count = file.read(offset, &mut bytes).unwrap();
                    let start = (offset as usize).min(model.len());
                    prop_assert_eq!(&bytes[..count], &model[start..(start + length).min(model.len())]);
                }
                Step::SetSize(size) => {
                    file.set_size(size).unwrap();
                    model.resize(size as usize, 0);
                }
                Step::Flush => file.flush().unwrap(),
                Step::Reopen => {
                    file.flush().unwrap();
                    prop_assert_eq!(memory.0.borrow().nodes.len() as u64, nodes_of(model.len() as u64));
                    file = open(&memory).unwrap();
                }
            }
            prop_assert_eq!(file.size(), model.len() as u64);
        }
        prop_assert!(contents(&mut file).unwrap() == model);
        file.flush().unwrap();
        prop_assert!(contents(&mut open(&memory).unwrap()).unwrap() == model);
    }

    #[test]
    fn a_changed_byte_is_noticed(at in 0_usize..nodes_of(400_000) as usize * NODE_SIZE, bits in 1_u8..=255) {
        let memory = filled(400_000);
        memory.0.borrow_mut().nodes[at / NODE_SIZE][at % NODE_SIZE] ^= bits;
        let read = open(&memory).and_then(|mut file| contents(&mut file));
        match at {
            // Flags; nobody authenticates the rest of the metadata node, which holds nothing.
            58 if bits & 1 == 0 => prop_assert!(read.is_ok()),
            58 => prop_assert_eq!(read, Err(Failure::NotRecoverable)),
            3943..4096 => prop_assert!(read.is_ok()),
            0..4096 => prop_assert!(matches!(
                read,
                Err(Failure::NotProtected | Failure::Version(..) | Failure::KeyOrMetadata)
            )),
            _ => prop_assert_eq!(read, Err(Failure::Changed((at / NODE_SIZE) as u64))),
        }
    }

    #[test]
    fn any_bytes_are_no_file_or_an_error(mut head in vec(any::<u8>(), 0..200), pending in any::<bool>()) {
        let memory = Memory::default();
        let mut node = [0; NODE_SIZE];
        if head.len() > 60 {
            head[..10].copy_from_slice(b"GRAFS_PF\x02\x00");
            head[58] = u8::from(pending);
        }
        node[..head.len()].copy_from_slice(&head);
        memory.0.borrow_mut().nodes.push(node);
        prop_assert!(open(&memory).is_err());
    }

    /// Whatever a flush was doing, the file is afterwards what it was before or what it was to become.
    #[test]
    fn a_flush_that_is_cut_off_is_undone(
        before in 0_usize..600_000,
        changes in vec((places(), 0_usize..20_000), 1..6),
        size in prop::option::of(0_u64..500_000),
        patience in 0_usize..260,
    ) {
        let memory = filled(before);
        memory.0.borrow_mut().recovers = true;
        let mut file = open(&memory).unwrap();
        let old = pattern(before, 3);
        let mut new = old.clone();
        for (offset, length) in changes {
            let bytes = pattern(length, 9);
            file.write(offset % 700_000, &bytes).unwrap();
            write_model(&mut new, (offset % 700_000) as usize, &bytes);
        }
        if let Some(size) = size {
            file.set_size(size).unwrap();
            new.resize(size as usize, 0);
        }
        memory.0.borrow_mut().patience = Some(patience);
        let flushed = file.flush();
        memory.0.borrow_mut().patience = None;
        let crashed = Memory(std::rc::Rc::new(std::cell::RefCell::new(memory.0.borrow().clone())));
        let found = contents(&mut open(&crashed).unwrap()).unwrap();
        prop_assert!(found == new || (found == old && flushed.is_err()));
        // Who is still there tries again.
        file.flush().unwrap();
        prop_assert!(contents(&mut open(&memory).unwrap()).unwrap() == new);
        prop_assert!(memory.0.borrow().kept.is_empty());
    }
}

fn filled(size: usize) -> Memory {
    let memory = Memory::default();
    let mut file = create(&memory);
    file.write(0, &pattern(size, 3)).unwrap();
    file.flush().unwrap();
    memory
}

#[test]
fn nodes_that_change_places_are_noticed() {
    let memory = filled(50_000);
    memory.0.borrow_mut().nodes.swap(3, 4);
    assert_eq!(contents(&mut open(&memory).unwrap()), Err(Failure::Changed(3)));
}

#[test]
fn a_node_of_an_older_version_is_noticed() {
    let memory = filled(50_000);
    let old = memory.0.borrow().nodes[5];
    let mut file = open(&memory).unwrap();
    file.write(HEAD_SIZE as u64 + 3 * 4096, &[1; 4096]).unwrap();
    file.flush().unwrap();
    assert_ne!(memory.0.borrow().nodes[5], old);
    memory.0.borrow_mut().nodes[5] = old;
    assert_eq!(contents(&mut open(&memory).unwrap()), Err(Failure::Changed(5)));
}

#[test]
fn while_a_file_is_open_it_cannot_be_exchanged() {
    let memory = filled(3_000_000);
    let before = memory.0.borrow().nodes.clone();
    let mut file = open(&memory).unwrap();
    file.write(500_000, b"new").unwrap();
    file.flush().unwrap();
    // So much that the changed node is not in the cache any more.
    file.read(1_500_000, &mut vec![0; 1_500_000]).unwrap();
    memory.0.borrow_mut().nodes = before;
    let (data, mht) = (124, 98);
    assert!(
        matches!(file.read(500_000, &mut [0; 3]), Err(Failure::Changed(number)) if number == data || number == mht)
    );
}

#[test]
fn no_key_is_used_twice_and_no_node_stays_the_same() {
    let memory = filled(50_000);
    let before = memory.0.borrow().nodes.clone();
    let mut file = open(&memory).unwrap();
    let same = pattern(50_000, 3);
    file.write(0, &same).unwrap();
    file.flush().unwrap();
    let after = memory.0.borrow().nodes.clone();
    assert_eq!(before.len(), after.len());
    assert!(before.iter().zip(&after).all(|(before, after)| before != after));
}

#[test]
fn without_recovery_nothing_is_kept_and_a_pending_write_is_refused() {
    let memory = filled(10_000);
    assert!(memory.0.borrow().kept.is_empty());
    memory.0.borrow_mut().nodes[0][58] = 1;
    assert_eq!(open(&memory).map(|_| ()), Err(Failure::NotRecoverable));
}

#[test]
fn a_path_can_be_changed_and_must_fit() {
    let memory = filled(10);
    let mut file = open(&memory).unwrap();
    assert_eq!(file.path(), PATH);
    for bad in [&b""[..], b"a\0b", &[b'a'; MAX_PATH + 1]] {
        assert_eq!(file.set_path(bad), Err(Failure::BadPath));
        assert_eq!(ProtectedFile::create(Memory::default(), KEY, bad).map(|_| ()), Err(Failure::BadPath));
    }
    file.set_path(&[b'a'; MAX_PATH]).unwrap();
    file.flush().unwrap();
    assert_eq!(open(&memory).map(|_| ()), Err(Failure::OtherPath));
    let mut again: File = ProtectedFile::open(memory, KEY, Some(&[b'a'; MAX_PATH])).unwrap();
    assert_eq!(contents(&mut again).unwrap(), pattern(10, 3));
}

#[test]
fn sizes_beyond_what_off_t_can_tell_are_refused() {
    let mut file = create(&Memory::default());
    assert_eq!(file.set_size(MAX_SIZE + 1), Err(Failure::TooLarge));
    assert_eq!(file.write(MAX_SIZE, b"x"), Err(Failure::TooLarge));
    assert_eq!(file.write(u64::MAX, b"x"), Err(Failure::TooLarge));
    assert_eq!(file.write(u64::MAX, b""), Ok(()));
    assert_eq!(file.read(u64::MAX, &mut [0; 9]), Ok(0));
}

#[test]
fn another_key_or_version_is_told() {
    let memory = filled(10);
    let open_with = |key| ProtectedFile::open(memory.clone(), key, None).map(|_: File| ());
    assert_eq!(open_with(FileKey([8; 16])), Err(Failure::KeyOrMetadata));
    memory.0.borrow_mut().nodes[0][8] = 3;
    assert_eq!(open_with(KEY), Err(Failure::Version(3, 0)));
    memory.0.borrow_mut().nodes[0][0] = 0;
    assert_eq!(open_with(KEY), Err(Failure::NotProtected));
}

#[test]
fn a_failed_flush_in_the_middle_of_writing_loses_nothing() {
    let memory = Memory::default();
    let mut file = create(&memory);
    memory.0.borrow_mut().patience = Some(50);
    let bytes = pattern(3_000_000, 5);
    assert_eq!(file.write(0, &bytes), Err(Failure::Storage(memory::Failed)));
    memory.0.borrow_mut().patience = None;
    let written = file.size() as usize;
    assert!(written > 100_000 && contents(&mut file).unwrap() == bytes[..written]);
    file.write(0, &bytes).unwrap();
    file.flush().unwrap();
    assert!(contents(&mut open(&memory).unwrap()).unwrap() == bytes);
}
