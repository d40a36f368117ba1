//! Page faults: contents of file mappings come in when they are first touched, in clusters.

use alloc::sync::Arc;

use casemate_platform::pages::{Change, Need, Protection};

use super::address_space::{AddressSpace, State};
use super::coherence::{Coherence, Turn};
use super::rewrite::Trampoline;
use super::span::{Span, page_up};
use super::vma::{Backing, Vma};
use crate::errno::{Errno, Result};
use crate::file::Mappable;
use crate::room;
use crate::user_space::Access;

/// Smallest cluster.
const CLUSTER_MINIMUM: u64 = 64 * 1024;
/// Largest cluster.
pub(super) const CLUSTER_MAXIMUM: u64 = 2 << 20;
/// No mapping has many more clusters than this: each may cost the host a mapping of its own.
const CLUSTERS_PER_MAPPING: u64 = 4096;
/// After this many rounds of being overtaken by other threads, a fault is given up.
const ROUNDS: usize = 1000;

/// What came of a page fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultOutcome {
    /// The page is there: run the program again.
    Resolved,
    /// SIGSEGV, SEGV_MAPERR.
    NotMapped,
    /// SIGSEGV, SEGV_ACCERR.
    AccessError,
    /// SIGBUS, BUS_ADRERR.
    BusError,
    /// There is no memory for the page.
    OutOfMemory,
}

/// What came of the attempt to do what an access needs.
enum Repair {
    /// That is the outcome.
    Done(FaultOutcome),
    /// It has to be looked at again.
    LookAgain,
    /// There is no memory, or the host has no room in its page tables.
    NoMemory,
}

/// What has to be done about an access.
enum Step {
    /// Nothing can.
    Refuse(FaultOutcome),
    /// The page is there with the right.
    Present,
    /// Contents are missing.
    Load(Missing),
    /// Fresh pages are missing.
    Fresh(Span),
    /// The first write to a page of a shared file mapping: the file, the offset in it, the page.
    Dirty(Arc<dyn Mappable>, u64, Span),
}

/// A part of a file mapping that is not there.
struct Missing {
    file: Arc<dyn Mappable>,
    id: u64,
    mapping: Span,
    /// What is missing around the address.
    gap: Span,
    /// File offset of the gap's start.
    offset: u64,
    shared: bool,
    trampoline: Option<Arc<Trampoline>>,
}

impl Missing {
    /// The part of `part` about `address` that is nowhere dirty; what is dirty of its page itself came to the file. `None`: look again.
    fn settled(&self, turn: &Turn, part: Span, address: u64) -> Option<Span> {
        let offset = |at: u64| self.offset + (at - self.gap.start);
        let page = Span::page(address);
        let around = Span::new(offset(part.start), offset(part.end));
        let clean = turn.settle_around(around, offset(page.start)).ok()?;
        let at = |offset: u64| self.gap.start + (offset - self.offset);
        Some(Span::new(at(clean.start), at(clean.end))).filter(|part| part.encloses(page))
    }
}

impl State {
    fn step(&self, address: u64, access: Access) -> Step {
        let Some(vma) = self.vmas.find(address) else {
            // A trampoline's page loses its right for a moment while stubs are added to it.
            let rewriting = access == Access::Execute && self.trampoline_at(address);
            return if rewriting { Step::Present } else { Step::Refuse(FaultOutcome::NotMapped) };
        };
        if !vma.allows(access) {
            return Step::Refuse(FaultOutcome::AccessError);
        }
        let Some(gap) = self.present.gap_around(address, vma.span) else {
            let clean = access == Access::Write && vma.writes_back() && !self.dirty.contains(address);
            let page = Span::page(address);
            return match vma.file() {
                Some((file, _)) if clean => Step::Dirty(file.clone(), vma.offset_of(page.start), page),
                _ => Step::Present,
            };
        };
        match &vma.backing {
            Backing::System => Step::Present,
            Backing::Anonymous => Step::Fresh(gap),
            Backing::File { file, id, .. } => Step::Load(Missing {
                file: file.clone(),
                id: *id,
                mapping: vma.span,
                gap,
                offset: vma.offset_of(gap.start),
                shared: vma.shared,
                trampoline: vma.trampoline.clone(),
            }),
        }
    }

    /// The mapping that `part` of `missing` still belongs to, if nothing of it came in or changed meanwhile.
    fn still_missing(&self, missing: &Missing, part: Span) -> Option<&Vma> {
        let vma = self.vmas.find(part.start)?;
        let (_, id) = vma.file()?;
        let same = id == missing.id
            && vma.span.encloses(part)
            && vma.offset_of(part.start) == missing.offset + (part.start - missing.gap.start);
        let same_trampoline = match (&vma.trampoline, &missing.trampoline) {
            (Some(now), Some(then)) => Arc::ptr_eq(now, then),
            (None, None) => true,
            _ => false,
        };
        (same && same_trampoline && !self.present.touches(part)).then_some(vma)
    }

