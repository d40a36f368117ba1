//! What comes from the host, in the forms that a hostile one gives it.

use alloc::vec;
use alloc::vec::Vec;

use super::inode::admit;
use super::listing::{Name, parse, settle};
use crate::errno::Errno;
use crate::stat::FileType;

fn record(name: &[u8], kind: u8) -> Vec<u8> {
    let length = (19 + name.len() + 1).next_multiple_of(8);
    let mut bytes = vec![0; length];
    bytes[0] = 5;
    bytes[16..18].copy_from_slice(&(length as u16).to_le_bytes());
    bytes[18] = kind;
    bytes[19..19 + name.len()].copy_from_slice(name);
    bytes
}

fn names(records: &[u8]) -> Result<Vec<Name>, Errno> {
    let mut names = Vec::new();
    parse(records, &mut names).map(|()| names)
}

#[test]
fn records_are_taken_apart_and_settled() {
    let all =
        [record(b".", 4), record(b"b", 8), record(b"..", 4), record(b"a", 4), record(b"b", 10)].concat();
    let mut found = names(&all).unwrap();
    settle(&mut found);
    let of = |name: &[u8], kind| Name { name: name.to_vec(), inode: 5, kind };
    assert_eq!(found, [of(b"a", 4), of(b"b", 8)]);
    assert_eq!(names(&record(b"odd", 77)).unwrap()[0].kind, 0);
}

#[test]
fn records_that_no_kernel_writes_are_refused() {
    for name in [&b""[..], b"a/b", &[b'x'; 256]] {
        assert_eq!(names(&record(name, 8)), Err(Errno::EIO));
    }
    let good = record(b"name", 8);
    for cut in 1..good.len() {
        assert_eq!(names(&good[..cut]), Err(Errno::EIO));
    }
    let mut endless = good.clone();
    endless[16..18].copy_from_slice(&[0, 0]);
    assert_eq!(names(&endless), Err(Errno::EIO));
    let mut unended = good.clone();
    unended[19..].fill(b'x');
    assert_eq!(names(&unended), Err(Errno::EIO));
}

#[test]
fn a_status_shows_no_device_and_grants_no_rights() {
    let of = |mode| casemate_abi::HostStat { mode, rdev: 0x103, size: 7, ..Default::default() };
    let file = admit(&of(0o106755), 9).unwrap();
    assert_eq!(
        (file.kind, file.permissions, file.special_device, file.device),
        (FileType::Regular, 0o755, 0, 9)
    );
    assert_eq!(admit(&of(0o041777), 9).unwrap().permissions, 0o1777);
    for mode in [0, 0o020666, 0o060600, 0o170000, u32::MAX] {
        assert_eq!(admit(&of(mode), 9).err(), Some(Errno::EIO));
    }
}
