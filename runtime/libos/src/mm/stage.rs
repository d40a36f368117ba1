//! [`Stage`]: addresses that several processes use in turn.
//!
//! A program that is linked to fixed addresses runs only there, and all processes of the enclave share one address range. So
//! the processes whose programs want the same addresses take turns: one is on the stage, its pages are there; the pages of the others
//! wait in the wings, a range of each one's own, and none of their threads runs or touches its memory meanwhile. A process
//! gives the stage up when all its threads sleep, or after its slice when another waits. Everything else of these processes (heap,
//! stacks, libraries) has addresses of its own and stays where it is.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use casemate_platform::pages::Protection;
use casemate_platform::sync::{Mutex, Once};
use casemate_platform::thread::{self, ThreadHandle};
use casemate_platform::{clock, console, host};

use super::address_space::{AddressSpace, new_owner};
use super::arena::Arena;
use super::span::{PAGE, Span};
use super::vma::Backing;
use crate::errno::{Errno, Result};

/// How long a process whose threads do not sleep keeps the stage when another waits, ns.
const SLICE_NS: u64 = 5_000_000;
/// Stages lie below this: programs of the small code model do.
pub const STAGE_LIMIT: u64 = 4 << 30;
/// A stage reaches at least up to here if that is free, so that larger programs fit on it, too.
const ROOMY_END: u64 = 64 << 20;
/// Rights of pages in the wings.
const IN_THE_WINGS: Protection = Protection { read: true, write: false, execute: false };

/// Addresses that several address spaces use in turn.
pub struct Stage {
    /// In the arena.
    owner: u64,
    arena: Arc<Arena>,
    span: Span,
    turns: Mutex<Turns<ThreadHandle>>,
}

/// Whose turn it is. `T` is a thread.
struct Turns<T> {
    members: Vec<Member>,
    /// Whose pages are on the stage.
    current: Option<u64>,
    /// Since when, monotonic ns.
    since_ns: u64,
    /// The current one's threads that run or may touch its memory.
    inside: Vec<Arc<T>>,
    /// Threads that want to go on, with their address spaces, first come first.
    waiting: VecDeque<(u64, Arc<T>)>,
    /// Pages are being moved.
    changing: bool,
}

struct Member {
    id: u64,
    /// Distinguishes the members' futexes; counts from 1.
    slot: u64,
    space: Weak<AddressSpace>,
}

/// An address space's part in a stage.
pub(super) struct Part {
    stage: Arc<Stage>,
    /// Where its pages are while another is on the stage.
    wings: Span,
    slot: u64,
}

/// What a thread that wants to go on has to do.
enum Step<T> {
    GoOn,
    /// Move this one's pages away, if anyone's, and the own ones in.
    Change(Option<u64>),
    Wait(Wait<T>),
}

struct Wait<T> {
    at_most_ns: u64,
    /// To be woken: its turn may have come.
    call: Option<Arc<T>>,
    /// Inside for longer than a slice.
    interrupt: Vec<Arc<T>>,
}

impl<T> Turns<T> {
    const fn new() -> Turns<T> {
        Turns {
            members: Vec::new(),
            current: None,
            since_ns: 0,
            inside: Vec::new(),
            waiting: VecDeque::new(),
            changing: false,
        }
    }

    fn step(&mut self, id: u64, own: &Arc<T>, now_ns: u64) -> Step<T> {
        let left_ns = (self.since_ns + SLICE_NS).saturating_sub(now_ns);
        let others_turn = left_ns == 0 && self.next().is_some();
        if !self.changing && self.current == Some(id) && !others_turn {
            self.forget(own);
            self.inside.push(own.clone());
            return Step::GoOn;
        }
        let free = !self.changing && self.inside.is_empty();
        if free && self.current != Some(id) && self.next().is_none_or(|(next, _)| *next == id) {
            self.forget(own);
            self.changing = true;
            return Step::Change(self.current);
        }
        if !self.waiting.iter().any(|(_, other)| Arc::ptr_eq(other, own)) {
            self.waiting.push_back((id, own.clone()));
        }
        Step::Wait(Wait {
            at_most_ns: if left_ns == 0 { SLICE_NS } else { left_ns },
            call: if free { self.to_call() } else { None },
            interrupt: if left_ns == 0 && !self.changing { self.inside.clone() } else { Vec::new() },
        })
    }

    /// The same as [`Self::step`] where the time makes no difference, because nobody waits: whether the thread may go on.
    fn goes_on_alone(&mut self, id: u64, own: &Arc<T>) -> bool {
        let alone = !self.changing && self.current == Some(id) && self.waiting.is_empty();
        if alone {
            self.inside.push(own.clone());
        }
        alone
    }

    /// The first that waits for the stage to change.
    fn next(&self) -> Option<&(u64, Arc<T>)> {
        self.waiting.iter().find(|(id, _)| self.current != Some(*id))
    }

    fn to_call(&self) -> Option<Arc<T>> {
        self.next().or(self.waiting.front()).map(|(_, thread)| thread.clone())
    }

