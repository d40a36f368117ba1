//! mremap: mappings become shorter, longer, or move with their pages.

use alloc::vec::Vec;

use casemate_platform::console;
use casemate_platform::pages::{Change, Protection};

use super::address_space::AddressSpace;
use super::map::{MapRequest, Placement, TASK_SIZE, drop_carved};
use super::span::{PAGE, Span, page_up};
use super::vma::{Backing, Name, Vma};
use crate::errno::{Errno, Result};

/// What mremap(2) is asked for.
#[derive(Clone, Copy, Debug)]
pub struct RemapRequest {
    /// First address.
    pub address: u64,
    /// Bytes that are there.
    pub old_length: u64,
    /// Bytes that there are to be.
    pub new_length: u64,
    /// MREMAP_MAYMOVE.
    pub may_move: bool,
    /// MREMAP_FIXED: where to.
    pub fixed: Option<u64>,
    /// MREMAP_DONTUNMAP: the old mapping stays, without its pages.
    pub keep_old: bool,
}

/// A move that has been found possible.
struct Move {
    old: Span,
    new: Span,
    vma: Vma,
    keep_old: bool,
}

impl Move {
    fn target(&self, part: Span) -> Span {
        let delta = self.new.start.wrapping_sub(self.old.start);
        Span::new(part.start.wrapping_add(delta), part.end.wrapping_add(delta))
    }

    /// What the mapping is longer at its new place.
    fn tail(&self) -> Span {
        Span::new(self.new.start + self.old.len(), self.new.end)
    }
}

impl AddressSpace {
    /// mremap(2); returns the address.
    pub fn remap(&self, request: RemapRequest) -> Result<u64> {
        let length = request.new_length;
        let address = self.change_place(request)?;
        if let Some(span) = page_up(length).and_then(|length| Span::sized(address, length)) {
            self.settle_or_blank(span)?;
        }
        Ok(address)
    }

    fn change_place(&self, request: RemapRequest) -> Result<u64> {
        let RemapRequest { address, may_move, fixed, keep_old, .. } = request;
        if fixed.is_some() && !may_move
            || keep_old && (!may_move || request.old_length != request.new_length)
            || !address.is_multiple_of(PAGE)
        {
            return Err(Errno::EINVAL);
        }
        // Executable mappings can move and grow while none of their calls is rewritten.
        self.forget_idle_trampolines(|state| state.vmas.find(address)?.trampoline.clone());
        let old_length = page_up(request.old_length).ok_or(Errno::EINVAL)?;
        let new_length = page_up(request.new_length).filter(|&length| length != 0).ok_or(Errno::EINVAL)?;
        if self.state.lock().vmas.find(address).is_none() {
            return Err(Errno::EFAULT);
        }
        let old = Span::sized(address, old_length).ok_or(Errno::EINVAL)?;
        if old.is_empty() {
            return self.double(&request, new_length);
        }
        if let Some(target) = fixed {
            check_target(old, target, new_length)?;
        }
        if new_length < old_length {
            if let Some(target) = fixed {
                self.unmap(target, new_length)?;
            }
            self.unmap(address + new_length, old_length - new_length)?;
        }
        let moves = fixed.is_some() || keep_old;
        if !moves && new_length <= old_length {
            return Ok(address);
        }
        let old = Span::new(address, address + old_length.min(new_length));
        if !moves && self.grow_in_place(old, new_length)? {
            return Ok(address);
        }
        if !may_move {
            return Err(Errno::ENOMEM);
        }
        let placement = fixed.map_or(Placement::Hint(0), Placement::Fixed);
        self.make_way(placement, new_length);
        self.relocate(old, new_length, placement, keep_old)
    }

    /// A second mapping of shared memory, or of a file.
    fn double(&self, request: &RemapRequest, length: u64) -> Result<u64> {
        let vma = self.state.lock().vmas.find(request.address).cloned().ok_or(Errno::EFAULT)?;
        let another = vma.file().filter(|_| vma.shared).and_then(|(file, _)| file.another());
        let another = another.ok_or(Errno::EINVAL)?;
        self.refuse_shared_on_stage(vma.span, true)?;
        if !request.may_move {
            return Err(Errno::ENOMEM);
        }
        self.map(MapRequest {
            placement: request.fixed.map_or(Placement::Hint(0), Placement::Fixed),
            length,
            protection: vma.protection,
            shared: true,
            may_write: vma.may_write,
            grows_down: false,
            populate: vma.locked,
            locked: vma.locked,
            file: Some((another, vma.offset_of(request.address))),
            name: Name::None,
        })
    }

    /// The mapping that holds all of `span`, which is to become `length` bytes.
    fn movable(&self, span: Span, length: u64) -> Result<Vma> {
        let vma = self.state.lock().vmas.find(span.start).cloned().ok_or(Errno::EFAULT)?;
        if !vma.span.encloses(span) || matches!(vma.backing, Backing::System) {
            return Err(Errno::EFAULT);
        }
        if vma.file().is_some()
            && vma.offset_of(span.start).checked_add(length).is_none_or(|end| end >> 63 != 0)
        {
            return Err(Errno::EINVAL);
        }
        Ok(vma)
    }

    /// Makes a mapping longer where it is; false when something is in the way.
    fn grow_in_place(&self, old: Span, length: u64) -> Result<bool> {
        self.make_way(Placement::Fixed(old.end), length - old.len());
        let change = self.change.lock();
        let vma = self.movable(old, length)?;
        let Some(tail) = Span::sized(old.end, length - old.len()) else { return Ok(false) };
        // Code that was rewritten has a trampoline for its length.
        if vma.span.end != old.end || vma.trampoline.is_some() || tail.end > TASK_SIZE {
            return Ok(false);
        }
        let Some(place) = self.claim_unmapped(tail) else { return Ok(false) };
        let possible =
            self.check_room(tail, Change::Map(vma.protection)).and_then(|()| self.put_tail(&vma, tail));
        if let Err(error) = possible {
            self.give_back(place.fresh);
            return Err(error);
        }
        let mut state = self.state.lock();
        let offset = vma.offset_of(old.end);
        state.vmas.insert(with_span(vma.clone(), tail, offset));
        drop(state);
        drop(change);
        if vma.locked {
            self.populate(tail);
        }
        Ok(true)
    }

