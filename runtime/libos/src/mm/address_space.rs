//! [`AddressSpace`]: the mappings of a process.
//!
//! Locks, outer first: `change` (sleeping; held by whoever changes mappings or brings pages in, also across
//! host calls), then `state` (spinning; held for look-ups and to record what was done, never across a call to a file or the host).
//! Files are read and written with neither held: a file's own code may fault on program memory.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

use casemate_platform::pages::{Change, Need, Protection};
use casemate_platform::sync::{Mutex, Once};
use casemate_platform::user;

use super::arena::{Arena, SYSTEM};
use super::fault::CLUSTER_MAXIMUM;
use super::map::{MapRequest, Placement};
use super::pages::{EnclavePages, Pages};
use super::rewrite::Trampoline;
use super::span::{PAGE, Span, SpanSet};
use super::stage::PartCell;
use super::vma::{Backing, Name, Vma, VmaMap};
use crate::errno::{Errno, Result};
use crate::events::SleepMutex;
use crate::user_space::Access;

/// Distance kept below the stack (stack_guard_gap).
const STACK_GUARD: u64 = 1 << 20;
/// Most that a stack can grow by, when RLIMIT_STACK is raised.
const STACK_ROOM: u64 = 64 << 20;

/// The heap that brk(2) moves the end of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heap {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) limit: u64,
}

/// What an address space knows about its pages.
#[derive(Default)]
pub(super) struct State {
    pub(super) vmas: VmaMap,
    /// Pages that exist. The others of a mapping come in when they are touched.
    pub(super) present: SpanSet,
    /// Pages of shared file mappings that were written to since they were last written back.
    pub(super) dirty: SpanSet,
    /// Claimed in the arena beside the mappings: room for the heap, trampolines, the stack's guard.
    pub(super) reserved: SpanSet,
    /// By first address.
    pub(super) trampolines: BTreeMap<u64, Arc<Trampoline>>,
    pub(super) heap: Heap,
    /// The stack does not grow below this.
    pub(super) stack_floor: u64,
    /// Mappings are searched below this.
    pub(super) search_top: u64,
    /// Files are brought in beyond what is touched only when something is (mlockall MCL_FUTURE).
    pub(super) lock_future: bool,
}

/// A process's mappings.
pub struct AddressSpace {
    pub(super) id: u64,
    pub(super) arena: Arc<Arena>,
    pub(super) pages: Arc<dyn Pages>,
    /// Where pages are made before they are moved to their place; taken from the bottom, and out of everyone's way.
    pub(super) scratch: Option<Span>,
    pub(super) change: SleepMutex,
    pub(super) state: Mutex<State>,
    /// Commands of membarrier(2) by which the programs in it registered.
    pub membarrier: AtomicU32,
    /// Its part in a stage, once its program turned out to be linked to fixed addresses.
    pub(super) part: PartCell,
}

static ARENA: Once<Arc<Arena>> = Once::new();
static NEXT_ID: AtomicU64 = AtomicU64::new(SYSTEM + 1);

/// A new owner of addresses in an arena.
pub(super) fn new_owner() -> u64 {
    NEXT_ID.fetch_add(1, Relaxed)
}

/// The arena of all program memory.
fn enclave_arena() -> Arc<Arena> {
    if let Some(arena) = ARENA.get() {
        return arena.clone();
    }
    let (base, top) = user::range();
    let arena = Arc::new(Arena::new(Span::new(base, top)));
    match ARENA.set(arena.clone()) {
        Ok(()) => arena,
        Err(_) => loop {
            // Another thread is setting it at this moment.
            if let Some(arena) = ARENA.get() {
                return arena.clone();
            }
        },
    }
}

impl AddressSpace {
    /// No mappings.
    pub fn new() -> AddressSpace {
        Self::with(enclave_arena(), Arc::new(EnclavePages))
    }

    /// No mappings, in the given arena and over the given pages.
    pub fn with(arena: Arc<Arena>, pages: Arc<dyn Pages>) -> AddressSpace {
        let state = State { search_top: arena.bounds().end, ..State::default() };
        let id = new_owner();
        AddressSpace {
            id,
            scratch: claim_scratch(&arena, id),
            arena,
            pages,
            change: SleepMutex::new(),
            state: Mutex::new(state),
            membarrier: AtomicU32::new(0),
            part: PartCell::new(),
        }
    }

    /// All addresses that programs may use.
    pub fn bounds(&self) -> Span {
        self.arena.bounds()
    }

