//! mmap and munmap.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::*};

use casemate_platform::pages::{Change, Protection};

use super::address_space::{AddressSpace, State};
use super::rewrite::{SiteSource, Trampoline};
use super::shared_memory::SharedMemory;
use super::span::{PAGE, Span, page_up};
use super::vma::{Backing, Name, Vma};
use crate::errno::{Errno, Result};
use crate::events::SleepGuard;
use crate::file::Mappable;
use crate::room;

/// File mappings with at most this many bytes of contents are brought in when they are made.
const EAGER_LIMIT: u64 = 64 * 1024;
/// What a program cannot map whatever the enclave's layout (vm.mmap_min_addr).
const LOWEST: u64 = 64 * 1024;
/// One past the last address of a Linux program (TASK_SIZE).
pub const TASK_SIZE: u64 = (1 << 47) - PAGE;
/// MAP_32BIT mappings lie here.
const LOW_WINDOW: Span = Span { start: 0x4000_0000, end: 0x8000_0000 };

static NEXT_MAPPING: AtomicU64 = AtomicU64::new(1);

/// Where a new mapping may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Anywhere, at this address if it is free (0: no wish).
    Hint(u64),
    /// Anywhere below 2 GiB, at this address if it is free.
    Low(u64),
    /// Exactly here, in place of what is there.
    Fixed(u64),
    /// Exactly here, if nothing is there.
    FixedNoReplace(u64),
    /// Anywhere at a multiple of the first, at or below the second if there is room.
    Aligned(u64, Option<u64>),
}

/// What mmap(2) is asked for.
#[derive(Clone)]
pub struct MapRequest {
    /// Where.
    pub placement: Placement,
    /// Length in bytes, not 0.
    pub length: u64,
    /// Rights.
    pub protection: Protection,
    /// MAP_SHARED.
    pub shared: bool,
    /// Whether mprotect(2) may add the right to write.
    pub may_write: bool,
    /// MAP_GROWSDOWN.
    pub grows_down: bool,
    /// MAP_POPULATE or MAP_LOCKED.
    pub populate: bool,
    /// MAP_LOCKED.
    pub locked: bool,
    /// The file and the offset in it; `None` for anonymous memory.
    pub file: Option<(Arc<dyn Mappable>, u64)>,
    /// Name in /proc/self/maps.
    pub name: Name,
}

impl MapRequest {
    /// Private anonymous memory.
    pub fn anonymous(placement: Placement, length: u64, protection: Protection) -> MapRequest {
        MapRequest {
            placement,
            length,
            protection,
            shared: false,
            may_write: true,
            grows_down: false,
            populate: false,
            locked: false,
            file: None,
            name: Name::None,
        }
    }

    /// A private mapping of a file.
    pub fn private_file(
        placement: Placement,
        length: u64,
        protection: Protection,
        file: Arc<dyn Mappable>,
        offset: u64,
    ) -> MapRequest {
        MapRequest { file: Some((file, offset)), ..Self::anonymous(placement, length, protection) }
    }
}

/// A place that was found, and which parts of it were not this process's before.
pub(super) struct Place {
    pub(super) span: Span,
    pub(super) fresh: Vec<Span>,
}

impl AddressSpace {
    /// mmap(2): makes a mapping; returns its address.
    pub fn map(&self, request: MapRequest) -> Result<u64> {
        if request.length == 0 {
            return Err(Errno::EINVAL);
        }
        let length = page_up(request.length).ok_or(Errno::ENOMEM)?;
        let mut request = request;
        let is_memory = request.shared && request.file.is_none();
        let is_shared_file = request.shared && !is_memory;
        if is_memory {
            request.file = Some((SharedMemory::sized(length), 0));
        }
        if let Some((_, offset)) = &request.file {
            offset.checked_add(length).filter(|end| *end <= i64::MAX as u64).ok_or(Errno::EOVERFLOW)?;
        }
        let eager = eager_contents(&request, length)?;
        let sites = match &request.file {
            Some((file, offset)) if request.protection.execute => SiteSource::of(file, *offset, length),
            _ => None,
        };
        self.make_way(request.placement, length);
        let change = self.lock_for(request.placement, length)?;
        let place = self.place(request.placement, length)?;
        let (gone, made) = match self.refuse_shared_on_stage(place.span, is_shared_file) {
            Ok(()) => self.make_mapping(&request, place.span, eager, sites),
            Err(error) => (Vec::new(), Err(error)),
        };
        if made.is_err() {
            self.give_back(place.fresh);
            self.drop_unused_trampolines();
        }
        drop_carved(self, gone, change);
        made?;
        if request.populate || self.state.lock().lock_future {
            self.populate(place.span);
        }
        if let Err(error) = self.settle(place.span) {
            let _ = self.unmap(place.span.start, place.span.len());
            return Err(error);
        }
        Ok(place.span.start)
    }

