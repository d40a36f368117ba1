//! Shared file mappings: what was written to them goes back to their file at msync, munmap and the process's end.
//!
//! Their pages are read-only until the first write, which marks the page (see `fault.rs`), so that only what the program
//! wrote goes back and later changes of the file by write(2) are not undone. How several mappings and calls of read(2) and
//! write(2) agree is in `coherence.rs`.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use casemate_platform::pages::Protection;

use super::address_space::AddressSpace;
use super::coherence::Coherence;
use super::span::{PAGE, Span, page_up};
use crate::errno::{Errno, Result};
use crate::events::SleepGuard;
use crate::file::Mappable;
use crate::room;

/// Most bytes copied at a time.
const CHUNK: u64 = 1 << 20;
/// How often writing back is tried before a mapping goes.
const ROUNDS: usize = 1000;

/// Bytes on their way to a file.
struct Outgoing {
    file: Arc<dyn Mappable>,
    offset: u64,
    bytes: Vec<u8>,
}

impl AddressSpace {
    /// Whether a shared mapping of the file with this device and inode number is, or may become, writable.
    pub fn may_write_shared(&self, identity: (u64, u64)) -> bool {
        let state = self.state.lock();
        let of_file = |file: &Arc<dyn Mappable>| file.identity() == identity;
        state
            .vmas
            .iter()
            .any(|vma| vma.shared && vma.may_write && vma.file().is_some_and(|(file, _)| of_file(file)))
    }

    /// Where in which file the shared memory at `address` is: `Some(None)` for private memory, `None` when nothing is there.
    pub fn shared_place(&self, address: u64) -> Option<Option<((u64, u64), u64)>> {
        let state = self.state.lock();
        let vma = state.vmas.find(address).filter(|vma| !vma.is_inaccessible())?;
        Some(vma.file().filter(|_| vma.shared).map(|(file, _)| (file.identity(), vma.offset_of(address))))
    }

    /// What is dirty of bytes `[start, end)` of the file with this identity comes to it. Call in the file's turn.
    pub(super) fn publish_file(&self, identity: (u64, u64), start: u64, end: u64) -> Result<()> {
        let parts: Vec<Span> = {
            let state = self.state.lock();
            let shared = state.vmas.iter().filter(|vma| vma.writes_back());
            shared.filter_map(|vma| vma.part_of_file(identity, start, end)).collect()
        };
        parts.into_iter().try_for_each(|part| self.write_back_of(identity, part))
    }

    /// The file with this identity was cut to `size` bytes: pages wholly beyond that go, from private mappings too, written to or not.
    pub fn cut_file(&self, identity: (u64, u64), size: u64) -> Result<()> {
        let Some(kept) = page_up(size) else { return Ok(()) };
        let _change = self.change.lock();
        let beyond: Vec<Span> = {
            let state = self.state.lock();
            let parts = state.vmas.iter().filter_map(|vma| vma.part_of_file(identity, kept, u64::MAX));
            let parts = parts.flat_map(|part| self.off_stage(part));
            parts.flat_map(|part| state.present.within(part).collect::<Vec<_>>()).collect()
        };
        for part in beyond {
            self.pages.unmap(part)?;
            let mut state = self.state.lock();
            state.present.remove(part);
            state.dirty.remove(part);
        }
        Ok(())
    }

    /// Writes the dirty pages in `span` back; the first error is the result, after all were tried.
    pub fn write_back(&self, span: Span) -> Result<()> {
        let mut outcome = Ok(());
        let mut at = span.start;
        while let Some((part, file)) = self.next_dirty(Span::new(at, span.end), span) {
            at = part.end;
            let _turn = file.coherence().map(Coherence::enter);
            outcome = outcome.and(self.write_back_of(file.identity(), part));
        }
        outcome
    }

    /// The next dirty run in `rest` of one mapping whose file anybody can see after `gone` was unmapped.
    fn next_dirty(&self, rest: Span, gone: Span) -> Option<(Span, Arc<dyn Mappable>)> {
        let state = self.state.lock();
        let mut runs = state.dirty.within(rest);
        runs.find_map(|run| {
            let mut mappings = state.vmas.overlapping(run);
            mappings.find_map(|vma| {
                let (file, _) = vma.file()?;
                let vanishes = gone.encloses(vma.span) && file.vanishes_with(vma.span.len());
                (!vanishes).then(|| (run.meet(vma.span), file.clone()))
            })
        })
    }