    /// Whether the address lies in a page of a trampoline that holds stubs.
    fn trampoline_at(&self, address: u64) -> bool {
        let last = self.trampolines.range(..=address).next_back();
        last.is_some_and(|(_, found)| found.span.contains(address)) && self.present.contains(address)
    }
}

impl AddressSpace {
    /// Handles a page fault of the program, or of the library OS on its behalf.
    pub fn handle_fault(&self, address: u64, access: Access) -> FaultOutcome {
        self.repair_fault(address, access).0
    }

    /// The same, and whether anything was done about it: if not, the page was there all the time, as far as is known here.
    pub fn repair_fault(&self, address: u64, access: Access) -> (FaultOutcome, bool) {
        let (mut waited, mut repaired, mut relieved) = (false, false, false);
        for _ in 0..ROUNDS {
            let step = self.state.lock().step(address, access);
            match step {
                Step::Refuse(outcome) => return (outcome, repaired),
                Step::Present if waited => return (FaultOutcome::Resolved, repaired),
                // It is there now; whoever brought it in may still be about to give it its final rights.
                Step::Present => {
                    drop(self.change.lock());
                    waited = true;
                }
                step => {
                    repaired = true;
                    if let Some(outcome) = self.repair(address, step, &mut relieved) {
                        return (outcome, true);
                    }
                }
            }
        }
        (FaultOutcome::BusError, repaired)
    }

    /// Makes the page at `address` present with that right, when no fault has happened yet: cheap if it is.
    pub(super) fn prepare(&self, address: u64, access: Access) -> bool {
        self.bring(address, access) == FaultOutcome::Resolved
    }

    /// The same, and why not.
    pub(super) fn bring(&self, address: u64, access: Access) -> FaultOutcome {
        let mut relieved = false;
        for _ in 0..ROUNDS {
            let step = self.state.lock().step(address, access);
            match step {
                Step::Refuse(outcome) => return outcome,
                Step::Present => return FaultOutcome::Resolved,
                step => {
                    if let Some(outcome) = self.repair(address, step, &mut relieved) {
                        return outcome;
                    }
                }
            }
        }
        FaultOutcome::BusError
    }

    /// Whether the page at `address` can be written now; makes it present if it is only not loaded yet.
    pub fn is_present_for_write(&self, address: u64) -> bool {
        self.prepare(address, Access::Write)
    }

    /// Does what a step says; `None` when it has to be looked at again. When there is no memory for it, room is made, once.
    fn repair(&self, address: u64, step: Step, relieved: &mut bool) -> Option<FaultOutcome> {
        let repair = match step {
            Step::Refuse(outcome) => Repair::Done(outcome),
            Step::Present => Repair::LookAgain,
            Step::Load(missing) => self.load(address, &missing),
            Step::Fresh(gap) => self.bring_fresh(address, gap),
            Step::Dirty(file, offset, page) => self.make_dirty(&file, offset, page),
        };
        match repair {
            Repair::Done(outcome) => Some(outcome),
            Repair::LookAgain => None,
            Repair::NoMemory if core::mem::replace(relieved, true) => Some(FaultOutcome::OutOfMemory),
            Repair::NoMemory => {
                // Pages of shared mappings that were written to and those that were not lie side by side with different rights. Written
                // back, they are alike.
                let _ = self.write_back(self.bounds());
                None
            }
        }
    }

    fn load(&self, address: u64, missing: &Missing) -> Repair {
        let coherence = missing.file.coherence().filter(|found| missing.shared || found.shared() > 0);
        let turn = coherence.map(Coherence::enter);
        let Some(mut part) = cluster(address, missing, self.pages.is_crowded()) else { return BUS_ERROR };
        if let Some(turn) = &turn {
            let Some(settled) = missing.settled(turn, part, address) else { return Repair::LookAgain };
            part = settled;
        }
        let offset = missing.offset + (part.start - missing.gap.start);
        let Ok(mut bytes) = room::buffer(part.len() as usize) else { return Repair::NoMemory };
        match missing.file.read_pages(offset, &mut bytes) {
            Ok(()) => {}
            Err(Errno::ENOMEM) => return Repair::NoMemory,
            Err(_) => return BUS_ERROR,
        }
        let sites = missing.trampoline.as_ref().map(|found| found.collect(part, &bytes, Some(&missing.file)));
        let change = self.change.lock();
        // Another thread may have been faster, or the mapping may be gone: then look again.
        let vma = self.state.lock().still_missing(missing, part).cloned();
        let Some(vma) = vma else { return Repair::LookAgain };
        if let (Some(trampoline), Some(sites)) = (&missing.trampoline, sites)
            && self.rewrite(trampoline, part, &mut bytes, &sites).is_err()
        {
            return Repair::NoMemory;
        }
        if self.install(part, &bytes, vma.clean_protection()).is_err() {
            return Repair::NoMemory;
        }
        self.state.lock().present.insert(part);
        drop(change);
        // A file that was cut since its size was looked at has lost these pages again, but only those it found.
        let size = missing.file.size();
        if page_up(size).is_some_and(|end| end < offset + part.len()) {
            let _ = self.cut_file(missing.file.identity(), size);
            return Repair::LookAgain;
        }
        // A write to a shared file mapping has yet to mark its page.
        if vma.writes_back() { Repair::LookAgain } else { RESOLVED }
    }