    /// Pages of what a mapping becomes longer by, if such pages come at once.
    fn put_tail(&self, vma: &Vma, tail: Span) -> Result<()> {
        let at_once = matches!(vma.backing, Backing::Anonymous) && !vma.is_inaccessible() && !tail.is_empty();
        if !at_once {
            return Ok(());
        }
        if let Err(error) = self.pages.map(tail, vma.protection) {
            // Half done: what cannot be taken back counts as present.
            if self.pages.unmap(tail).is_err() {
                self.state.lock().present.insert(tail);
            }
            return Err(error);
        }
        self.state.lock().present.insert(tail);
        Ok(())
    }

    /// Moves the mapping in `old` to another place, where it is `length` bytes long.
    fn relocate(&self, old: Span, length: u64, placement: Placement, keep_old: bool) -> Result<u64> {
        let change = self.lock_for(placement, length)?;
        let mut vma = self.movable(old, length)?;
        if let Backing::File { file, .. } = &mut vma.backing
            && let Some(another) = file.another()
        {
            // The rest of the old mapping and this may come to show the same pages.
            *file = another;
        }
        if vma.trampoline.is_some() {
            // Rewritten code reaches its trampoline from where it is.
            return Err(Errno::ENOMEM);
        }
        {
            let state = self.state.lock();
            self.check_count(&state, 5)?;
        }
        let place = self.place(placement, length)?;
        let new = place.span;
        let possible = self
            .check_room(new, Change::Map(vma.protection))
            .and_then(|()| self.check_room(old, Change::Unmap))
            .and_then(|()| self.refuse_shared_on_stage(new, vma.shared && vma.file().is_some()));
        if let Err(error) = possible {
            self.give_back(place.fresh);
            return Err(error);
        }
        let (gone, cleared) = self.clear(new);
        if let Err(error) = cleared {
            self.give_back(place.fresh);
            drop_carved(self, gone, change);
            return Err(error);
        }
        let plan = Move { old, new, vma, keep_old };
        if let Err(error) = self.move_pages(&plan) {
            // What was there is gone, as are its addresses.
            if !self.state.lock().present.touches(new) {
                self.release_addresses(new);
            }
            drop_carved(self, gone, change);
            return Err(error);
        }
        self.record(&plan);
        if !keep_old {
            self.release_addresses(old);
        }
        let locked = plan.vma.locked;
        drop_carved(self, gone, change);
        if locked {
            self.populate(plan.tail());
        }
        Ok(new.start)
    }

    /// Moves the pages that exist and adds those that the mapping is longer by; all or nothing.
    fn move_pages(&self, plan: &Move) -> Result<()> {
        self.put_tail(&plan.vma, plan.tail())?;
        let parts = self.parts(plan);
        for (done, &(part, protection)) in parts.iter().enumerate() {
            let Err(error) = self.pages.relocate(part, plan.target(part), protection) else { continue };
            // A refused move may have taken the page's rights, or made a copy.
            let _ = self.pages.unmap(plan.target(part));
            let _ = self.pages.protect(part, protection);
            for &(part, protection) in &parts[..done] {
                if self.pages.relocate(plan.target(part), part, protection).is_err() {
                    console::fatal("the host has no memory to move pages back that could not be moved on");
                }
            }
            if self.state.lock().present.touches(plan.tail()) && self.pages.unmap(plan.tail()).is_ok() {
                self.state.lock().present.remove(plan.tail());
            }
            return Err(error);
        }
        Ok(())
    }

    /// Runs of pages that exist in the old place, with their rights.
    fn parts(&self, plan: &Move) -> Vec<(Span, Protection)> {
        let state = self.state.lock();
        let mut parts = Vec::new();
        state.add_rights(&plan.vma, plan.old, &mut parts);
        parts
    }

    fn record(&self, plan: &Move) {
        let mut state = self.state.lock();
        let present: Vec<Span> = state.present.within(plan.old).collect();
        let dirty: Vec<Span> = state.dirty.within(plan.old).collect();
        state.present.remove(plan.old);
        state.dirty.remove(plan.old);
        present.into_iter().for_each(|part| state.present.insert(plan.target(part)));
        dirty.into_iter().for_each(|part| state.dirty.insert(plan.target(part)));
        if !plan.keep_old {
            state.vmas.carve(plan.old);
        }
        let offset = plan.vma.offset_of(plan.old.start);
        let mut moved = with_span(plan.vma.clone(), plan.new, offset);
        if matches!(moved.name, Name::Heap | Name::Stack) {
            moved.name = Name::None;
        }
        state.vmas.insert(moved);
    }
}

fn with_span(mut vma: Vma, span: Span, at: u64) -> Vma {
    vma.span = span;
    if let Backing::File { offset, .. } = &mut vma.backing {
        *offset = at;
    }
    vma
}

/// Whether `old` may move to `target`.
fn check_target(old: Span, target: u64, length: u64) -> Result<()> {
    let new = Span::sized(target, length).filter(|new| new.end <= TASK_SIZE).ok_or(Errno::EINVAL)?;
    if !target.is_multiple_of(PAGE) || old.overlaps(new) { Err(Errno::EINVAL) } else { Ok(()) }
}