    fn forget(&mut self, thread: &Arc<T>) {
        self.waiting.retain(|(_, other)| !Arc::ptr_eq(other, thread));
    }
}

impl Stage {
    /// The addresses.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Waits until `space` is on the stage and counts the calling thread as inside. Wake-ups for something else are not lost: if
    /// this slept, the thread's next sleep ends at once.
    pub fn enter(&self, space: &AddressSpace, own: &Arc<ThreadHandle>) {
        let mut slept = false;
        loop {
            if self.turns.lock().goes_on_alone(space.id, own) {
                break;
            }
            let now_ns = clock::now().monotonic_ns;
            let step = self.turns.lock().step(space.id, own, now_ns);
            match step {
                Step::GoOn => break,
                Step::Change(from) => self.change(from, space),
                Step::Wait(wait) => {
                    wait.call.iter().for_each(|thread| thread.unpark());
                    wait.interrupt.iter().for_each(|thread| thread.interrupt());
                    thread::park(Some(wait.at_most_ns));
                    // After the sleep, not before it: a call since the step ends the sleep at once.
                    thread::clear_wake();
                    slept = true;
                }
            }
        }
        if slept {
            own.unpark();
        }
    }

    /// The calling thread neither runs nor touches memory until it enters again.
    pub fn leave(&self, own: &Arc<ThreadHandle>) {
        let call = {
            let mut turns = self.turns.lock();
            turns.inside.retain(|other| !Arc::ptr_eq(other, own));
            if turns.inside.is_empty() { turns.to_call() } else { None }
        };
        if let Some(next) = call {
            next.unpark();
        }
    }

    fn change(&self, from: Option<u64>, to: &AddressSpace) {
        let leaving = from.map(|id| {
            let turns = self.turns.lock();
            turns.members.iter().find(|member| member.id == id).and_then(|member| member.space.upgrade())
        });
        let possible = !matches!(leaving, Some(None));
        if possible {
            if let Some(Some(space)) = &leaving {
                space.step_aside();
            }
            to.step_forward();
        } else {
            // Its last owner is just giving it up, and will say so.
            host::yield_now();
        }
        self.end_change(possible.then(|| (Some(to.id), clock::now().monotonic_ns)));
    }

    /// Lets the others look again, with someone else (or nobody) on the stage since then if `now` says so.
    fn end_change(&self, now: Option<(Option<u64>, u64)>) {
        let waiting: Vec<Arc<ThreadHandle>> = {
            let mut turns = self.turns.lock();
            turns.changing = false;
            if let Some(now) = now {
                (turns.current, turns.since_ns) = now;
            }
            turns.waiting.iter().map(|(_, thread)| thread.clone()).collect()
        };
        waiting.iter().for_each(|thread| thread.unpark());
    }

    /// Ends a member's part; `take_away` is told whether its pages are on the stage, and takes them away.
    fn withdraw(&self, id: u64, take_away: impl FnOnce(bool)) {
        let on_stage = loop {
            let mut turns = self.turns.lock();
            if !turns.changing {
                turns.changing = true;
                break turns.current == Some(id);
            }
            drop(turns);
            host::yield_now();
        };
        take_away(on_stage);
        self.turns.lock().members.retain(|member| member.id != id);
        self.end_change(on_stage.then_some((None, 0)));
    }

    /// Adds a member; the first one is on the stage. Returns its slot.
    fn join(&self, space: &Arc<AddressSpace>) -> u64 {
        let mut turns = self.turns.lock();
        let mut slot = 1;
        while turns.members.iter().any(|member| member.slot == slot) {
            slot += 1;
        }
        if turns.members.is_empty() && turns.current.is_none() && !turns.changing {
            turns.current = Some(space.id);
        }
        turns.members.push(Member { id: space.id, slot, space: Arc::downgrade(space) });
        slot
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.arena.release_all(self.owner);
    }
}

/// The stages of an arena.
#[derive(Default)]
pub(super) struct Stages(Mutex<Vec<Weak<Stage>>>);

impl Stages {
    /// The stage that `extent` lies on, or a new one. `ENOMEM` when something else is there.
    fn find(&self, arena: &Arc<Arena>, extent: Span) -> Result<Arc<Stage>> {
        let mut stages = self.0.lock();
        stages.retain(|stage| stage.strong_count() > 0);
        let known = stages.iter().filter_map(Weak::upgrade).find(|stage| stage.span.encloses(extent));
        if let Some(stage) = known {
            return Ok(stage);
        }
        let owner = new_owner();
        let roomy = Span::new(extent.start, extent.end.max(ROOMY_END));
        let span = [roomy, extent].into_iter().find(|&span| arena.claim_free(owner, span));
        let span = span.ok_or(Errno::ENOMEM)?;
        let stage = Arc::new(Stage { owner, arena: arena.clone(), span, turns: Mutex::new(Turns::new()) });
        stages.push(Arc::downgrade(&stage));
        Ok(stage)
    }
}

