//! The enclave page cache map (SDM 35.20, table 35-27).

use alloc::collections::BTreeMap;

use bitflags::bitflags;
use casemate_sgx::{PageType, SecInfoFlags};

use crate::processor::PAGE;

bitflags! {
    /// Bits of an EPCM entry. R, W, X, PENDING, MODIFIED and PR are where SECINFO.FLAGS has them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct EpcmFlags: u8 {
        /// Readable.
        const R = 1 << 0;
        /// Writable.
        const W = 1 << 1;
        /// Executable.
        const X = 1 << 2;
        /// Augmented and not yet accepted.
        const PENDING = 1 << 3;
        /// Type changed and not yet accepted.
        const MODIFIED = 1 << 4;
        /// Permissions restricted and not yet accepted.
        const PR = 1 << 5;
    }
}

/// A valid entry. An invalid one does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpcmEntry {
    /// Page type.
    pub page_type: PageType,
    /// Bits.
    pub flags: EpcmFlags,
    /// The linear address at which the page may be used.
    pub enclave_address: u64,
    /// EPC address of the SECS that the page belongs to.
    pub secs: u64,
    /// The tracking epoch in which it was last changed by EMODPR or EMODT.
    pub epoch: u64,
}

impl EpcmEntry {
    /// What code inside may do with the page now.
    #[must_use]
    pub fn access(&self) -> SecInfoFlags {
        let usable = self.page_type == PageType::Reg
            && !self.flags.intersects(EpcmFlags::PENDING | EpcmFlags::MODIFIED);
        if usable { permissions(self.flags) } else { SecInfoFlags::empty() }
    }
}

/// R, W and X as SECINFO has them.
pub(crate) fn permissions(flags: EpcmFlags) -> SecInfoFlags {
    SecInfoFlags::from_bits_truncate(flags.bits().into()).permissions()
}

/// R, W and X of a SECINFO as the EPCM has them.
pub(crate) fn from_permissions(flags: SecInfoFlags) -> EpcmFlags {
    EpcmFlags::from_bits_truncate(flags.permissions().bits() as u8)
}

/// Consecutive EPC pages whose entries differ in `enclave_address` alone, which grows with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    length: u64,
    /// Of the first page.
    entry: EpcmEntry,
}

impl Run {
    /// The entry of the page `distance` bytes behind the first.
    fn entry_at(&self, distance: u64) -> EpcmEntry {
        EpcmEntry { enclave_address: self.entry.enclave_address.wrapping_add(distance), ..self.entry }
    }
}

/// All valid entries, kept as runs of like pages: an enclave has few, however large it is.
#[derive(Default)]
pub(crate) struct Epcm {
    runs: BTreeMap<u64, Run>,
}

impl Epcm {
    /// The entry of a page, if it is valid.
    pub(crate) fn get(&self, page: u64) -> Option<EpcmEntry> {
        self.like(page, PAGE).map(|(entry, _)| entry)
    }

    /// The entry of a page, and how many bytes from there on, at most `limit`, have the like.
    pub(crate) fn like(&self, page: u64, limit: u64) -> Option<(EpcmEntry, u64)> {
        let (start, run) = self.runs.range(..=page).next_back()?;
        let distance = page - start;
        (distance < run.length).then(|| (run.entry_at(distance), limit.min(run.length - distance)))
    }

    /// Whether a page of the range is valid.
    pub(crate) fn overlaps(&self, page: u64, length: u64) -> bool {
        self.get(page).is_some() || self.runs.range(page..page.saturating_add(length)).next().is_some()
    }

    /// Makes a range valid in which nothing is; `entry` is the first page's.
    pub(crate) fn insert(&mut self, page: u64, length: u64, entry: EpcmEntry) {
        self.runs.insert(page, Run { length, entry });
        self.join(page);
        if let Some((&before, _)) = self.runs.range(..page).next_back() {
            self.join(before);
        }
    }

    /// Makes a range invalid.
    pub(crate) fn remove(&mut self, page: u64, length: u64) {
        let end = page.saturating_add(length);
        self.split(page);
        self.split(end);
        let starts: alloc::vec::Vec<u64> = self.runs.range(page..end).map(|(start, _)| *start).collect();
        for start in starts {
            self.runs.remove(&start);
        }
    }

    /// Changes the entries of a range of like pages.
    pub(crate) fn update(&mut self, page: u64, length: u64, change: impl FnOnce(&mut EpcmEntry)) {
        self.split(page);
        self.split(page.saturating_add(length));
        if let Some(run) = self.runs.get_mut(&page) {
            change(&mut run.entry);
        }
        self.join(page);
        if let Some((&before, _)) = self.runs.range(..page).next_back() {
            self.join(before);
        }
    }

    /// Makes a run begin at this page, if one crosses it.
    fn split(&mut self, page: u64) {
        let Some((&start, &run)) = self.runs.range(..page).next_back() else { return };
        let distance = page - start;
        if distance < run.length {
            self.runs.insert(start, Run { length: distance, entry: run.entry });
            self.runs.insert(page, Run { length: run.length - distance, entry: run.entry_at(distance) });
        }
    }

    /// Joins the run that begins here with the one behind it, if they are alike.
    fn join(&mut self, start: u64) {
        let Some(&run) = self.runs.get(&start) else { return };
        let next = start.wrapping_add(run.length);
        let alike = |behind: &Run| behind.entry == run.entry_at(run.length);
        if let Some(behind) = self.runs.get(&next).copied().filter(alike) {
            self.runs.remove(&next);
            self.runs.insert(start, Run { length: run.length + behind.length, entry: run.entry });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn entry(number: u64) -> EpcmEntry {
        EpcmEntry {
            page_type: PageType::Reg,
            flags: EpcmFlags::from_bits_truncate((number % 4) as u8),
            enclave_address: 0,
            secs: 0,
            epoch: 0,
        }
    }

    #[test]
    fn runs_say_the_same_as_one_entry_a_page() {
        let mut state = 12345u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % below
        };
        let (mut epcm, mut plain) = (Epcm::default(), HashMap::new());
        for _ in 0..20_000 {
            let (page, count) = (random(40) * PAGE, 1 + random(8));
            let pages = || (0..count).map(|index| page + index * PAGE);
            match random(3) {
                0 if !epcm.overlaps(page, count * PAGE) => {
                    assert!(pages().all(|page| !plain.contains_key(&page)));
                    let first = EpcmEntry { enclave_address: page, ..entry(random(4)) };
                    epcm.insert(page, count * PAGE, first);
                    plain.extend(pages().map(|at| (at, EpcmEntry { enclave_address: at, ..first })));
                }
                0 => assert!(pages().any(|page| plain.contains_key(&page))),
                1 => {
                    epcm.remove(page, count * PAGE);
                    for page in pages() {
                        plain.remove(&page);
                    }
                }
                _ => {
                    let Some((_, length)) = epcm.like(page, count * PAGE) else { continue };
                    let flags = entry(random(4)).flags;
                    epcm.update(page, length, |entry| entry.flags = flags);
                    for at in (page..page + length).step_by(PAGE as usize) {
                        plain.get_mut(&at).unwrap().flags = flags;
                    }
                }
            }
            for page in (0..50 * PAGE).step_by(PAGE as usize) {
                assert_eq!(epcm.get(page), plain.get(&page).copied());
            }
        }
    }
}
