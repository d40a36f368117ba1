//! Names of a host directory, from the records that the host's getdents64(2) gives.

use alloc::vec::Vec;

use crate::errno::{Errno, Result};
use crate::fs::walk::NAME_LIMIT;
use crate::stat::FileType;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub name: Vec<u8>,
    pub inode: u64,
    /// DT_* number; 0 when the host does not say or says nonsense.
    pub kind: u8,
}

/// Names that a directory may have: a host that never ends must not use up the memory.
pub(super) const NAMES_LIMIT: usize = 1 << 20;

/// Offsets in a record (struct linux_dirent64).
const LENGTH: usize = 16;
const KIND: usize = 18;
const NAME: usize = 19;

/// Adds the names of some records; `EIO` for records that no kernel writes. `.` and `..` are left out.
pub(super) fn parse(mut records: &[u8], names: &mut Vec<Name>) -> Result<()> {
    while !records.is_empty() {
        let length = match records.get(LENGTH..KIND) {
            Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
            _ => return Err(Errno::EIO),
        };
        let record = records.get(..length).filter(|record| record.len() > NAME).ok_or(Errno::EIO)?;
        let end = record[NAME..].iter().position(|&byte| byte == 0).ok_or(Errno::EIO)?;
        let name = &record[NAME..NAME + end];
        if !matches!(name, b"." | b"..") {
            if name.is_empty()
                || name.len() > NAME_LIMIT
                || name.contains(&b'/')
                || names.len() >= NAMES_LIMIT
            {
                return Err(Errno::EIO);
            }
            let mut inode = [0; 8];
            inode.copy_from_slice(&record[..8]);
            let kind = FileType::from_mode(u32::from(record[KIND]) << 12).map_or(0, |_| record[KIND]);
            names.push(Name { name: name.to_vec(), inode: u64::from_le_bytes(inode), kind });
        }
        records = &records[length..];
    }
    Ok(())
}

/// Sorts the names; of a name that is there twice the first stays.
pub(super) fn settle(names: &mut Vec<Name>) {
    names.sort_by(|a, b| a.name.cmp(&b.name));
    names.dedup_by(|later, first| later.name == first.name);
}