    /// munmap(2).
    pub fn unmap(&self, address: u64, length: u64) -> Result<()> {
        let length = page_up(length).unwrap_or(u64::MAX);
        let span = Span::sized(address, length).ok_or(Errno::EINVAL)?;
        if !address.is_multiple_of(PAGE) || length == 0 || span.end > TASK_SIZE + PAGE {
            return Err(Errno::EINVAL);
        }
        let span = span.meet(self.bounds());
        if span.is_empty() {
            return Ok(());
        }
        let change = self.lock_settled(span);
        {
            let state = self.state.lock();
            if state.vmas.splits(span) == 2 {
                self.check_count(&state, 1)?;
            }
        }
        self.check_room(span, Change::Unmap)?;
        let (gone, outcome) = self.take_out(span);
        drop_carved(self, gone, change);
        outcome
    }

    /// Locks `change`; what a mapping placed so replaces has reached its file.
    pub(super) fn lock_for(&self, placement: Placement, length: u64) -> Result<SleepGuard<'_>> {
        let Placement::Fixed(address) = placement else { return Ok(self.change.lock()) };
        Ok(self.lock_settled(Span::sized(address, length).ok_or(Errno::ENOMEM)?))
    }

    /// Takes the mappings in `span` out, pages and addresses included. When the host refuses, `ENOMEM`, and what lies from there on
    /// stays as it was. Call with `change` held.
    fn take_out(&self, span: Span) -> (Vec<Vma>, Result<()>) {
        let (gone, outcome) = self.clear(span);
        for vma in gone.iter().filter(|vma| !matches!(vma.backing, Backing::System)) {
            self.release_addresses(vma.span);
        }
        (gone, outcome)
    }

    /// Takes the mappings in `span` out with their pages, as [`Self::take_out`], and keeps the addresses.
    pub(super) fn clear(&self, span: Span) -> (Vec<Vma>, Result<()>) {
        let present: Vec<Span> = {
            let state = self.state.lock();
            let own = state.vmas.overlapping(span).filter(|vma| !matches!(vma.backing, Backing::System));
            own.flat_map(|vma| state.present.within(vma.span.meet(span))).collect()
        };
        let (span, outcome) = match self.unmap_pages(&present) {
            Ok(()) => (span, Ok(())),
            Err(stayed) => (Span::new(span.start, stayed), Err(Errno::ENOMEM)),
        };
        let mut state = self.state.lock();
        let gone = state.vmas.carve(span);
        for vma in gone.iter().filter(|vma| !matches!(vma.backing, Backing::System)) {
            state.present.remove(vma.span);
            state.dirty.remove(vma.span);
        }
        (gone, outcome)
    }

    /// Brings all pages of a mapping in, as far as that works.
    pub(super) fn populate(&self, span: Span) {
        let mut at = span.start;
        while at < span.end {
            if !self.prepare(at, crate::user_space::Access::Read) {
                return;
            }
            let around = self.state.lock().present.around(at);
            at = around.map_or(Span::page(at).end, |present| present.end);
        }
    }

    /// Frees a place that the program chose of trampolines that are not in use. Call with no lock held.
    pub(super) fn make_way(&self, placement: Placement, length: u64) {
        let (Placement::Fixed(address) | Placement::FixedNoReplace(address)) = placement else { return };
        let Some(span) = Span::sized(address, length) else { return };
        if self.state.lock().trampoline_in(span).is_some() {
            self.forget_idle_trampolines(|state| state.trampoline_in(span));
        }
    }

    pub(super) fn place(&self, placement: Placement, length: u64) -> Result<Place> {
        let bounds = self.bounds();
        match placement {
            Placement::Fixed(address) => {
                let span = fixed_span(address, length)?;
                if self.is_occupied(span) {
                    return Err(Errno::ENOMEM);
                }
                let fresh = self.claim(span).ok_or(Errno::ENOMEM)?;
                Ok(Place { span, fresh })
            }
            Placement::FixedNoReplace(address) => {
                let span = fixed_span(address, length)?;
                if !bounds.encloses(span) {
                    return Err(Errno::ENOMEM);
                }
                self.claim_unmapped(span).ok_or(Errno::EEXIST)
            }
            Placement::Hint(address) => self.near_hint(address, length, PAGE, self.search_window()),
            Placement::Low(address) => self.near_hint(address, length, PAGE, LOW_WINDOW),
            Placement::Aligned(alignment, wish) => {
                let below = wish.map(|wish| Span::new(bounds.start, wish.saturating_add(length)));
                let windows = below.into_iter().chain([self.search_window(), bounds]);
                let mut found =
                    windows.filter_map(|window| self.arena.claim_highest(self.id, length, alignment, window));
                found.next().map(Place::new).ok_or(Errno::ENOMEM)
            }
        }
    }

    fn search_window(&self) -> Span {
        Span::new(self.bounds().start, self.state.lock().search_top)
    }

    fn near_hint(&self, hint: u64, length: u64, alignment: u64, window: Span) -> Result<Place> {
        let hint = page_up(hint).unwrap_or(0);
        if hint >= LOWEST
            && let Some(span) = Span::sized(hint, length)
            && (window != LOW_WINDOW || window.encloses(span))
            && let Some(place) = self.claim_unmapped(span)
        {
            return Ok(place);
        }
        let found = self.arena.claim_highest(self.id, length, alignment, window).or_else(|| {
            // Linux, too, searches the rest of the range when there is no room below the usual place.
            let whole = if window == LOW_WINDOW { window } else { self.bounds() };
            self.arena.claim_highest(self.id, length, alignment, whole)
        });
        found.map(Place::new).ok_or(Errno::ENOMEM)
    }

    /// Claims a span in which this process has no mapping; room kept for the heap may be used so.
    pub(super) fn claim_unmapped(&self, span: Span) -> Option<Place> {
        if self.is_occupied(span) || self.state.lock().vmas.overlapping(span).next().is_some() {
            return None;
        }
        let fresh = self.claim(span)?;
        Some(Place { span, fresh })
    }

    /// Puts the pages there and records the mapping; returns what it replaced. On an error nothing has changed, or, as on Linux,
    /// what was to be replaced is gone.
    fn make_mapping(
        &self,
        request: &MapRequest,
        span: Span,
        eager: Option<Vec<u8>>,
        sites: Option<SiteSource>,
    ) -> (Vec<Vma>, Result<()>) {
        let mut vma = new_vma(request, span);
        let loaded = Span::new(span.start, span.start + eager.as_ref().map_or(0, |bytes| bytes.len() as u64));
        let now = match vma.backing {
            _ if vma.starts_fresh() && !vma.is_inaccessible() => span,
            _ => loaded,
        };
        if let Err(error) = self.check_mapping(&vma, now) {
            return (Vec::new(), Err(error));
        }
        vma.trampoline = sites.and_then(|sites| self.new_trampoline(&vma, sites));
        // The old pages go first, so that nobody sees them under the new mapping. Fresh pages replace them in one call.
        let stale: Vec<Span> = {
            let state = self.state.lock();
            state.present.within(span).flat_map(|part| part.without(now)).collect()
        };
        if let Err(stayed) = self.unmap_pages(&stale) {
            return (self.lose(Span::new(span.start, stayed)), Err(Errno::ENOMEM));
        }
        let bytes = eager.filter(|bytes| !bytes.is_empty());
        let filled = match bytes {
            Some(bytes) => self.fill(loaded, bytes, &vma),
            None if now.is_empty() => Ok(()),
            None => self.pages.map(now, vma.protection),
        };
        if let Err(error) = filled {
            return (self.lose(span), Err(error));
        }
        let mut state = self.state.lock();
        let gone = state.vmas.carve(span);
        state.present.remove(span);
        state.present.insert(now);
        state.dirty.remove(span);
        if vma.starts_fresh() && vma.shared {
            // Its file, which is empty, hears of its pages when there is a second mapping of them.
            state.dirty.insert(now);
        }
        state.vmas.insert(vma);
        (gone, Ok(()))
    }

    /// Whether a new mapping is one too many, for Linux or for the host; `now` is what of it gets pages at once.
    fn check_mapping(&self, vma: &Vma, now: Span) -> Result<()> {
        {
            let state = self.state.lock();
            self.check_count(&state, state.vmas.splits(vma.span) + 1)?;
        }
        self.check_room(vma.span, Change::Unmap)?;
        if now.is_empty() { Ok(()) } else { self.check_room(now, Change::Map(vma.protection)) }
    }

    /// Takes the mappings in `span` out after the host refused half-way, and what pages of them or of their successor are there. Where it
    /// does not even take those back, they count as present: nothing else comes to these addresses but what takes them away first.
    fn lose(&self, span: Span) -> Vec<Vma> {
        let gone = self.state.lock().vmas.carve(span);
        let swept = span.is_empty() || self.pages.unmap(span).is_ok();
        let mut state = self.state.lock();
        state.dirty.remove(span);
        if !swept {
            state.present.insert(span);
            return gone;
        }
        state.present.remove(span);
        drop(state);
        self.release_addresses(span);
        gone
    }

    /// Gives addresses back that were claimed for a mapping that did not come.
    pub(super) fn give_back(&self, fresh: Vec<Span>) {
        for part in fresh {
            if !self.state.lock().present.touches(part) {
                self.arena.release(self.id, part);
            }
        }
    }

    /// Puts contents into fresh pages of a mapping that nobody knows yet, and gives them its rights. Call with `change` held.
    fn fill(&self, span: Span, mut bytes: Vec<u8>, vma: &Vma) -> Result<()> {
        let protection = vma.clean_protection();
        if let Some(trampoline) = &vma.trampoline {
            let sites = trampoline.collect(span, &bytes, None);
            self.rewrite(trampoline, span, &mut bytes, &sites)?;
        }
        self.pages.map(span, Protection::READ_WRITE)?;
        self.pages.write(span.start, &bytes)?;
        if protection != Protection::READ_WRITE {
            self.pages.protect(span, protection)?;
        }
        Ok(())
    }
}