impl AddressSpace {
    /// Says that a program linked to the addresses `extent` is to be loaded: from now on threads enter the space's stage before they
    /// touch its memory. In an enclave without room for wings (they lie above 4 GiB) it needs no stage: it has its addresses alone
    /// or not at all. `ENOMEM` when a process that is not on a stage has these addresses.
    pub fn take_stage(self: &Arc<Self>, extent: Span) -> Result<()> {
        if extent.end > STAGE_LIMIT || self.part.get().is_some() {
            return Ok(());
        }
        let stage = self.arena.stages.find(&self.arena, extent)?;
        let high = Span::new(STAGE_LIMIT, self.bounds().end);
        let Some(wings) = self.arena.claim_highest(self.id, stage.span.len(), PAGE, high) else {
            return Ok(());
        };
        let slot = stage.join(self);
        let _ = self.part.set(Part { stage, wings, slot });
        Ok(())
    }

    /// The stage that it is a member of.
    #[inline]
    pub fn stage(&self) -> Option<&Arc<Stage>> {
        self.part.get().map(|part| &part.stage)
    }

    /// What names the futex at `address` among those of all processes.
    pub fn futex_key(&self, address: u64) -> u64 {
        match self.part.get() {
            Some(part) if part.stage.span.contains(address) => address | part.slot << 47,
            _ => address,
        }
    }

    /// Its own addresses that no mapping may take: the wings.
    pub(super) fn wings(&self) -> Option<Span> {
        self.part.get().map(|part| part.wings)
    }

    /// Claims addresses for a mapping, as [`Arena::claim`]; those on its stage are its already.
    pub(super) fn claim(&self, span: Span) -> Option<Vec<Span>> {
        let Some(stage) = self.stage().map(|stage| stage.span).filter(|stage| stage.overlaps(span)) else {
            return self.arena.claim(self.id, span);
        };
        let mut fresh = Vec::new();
        for part in span.without(stage) {
            match self.arena.claim(self.id, part) {
                Some(found) => fresh.extend(found),
                None => {
                    fresh.iter().for_each(|part| self.arena.release(self.id, *part));
                    return None;
                }
            }
        }
        Some(fresh)
    }

    /// Shared file mappings are written by and for others at any time, so none can be on a stage.
    pub(super) fn refuse_shared_on_stage(&self, span: Span, writes_back: bool) -> Result<()> {
        let on_stage = self.stage().is_some_and(|stage| stage.span.overlaps(span));
        if on_stage && writes_back { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// What of `span` is not on the stage.
    pub(super) fn off_stage(&self, span: Span) -> impl Iterator<Item = Span> + use<> {
        span.without(self.stage().map_or(Span::default(), |stage| stage.span))
    }

    /// The pages on the stage, present or in the wings, with their rights.
    fn staged_pages(&self, stage: Span) -> Vec<(Span, Protection)> {
        let state = self.state.lock();
        let mut pages = Vec::new();
        for vma in state.vmas.overlapping(stage).filter(|vma| !matches!(vma.backing, Backing::System)) {
            pages.extend(state.present.within(vma.span.meet(stage)).map(|part| (part, vma.protection)));
        }
        pages
    }

    fn step_aside(&self) {
        let Some(part) = self.part.get() else { return };
        for (pages, _) in self.staged_pages(part.stage.span) {
            self.move_or_stop(pages, part.in_wings(pages), IN_THE_WINGS);
        }
    }

    fn step_forward(&self) {
        let Some(part) = self.part.get() else { return };
        for (pages, protection) in self.staged_pages(part.stage.span) {
            self.move_or_stop(part.in_wings(pages), pages, protection);
        }
    }

    /// Half a process cannot go on, and the half that is moved cannot go back.
    fn move_or_stop(&self, from: Span, to: Span, protection: Protection) {
        if self.pages.relocate(from, to, protection).is_err() {
            console::fatal(
                "the host has no memory to move a process's pages aside for another at the same addresses",
            );
        }
    }

    /// Takes pages away that may be on a stage or in the wings, and ends its part in it.
    pub(super) fn unmap_staged(&self, pages: &[Span]) {
        let Some(part) = self.part.get() else { return };
        part.stage.withdraw(self.id, |on_stage| {
            for &pages in pages {
                let there = if on_stage { pages } else { part.in_wings(pages) };
                if self.pages.unmap(there).is_err() {
                    console::fatal("the host has no memory to take a process's pages away");
                }
            }
        });
    }
}

impl Part {
    /// Where pages of the stage wait.
    fn in_wings(&self, pages: Span) -> Span {
        let start = self.wings.start + (pages.start - self.stage.span.start);
        Span::new(start, start + pages.len())
    }
}

/// The part of an address space that has one.
pub(super) type PartCell = Once<Part>;

/// Members' slots and addresses share a word in futex keys.
const _: () = assert!(STAGE_LIMIT < 1 << 47);

#[cfg(test)]
mod tests;