    /// Makes the page at `address` present if it is mapped with that right; false when it is not the process's to access so.
    pub fn make_present(&self, address: u64, access: Access) -> bool {
        self.handle_fault(address, access) == super::FaultOutcome::Resolved
    }

    /// Keeps room below `start`, where the stack begins, for it to grow and for a guard; new mappings come to lie below that.
    pub fn guard_below(&self, start: u64) {
        let _change = self.change.lock();
        let bounds = self.bounds();
        let room = STACK_ROOM.min(bounds.len() / 64 / PAGE * PAGE);
        self.state.lock().stack_floor = start;
        for distance in [room + STACK_GUARD, STACK_GUARD] {
            let span = Span::new(start.saturating_sub(distance).max(bounds.start), start);
            if self.arena.claim_free(self.id, span) {
                let mut state = self.state.lock();
                state.reserved.insert(span);
                state.search_top = state.search_top.min(span.start);
                state.stack_floor = span.start.saturating_add(STACK_GUARD);
                return;
            }
        }
    }

    /// Lets the first thread's stack be `limit` bytes long, as far as there is room; it does not become shorter.
    pub fn grow_stack(&self, limit: u64) {
        let request = {
            let state = self.state.lock();
            let mut parts = state.vmas.iter().filter(|vma| vma.name == Name::Stack);
            let Some(lowest) = parts.next() else { return };
            let top = parts.next_back().unwrap_or(lowest).span.end;
            let start = top.saturating_sub(limit).next_multiple_of(PAGE).max(state.stack_floor);
            let length = lowest.span.start.saturating_sub(start);
            let placement = Placement::FixedNoReplace(start);
            MapRequest { name: Name::Stack, ..MapRequest::anonymous(placement, length, lowest.protection) }
        };
        // Where the program put something of its own there, the stack stays as it is.
        let _ = self.map(request);
    }

    /// Writes bytes, whoever's address space is current: a loader's way to fill a program's memory. `EFAULT`.
    pub fn write_bytes(&self, address: u64, bytes: &[u8]) -> Result<()> {
        let span = Span::sized(address, bytes.len() as u64).ok_or(Errno::EFAULT)?;
        self.bring_in(span, Access::Write)?;
        self.pages.write(address, bytes)
    }

    /// Writes zeros, as [`Self::write_bytes`].
    pub fn write_zeros(&self, span: Span) -> Result<()> {
        self.bring_in(span, Access::Write)?;
        if span.is_empty() { Ok(()) } else { self.pages.zero(span) }
    }

    fn bring_in(&self, span: Span, access: Access) -> Result<()> {
        let mut at = span.start;
        while at < span.end {
            if !self.prepare(at, access) {
                return Err(Errno::EFAULT);
            }
            at = Span::page(at).end;
        }
        Ok(())
    }

    /// Claims addresses, high up, that belong to all processes.
    pub fn claim_system(&self, length: u64) -> Option<Span> {
        self.arena.claim_highest(SYSTEM, length, PAGE, self.bounds())
    }

    /// Records pages of the library OS, which are there, as a mapping of the program; `ENOMEM` when there are too many.
    pub fn add_system(&self, span: Span, protection: Protection, name: Name) -> Result<()> {
        let _change = self.change.lock();
        let mut state = self.state.lock();
        self.check_count(&state, 1)?;
        state.vmas.insert(Vma {
            span,
            protection,
            shared: false,
            may_write: false,
            grows_down: false,
            locked: false,
            backing: Backing::System,
            name,
            trampoline: None,
        });
        Ok(())
    }

    /// Takes everything away: at exit, or when execve(2) replaced it. Dirty pages of shared file mappings are written back.
    pub fn release(&self) {
        let change = self.lock_settled(self.bounds());
        let (gone, spans) = {
            let mut state = self.state.lock();
            let spans: Vec<Span> = state.present.within(self.bounds()).collect();
            let top = state.search_top;
            let gone = core::mem::replace(&mut *state, State { search_top: top, ..State::default() });
            (gone, spans)
        };
        let stage = self.stage().map_or(Span::default(), |stage| stage.span());
        let staged: Vec<Span> =
            spans.iter().map(|span| span.meet(stage)).filter(|span| !span.is_empty()).collect();
        self.unmap_staged(&staged);
        for span in spans.into_iter().flat_map(|span| span.without(stage)) {
            // The host refuses only when it is out of memory; the addresses are not given out again then.
            if self.pages.unmap(span).is_err() {
                return;
            }
        }
        self.arena.release_all(self.id);
        drop(change);
        drop(gone);
    }