    /// Locks `change` at a moment when nothing in `span`, which is to be unmapped, has yet to reach its file.
    pub(super) fn lock_settled(&self, span: Span) -> SleepGuard<'_> {
        let mut rounds = 0;
        loop {
            // What cannot be written is lost, as it is when a disk fails.
            let _ = self.write_back(span);
            let change = self.change.lock();
            rounds += 1;
            // What stays dirty that long, the host does not let be made clean; it was written back all the same.
            if rounds > ROUNDS || self.next_dirty(span, span).is_none() {
                return change;
            }
        }
    }

    /// Writes dirty pages in `span` back that belong to the file with this identity. Call in the file's turn.
    fn write_back_of(&self, identity: (u64, u64), span: Span) -> Result<()> {
        let mut outcome = Ok(());
        let mut at = span.start;
        while let Some((next, taken)) = self.take_dirty(identity, Span::new(at, span.end)) {
            at = next;
            let Some(outgoing) = taken else { continue };
            let written = outgoing.file.write_pages(outgoing.offset, &outgoing.bytes);
            outcome = outcome.and(written);
        }
        outcome
    }

    /// Copies the first dirty run in `span` out and makes it clean; returns where to go on. `None`: nothing is dirty.
    fn take_dirty(&self, identity: (u64, u64), span: Span) -> Option<(u64, Option<Outgoing>)> {
        if !self.state.lock().dirty.touches(span) {
            return None;
        }
        let _change = self.change.lock();
        let (part, vma) = {
            let state = self.state.lock();
            let run = state.dirty.within(span).next()?;
            let vma = state.vmas.find(run.start)?.clone();
            (Span::new(run.start, run.end.min(vma.span.end).min(run.start + CHUNK)), vma)
        };
        // One page at a time where there is no room for more.
        let (part, mut bytes) = match room::buffer(part.len() as usize) {
            Ok(bytes) => (part, bytes),
            Err(_) => (Span::page(part.start), vec![0; PAGE as usize]),
        };
        let file = vma.file()?.0.clone();
        if file.identity() != identity {
            // Somebody put another mapping there: that is in the hands of another turn.
            return Some((part.end, None));
        }
        // Clean first: a write during the copy faults, waits for this change, and marks its page again. Where the host does not let
        // it, the page stays dirty, and is written back as it is.
        let cleaned = self.pages.protect(part, Protection { read: true, ..vma.clean_protection() }).is_ok();
        let copied = self.pages.read(part.start, &mut bytes);
        if cleaned {
            if !vma.protection.read {
                let _ = self.pages.protect(part, vma.clean_protection());
            }
            self.state.lock().dirty.remove(part);
        }
        let outgoing = Outgoing { offset: vma.offset_of(part.start), file, bytes };
        Some((part.end, copied.is_ok().then_some(outgoing)))
    }

    /// msync(2): `EINVAL` for a bad address, `ENOMEM` when not all is mapped.
    pub fn synchronize(&self, address: u64, length: u64, flags: u32) -> Result<()> {
        use linux_raw_sys::general::{MS_ASYNC, MS_INVALIDATE, MS_SYNC};
        let both = MS_ASYNC | MS_SYNC;
        if flags & !(MS_ASYNC | MS_INVALIDATE | MS_SYNC) != 0
            || !address.is_multiple_of(PAGE)
            || flags & both == both
        {
            return Err(Errno::EINVAL);
        }
        let length = length.checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)?;
        let span = Span::sized(address, length).ok_or(Errno::ENOMEM)?;
        let (mapped, locked) = {
            let state = self.state.lock();
            let locked = state.vmas.overlapping(span).any(|vma| vma.locked);
            (span.is_empty() || state.vmas.covers(span), locked)
        };
        if flags & MS_INVALIDATE != 0 && locked {
            return Err(Errno::EBUSY);
        }
        self.write_back(span)?;
        if mapped { Ok(()) } else { Err(Errno::ENOMEM) }
    }
}