    /// Makes contents appear at once, with their final rights: no thread sees the pages half filled. They are made elsewhere and
    /// moved. Call with `change` held.
    fn install(&self, part: Span, bytes: &[u8], protection: Protection) -> Result<()> {
        let scratch = self
            .scratch
            .and_then(|room| Span::sized(room.start, part.len()).filter(|span| room.encloses(*span)));
        let scratch = scratch.ok_or(Errno::ENOMEM)?;
        self.check_room_for(Need::Touched, part, Change::Map(protection))?;
        self.pages.map_to_fill(scratch)?;
        self.pages
            .write(scratch.start, bytes)
            .and_then(|()| self.pages.relocate(scratch, part, protection))
            .inspect_err(|_| {
                let _ = self.pages.unmap(scratch);
            })
    }

    fn bring_fresh(&self, address: u64, gap: Span) -> Repair {
        let _change = self.change.lock();
        let vma = self.state.lock().vmas.find(address).cloned();
        let same = |vma: &Vma| matches!(vma.backing, Backing::Anonymous) && vma.span.encloses(gap);
        let Some(vma) = vma.filter(same).filter(|vma| !vma.is_inaccessible()) else {
            return Repair::LookAgain;
        };
        if self.state.lock().present.touches(gap) {
            return Repair::LookAgain;
        }
        if self.check_room_for(Need::Touched, gap, Change::Map(vma.protection)).is_err() {
            return Repair::NoMemory;
        }
        if self.pages.map(gap, vma.protection).is_err() {
            let _ = self.pages.unmap(gap);
            return Repair::NoMemory;
        }
        self.state.lock().present.insert(gap);
        RESOLVED
    }

    fn make_dirty(&self, file: &Arc<dyn Mappable>, offset: u64, page: Span) -> Repair {
        // As on a tmpfs, what would not fit into the file cannot be stored.
        if file.promise(offset).is_err() {
            return BUS_ERROR;
        }
        let turn = file.coherence().map(|coherence| (coherence.mapped(), coherence.enter()));
        if let Some((2.., turn)) = &turn {
            let contents = |offset: u64, to: &mut [u8]| file.read_pages(offset, to);
            if turn.revoke(offset, offset + page.len(), Some(page.start), &contents).is_err() {
                return BUS_ERROR;
            }
        }
        let _change = self.change.lock();
        let protection = {
            let state = self.state.lock();
            let Some(vma) = state.vmas.find(page.start) else { return Repair::LookAgain };
            let same = vma.file().is_some_and(|(now, _)| Arc::ptr_eq(now, file));
            let same = same && vma.offset_of(page.start) == offset;
            if !same || !vma.writes_back() || !vma.protection.write || !state.present.covers(page) {
                return Repair::LookAgain;
            }
            vma.protection
        };
        if self.check_room_for(Need::Touched, page, Change::Protect(protection)).is_err() {
            return Repair::NoMemory;
        }
        // Marked first: a write that happens in between must not be forgotten.
        self.state.lock().dirty.insert(page);
        if self.pages.protect(page, protection).is_err() {
            self.state.lock().dirty.remove(page);
            return Repair::NoMemory;
        }
        RESOLVED
    }
}

const RESOLVED: Repair = Repair::Done(FaultOutcome::Resolved);
const BUS_ERROR: Repair = Repair::Done(FaultOutcome::BusError);

/// The part to bring in with the page at `address`, a large one where the host has little room for more of them; `None` beyond the end
/// of the file.
fn cluster(address: u64, missing: &Missing, crowded: bool) -> Option<Span> {
    let contents = page_up(missing.file.size())?.saturating_sub(missing.offset);
    let filled = Span::new(missing.gap.start, missing.gap.start.saturating_add(contents)).meet(missing.gap);
    if !filled.contains(address) {
        return None;
    }
    let least = if crowded { CLUSTER_MAXIMUM } else { CLUSTER_MINIMUM };
    let size =
        (missing.mapping.len() / CLUSTERS_PER_MAPPING).next_power_of_two().clamp(least, CLUSTER_MAXIMUM);
    let start = address & !(size - 1);
    Some(Span::new(start, start.saturating_add(size)).meet(filled))
}