    /// `ENOMEM` when there are too many mappings for `extra` more.
    pub(super) fn check_count(&self, state: &State, extra: usize) -> Result<()> {
        if state.vmas.len() + extra > self.pages.most_mappings() { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// `ENOMEM` when the host has no room for a change of `span` that a call asks for.
    pub(super) fn check_room(&self, span: Span, change: Change) -> Result<()> {
        self.check_room_for(Need::Call, span, change)
    }

    pub(super) fn check_room_for(&self, need: Need, span: Span, change: Change) -> Result<()> {
        if self.pages.admits(span, change, need) { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// Takes the pages in `parts` away, which are in ascending order. Neighbouring parts are taken in one call. When the host
    /// refuses: the start of the first that stayed.
    pub(super) fn unmap_pages(&self, parts: &[Span]) -> core::result::Result<(), u64> {
        let mut parts = parts.iter().copied().peekable();
        while let Some(mut span) = parts.next() {
            while let Some(next) = parts.next_if(|next| next.start == span.end) {
                span.end = next.end;
            }
            self.pages.unmap(span).map_err(|_| span.start)?;
        }
        Ok(())
    }

    /// Whether a mapping of the program must not be put over `span`.
    pub(super) fn is_occupied(&self, span: Span) -> bool {
        let own = [self.scratch, self.wings()].into_iter().flatten().any(|own| own.overlaps(span));
        own || self.state.lock().trampoline_in(span).is_some()
    }

    /// Gives addresses back that no mapping uses any more, except those kept for a purpose.
    pub(super) fn release_addresses(&self, span: Span) {
        let free = {
            let mut kept = self.state.lock().reserved.missing(span);
            let own = [self.scratch, self.wings()];
            kept.retain(|part| !own.iter().flatten().any(|own| own.overlaps(*part)));
            kept
        };
        for part in free {
            self.arena.release(self.id, part);
        }
    }

    /// Makes do without the trampolines that `find` names one after the other, as long as they hold no stub: system calls of their
    /// mappings trap from now on.
    pub(super) fn forget_idle_trampolines(&self, find: impl Fn(&State) -> Option<Arc<Trampoline>>) {
        let _change = self.change.lock();
        loop {
            let mut state = self.state.lock();
            let Some(found) = find(&state).filter(|found| found.is_idle()) else { return };
            let is_found =
                |vma: &&Vma| vma.trampoline.as_ref().is_some_and(|other| Arc::ptr_eq(other, &found));
            let spans: Vec<Span> = state.vmas.iter().filter(is_found).map(|vma| vma.span).collect();
            spans.iter().for_each(|span| state.vmas.change(*span, |vma| vma.trampoline = None));
            drop(state);
            drop(found);
            self.drop_unused_trampolines();
        }
    }

    /// Frees trampolines whose code is gone. Call with `change` held, after the mappings were dropped.
    pub(super) fn drop_unused_trampolines(&self) {
        let unused: Vec<Arc<Trampoline>> = {
            let state = self.state.lock();
            let alone = |trampoline: &&Arc<Trampoline>| Arc::strong_count(trampoline) == 1;
            state.trampolines.values().filter(alone).cloned().collect()
        };
        for trampoline in unused {
            let present: Vec<Span> = {
                let mut state = self.state.lock();
                state.trampolines.remove(&trampoline.span.start);
                state.reserved.remove(trampoline.span);
                let present = state.present.within(trampoline.span).collect();
                state.present.remove(trampoline.span);
                present
            };
            if self.unmap_pages(&present).is_ok() {
                self.arena.release(self.id, trampoline.span);
            }
        }
    }
}

impl Default for AddressSpace {
    fn default() -> Self {
        Self::new()
    }
}

/// Pages that clusters are made in. Not in the low 4 GiB: programs that are linked to a fixed address lie there; in a small enclave
/// not in its lower half, while there is room.
fn claim_scratch(arena: &Arena, id: u64) -> Option<Span> {
    let bounds = arena.bounds();
    let starts = [4 << 30, bounds.start + bounds.len() / 2, bounds.start];
    let windows = starts.map(|start: u64| Span::new(start.clamp(bounds.start, bounds.end), bounds.end));
    windows.into_iter().find_map(|window| arena.claim_lowest(id, CLUSTER_MAXIMUM, window))
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        if self.state.lock().vmas.len() != 0 || self.stage().is_some() {
            self.release();
        } else {
            self.arena.release_all(self.id);
        }
    }
}

const _: () = assert!(STACK_GUARD.is_multiple_of(PAGE));