impl Place {
    fn new(span: Span) -> Place {
        Place { span, fresh: vec![span] }
    }
}

impl State {
    /// The last trampoline with an address in `span`.
    pub(super) fn trampoline_in(&self, span: Span) -> Option<Arc<Trampoline>> {
        let (_, last) = self.trampolines.range(..span.end).next_back()?;
        (last.span.end > span.start).then(|| last.clone())
    }
}

/// Ends the change and drops what was carved out, trampolines included.
pub(super) fn drop_carved(space: &AddressSpace, gone: Vec<Vma>, change: SleepGuard) {
    let had_code = gone.iter().any(|vma| vma.trampoline.is_some());
    if had_code {
        // Files may go away with the mappings: their last reference is dropped after the lock.
        let files: Vec<Arc<dyn Mappable>> =
            gone.iter().filter_map(|vma| vma.file().map(|(file, _)| file.clone())).collect();
        drop(gone);
        space.drop_unused_trampolines();
        drop(change);
        drop(files);
    } else {
        drop(change);
        drop(gone);
    }
}

fn new_vma(request: &MapRequest, span: Span) -> Vma {
    let backing = match &request.file {
        None => Backing::Anonymous,
        Some((file, offset)) => {
            Backing::File { file: file.clone(), offset: *offset, id: NEXT_MAPPING.fetch_add(1, Relaxed) }
        }
    };
    Vma {
        span,
        protection: request.protection,
        shared: request.shared,
        may_write: request.may_write,
        grows_down: request.grows_down,
        locked: request.locked,
        backing,
        name: request.name,
        trampoline: None,
    }
}

/// Contents of a file mapping that is small enough to be brought in at once, in whole pages.
fn eager_contents(request: &MapRequest, length: u64) -> Result<Option<Vec<u8>>> {
    let Some((file, offset)) = &request.file else { return Ok(None) };
    let contents = file.size().saturating_sub(*offset).min(length);
    let Some(contents) = page_up(contents) else { return Ok(None) };
    if request.protection == Protection::NONE || contents == 0 || contents > EAGER_LIMIT {
        return Ok(None);
    }
    // What others store through shared mappings is looked at when the page is touched.
    if request.shared || file.coherence().is_some_and(|coherence| coherence.shared() > 0) {
        return Ok(None);
    }
    let mut bytes = room::buffer(contents as usize)?;
    // A file that cannot be read can be mapped; touching it is SIGBUS.
    Ok(file.read_pages(*offset, &mut bytes).is_ok().then_some(bytes))
}

fn fixed_span(address: u64, length: u64) -> Result<Span> {
    if !address.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let span = Span::sized(address, length).ok_or(Errno::ENOMEM)?;
    if span.end > TASK_SIZE {
        return Err(Errno::ENOMEM);
    }
    if address < LOWEST {
        return Err(Errno::EPERM);
    }
    Ok(span)
}
