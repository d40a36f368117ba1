//! The device's pages in the loader's own memory: what the EPCM lets code inside do, `mprotect` lets it do.
//!
//! EPC addresses are linear addresses. A refused `mprotect` ends the run, as a page would stay accessible that should not be.

use alloc::collections::BTreeMap;

use casemate_sgx::layout::LayoutBlock;
use casemate_sgx::{PAGE_SIZE, SecInfoFlags};
use casemate_softsgx::Memory;
use linux_raw_sys::general::*;

use crate::memory::protection;
use crate::report::{EXIT_INTERNAL, fail};
use crate::sys::{self, PAGE, READ_WRITE};

/// Memory of one enclave.
pub struct OwnMemory {
    /// While the enclave is built, this range is readable and writable as a whole, and fresh.
    building: (u64, u64),
    /// Pages that the page tables hide although the EPCM would let them be read: start → end.
    hidden: BTreeMap<u64, u64>,
    /// The last range that was added to be written at once.
    soon: (u64, u64),
}

const FRESH: u32 = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;

fn checked<T>(result: Result<T, sys::Errno>, what: &str, page: u64) -> T {
    match result {
        Ok(value) => value,
        Err(error) => {
            fail(EXIT_INTERNAL, format_args!("softsgx: cannot {what} the page at {page:#x}: {error}"))
        }
    }
}

impl OwnMemory {
    /// Memory in a range that was reserved without access. What the loader adds lies from the heap up.
    pub fn new(block: &LayoutBlock) -> Self {
        let start = if block.added_threads == block.max_threads { block.user_base } else { block.heap_base };
        let building = (start, block.enclave_size);
        // SAFETY: the range is reserved, and nobody runs in it yet.
        checked(unsafe { sys::protect(start, building.1 - start, READ_WRITE) }, "prepare", start);
        Self { building, hidden: BTreeMap::new(), soon: (0, 0) }
    }

    /// The enclave is built: what is in none of these ranges, which are in ascending order, is nobody's.
    pub fn finish(&mut self, added: impl Iterator<Item = (u64, u64)>) {
        let (mut at, end) = self.building;
        for (from, to) in added.chain([(end, end)]) {
            if at < from {
                // SAFETY: nothing is there.
                checked(unsafe { sys::protect(at, from - at, PROT_NONE) }, "close", at);
            }
            at = to;
        }
        self.building = (0, 0);
    }

    /// Hides pages, or no longer; whether that changes anything, so that access must be set again.
    pub fn hide(&mut self, start: u64, length: u64, hide: bool) -> bool {
        let end = start + length;
        let touching: alloc::vec::Vec<(u64, u64)> =
            self.hidden.range(..end).filter(|(_, to)| **to > start).map(|(from, to)| (*from, *to)).collect();
        let changes = hide || !touching.is_empty();
        for (from, to) in touching {
            self.hidden.remove(&from);
            if from < start {
                self.hidden.insert(from, start);
            }
            if end < to {
                self.hidden.insert(end, to);
            }
        }
        if hide {
            self.hidden.insert(start, end);
        }
        changes
    }

    /// Pages that are about to be added will be written at once.
    pub fn expect(&mut self, start: u64, length: u64) {
        self.soon = (start, start + length);
    }

    fn set_access(&self, start: u64, length: u64, rights: u32) {
        // SAFETY: enclave memory is the device's to give access to; who loses it faults, which is the point.
        checked(unsafe { sys::protect(start, length, rights) }, "protect", start);
    }

    /// Whether a page's bytes can be reached as they are.
    fn is_open(&self, address: u64) -> bool {
        (self.building.0..self.building.1).contains(&address)
    }
}

impl Memory for OwnMemory {
    /// What is hidden is not mapped, as on hardware: leaves that touch such a page fault.
    fn resolve(&self, linear_page: u64) -> Option<u64> {
        let before = self.hidden.range(..=linear_page).next_back();
        before.is_none_or(|(_, end)| *end <= linear_page).then_some(linear_page)
    }

    fn fill(&mut self, page: u64, contents: &[u8; PAGE_SIZE]) {
        if !self.is_open(page) {
            self.zero(page, PAGE);
            self.set_access(page, PAGE, READ_WRITE);
        }
        // SAFETY: the page is writable, and nobody's until it was added.
        unsafe { (page as *mut [u8; PAGE_SIZE]).write(*contents) };
    }

    fn zero(&mut self, page: u64, length: u64) {
        if self.is_open(page) {
            return;
        }
        // SAFETY: the pages are nobody's until they were added.
        checked(unsafe { sys::map(page, length, PROT_NONE, FRESH, -1, 0) }, "add", page);
    }

    fn read(&self, address: u64, buffer: &mut [u8]) {
        // SAFETY: the device reads only what is a page of the enclave; those that code inside may read can be read here.
        unsafe { core::ptr::copy_nonoverlapping(address as *const u8, buffer.as_mut_ptr(), buffer.len()) };
    }

    fn read_closed(&mut self, page: u64, buffer: &mut [u8; PAGE_SIZE]) {
        self.set_access(page, PAGE, PROT_READ);
        self.read(page, buffer);
        self.set_access(page, PAGE, PROT_NONE);
    }

    fn write(&mut self, address: u64, data: &[u8]) {
        // SAFETY: as in `read`; the device writes where code inside may, by the checks of its leaves.
        unsafe { core::ptr::copy_nonoverlapping(data.as_ptr(), address as *mut u8, data.len()) };
    }

    fn copy(&mut self, from: u64, to: u64, length: u64, access: SecInfoFlags) {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE;
        // SAFETY: the staging pages are new. The source can be read, by the leaf's checks; the target is accessible to nobody yet, and
        // appears whole and with its rights.
        unsafe {
            let staging = checked(sys::map(0, length, READ_WRITE, flags, -1, 0), "copy", to);
            core::ptr::copy_nonoverlapping(from as *const u8, staging as *mut u8, length as usize);
            checked(sys::protect(staging, length, protection(access)), "copy", to);
            let moving = u64::from(MREMAP_MAYMOVE | MREMAP_FIXED);
            checked(sys::call(__NR_mremap, [staging, length, length, moving, to]), "copy", to);
        }
    }

    fn protect(&mut self, page: u64, length: u64, access: SecInfoFlags) {
        self.set_access(page, length, protection(access));
        let end = page + length;
        for (&from, &to) in self.hidden.range(..end).filter(|(_, to)| **to > page) {
            let (from, to) = (from.max(page), to.min(end));
            self.set_access(from, to - from, PROT_NONE);
        }
        if self.soon == (page, end) && access.contains(SecInfoFlags::RW) {
            self.soon = (0, 0);
            // SAFETY: brings pages in early; changes nothing else. A kernel without it (before 5.14) faults.
            let _ = unsafe { sys::call(__NR_madvise, [page, length, u64::from(MADV_POPULATE_WRITE)]) };
        }
    }

    fn release(&mut self, page: u64, length: u64) {
        self.hide(page, length, false);
        // SAFETY: the pages are nobody's any more.
        checked(unsafe { sys::map(page, length, PROT_NONE, FRESH, -1, 0) }, "remove", page);
    }
}
