//! Rewritten system calls.
//!
//! When a file is mapped executable, a *trampoline* is set aside within 2 GiB of it. As code comes in, each system-call site in
//! it is overwritten, before anyone sees the page, by a jump to a stub in the trampoline, which enters the library OS directly
//! (see `casemate_index`). Sites come from the file's table in the index; files without one are searched for patterns that only
//! code contains. Code that the program makes itself is not rewritten: its system calls trap.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering::*};

use casemate_index::{MAX_CODE, MAX_STUB, Site, SiteKind, encode_patch, encode_stub, find_runtime_sites};
use casemate_platform::pages::{Change, Need, Protection};
use casemate_platform::sync::Mutex;

use super::address_space::AddressSpace;
use super::span::{PAGE, Span};
use super::vma::Vma;
use crate::errno::Result;
use crate::file::Mappable;
use crate::room;

/// How far a stub may be from its site: 2 GiB less what both may be long.
const REACH: u64 = (1 << 31) - (1 << 20);
/// Stubs begin at multiples of this.
const STUB_ALIGNMENT: u64 = 16;
/// Without a table: room for a stub in so many bytes of code. Go programs have a site in several KiB, libc one in 3 KiB.
const CODE_PER_STUB: u64 = 1024;
/// Bytes of code rewritten at a time. A site that crosses from one to the next traps.
const REWRITTEN_AT_ONCE: u64 = 4 << 20;
/// Rights of a trampoline's pages.
const READ_EXECUTE: Protection = Protection { read: true, write: false, execute: true };

static ENABLED: AtomicBool = AtomicBool::new(true);

/// Switches rewriting off (for debugging) or on, for mappings made from now on. Without it every system call traps.
pub fn set_rewriting(on: bool) {
    ENABLED.store(on, Relaxed);
}

/// Where the sites of a mapping are known from.
#[derive(Clone)]
pub enum SiteSource {
    /// The index: all sites of the mapped part, ascending.
    Table(Arc<[Site]>),
    /// Nowhere: code is searched as it comes in.
    Search,
}

impl SiteSource {
    /// For `length` bytes of a file from `offset` on; `None` when there is nothing to rewrite. Call with no lock held.
    pub fn of(file: &Arc<dyn Mappable>, offset: u64, length: u64) -> Option<SiteSource> {
        if !ENABLED.load(Relaxed) || file.is_memory() {
            return None;
        }
        let Some(table) = file.sites() else { return Some(SiteSource::Search) };
        // A table that cannot be read is as good as none that names a site: calls trap.
        let mut sites = table.in_range(offset, offset.saturating_add(length)).ok()?;
        let end = offset.saturating_add(length);
        let inside = |site: &Site| u64::from(site.offset()) + site.code_length() as u64 <= end;
        sites.retain(|site| site.kind() != SiteKind::Trap && inside(site));
        (!sites.is_empty()).then(|| SiteSource::Table(sites.into()))
    }

    /// Bytes of trampoline to set aside for so many bytes of code.
    fn room(&self, length: u64) -> u64 {
        let bytes = match self {
            SiteSource::Table(sites) => sites.iter().map(stub_room).sum(),
            SiteSource::Search => length / CODE_PER_STUB * MAX_STUB as u64,
        };
        bytes.max(1).next_multiple_of(PAGE)
    }
}

fn stub_room(site: &Site) -> u64 {
    (site.stub_length() as u64).next_multiple_of(STUB_ALIGNMENT)
}

/// A stub that was made.
struct Stub {
    address: u64,
    /// Address of the first byte that the patch overwrites.
    patch: u64,
    site: Site,
}

#[derive(Default)]
struct Stubs {
    /// By address, ascending: they are made one behind the other.
    made: Vec<Stub>,
    /// Patch address → position in `made`; `None` for a site that is left to trap.
    sites: BTreeMap<u64, Option<usize>>,
    used: u64,
}

/// Code near an executable mapping that its rewritten system calls jump to.
pub struct Trampoline {
    /// Its addresses.
    pub span: Span,
    source: SiteSource,
    /// Address less file offset, for all of the mapping.
    bias: u64,
    stubs: Mutex<Stubs>,
}

/// A site with its address and the original code that [`encode_stub`] wants to see.
pub struct SiteCode {
    site: Site,
    patch: u64,
    code: [u8; MAX_CODE],
}

/// Stubs to be written to a trampoline.
struct NewStubs {
    at: u64,
    bytes: Vec<u8>,
}

impl Trampoline {
    fn new(span: Span, source: SiteSource, vma: &Vma) -> Trampoline {
        let bias = vma.span.start.wrapping_sub(vma.offset_of(vma.span.start));
        Trampoline { span, source, bias, stubs: Mutex::default() }
    }

    /// Whether no stub was made.
    pub fn is_idle(&self) -> bool {
        self.stubs.lock().made.is_empty()
    }

    /// The sites with a byte in `part`, whose contents are `bytes`. One that crosses the end of the part is read from the file,
    /// if one is given (then call with no lock held), or else left out.
    pub fn collect(&self, part: Span, bytes: &[u8], file: Option<&Arc<dyn Mappable>>) -> Vec<SiteCode> {
        let offset = part.start.wrapping_sub(self.bias);
        let with_code = |site: Site, start: u64| -> Option<SiteCode> {
            let mut code = [0; MAX_CODE];
            let wanted = &mut code[..site.code_length()];
            let inside = start.checked_sub(offset).map(|at| at as usize);
            match (inside.and_then(|at| bytes.get(at..at + wanted.len())), file) {
                (Some(found), _) => wanted.copy_from_slice(found),
                (None, Some(file)) => file.read_pages(start, wanted).ok()?,
                (None, None) => return None,
            }
            Some(SiteCode { site, patch: self.bias.wrapping_add(start), code })
        };
        match &self.source {
            SiteSource::Table(sites) => overlapping(sites, offset, bytes.len() as u64)
                .iter()
                .filter_map(|site| with_code(*site, site.offset().into()))
                .collect(),
            SiteSource::Search => find_runtime_sites(bytes)
                .filter_map(|site| with_code(site, offset.wrapping_add(site.offset().into())))
                .collect(),
        }
    }

    /// Overwrites the sites in the contents of `part`, and makes the stubs that are not there yet.
    fn rewrite(&self, part: Span, bytes: &mut [u8], sites: &[SiteCode]) -> Option<NewStubs> {
        let mut stubs = self.stubs.lock();
        let first = self.span.start + stubs.used;
        let mut fresh = Vec::new();
        for SiteCode { site, patch, code } in sites {
            let patch = *patch;
            let known = stubs.sites.get(&patch).copied();
            let position = known.unwrap_or_else(|| self.make_stub(&mut stubs, site, code, patch, &mut fresh));
            let Some(stub) = position.and_then(|position| stubs.made.get(position)) else { continue };
            let mut jump = [0; MAX_CODE];
            let Ok(length) = encode_patch(site, patch, stub.address, &mut jump) else { continue };
            for (byte, at) in jump[..length].iter().zip(patch..) {
                if part.contains(at) {
                    bytes[(at - part.start) as usize] = *byte;
                }
            }
        }
        (!fresh.is_empty()).then_some(NewStubs { at: first, bytes: fresh })
    }

    /// Makes a stub behind the last one; `None`, remembered, when there is no room or the code is not what the site says.
    fn make_stub(
        &self,
        stubs: &mut Stubs,
        site: &Site,
        code: &[u8],
        patch: u64,
        fresh: &mut Vec<u8>,
    ) -> Option<usize> {
        let address = self.span.start + stubs.used;
        let mut bytes = [0; MAX_STUB];
        let room = stub_room(site);
        let made = (address + room <= self.span.end)
            .then(|| encode_stub(site, code, patch, address, &mut bytes).ok())
            .flatten();
        let position = made.map(|length| {
            // int3 between stubs.
            bytes[length..].fill(0xcc);
            fresh.extend_from_slice(&bytes[..room as usize]);
            stubs.used += room;
            stubs.made.push(Stub { address, patch, site: *site });
            stubs.made.len() - 1
        });
        stubs.sites.insert(patch, position);
        position
    }

    /// Takes back stubs that could not be written: their sites are left to trap.
    fn withdraw(&self, first: u64) {
        let mut stubs = self.stubs.lock();
        let kept = stubs.made.partition_point(|stub| stub.address < first);
        stubs.made.truncate(kept);
        stubs.used = first - self.span.start;
        let gone = |position: &&mut Option<usize>| position.is_some_and(|position| position >= kept);
        stubs.sites.values_mut().filter(gone).for_each(|position| *position = None);
    }

    /// The place in the original code that a pc in this trampoline stands for.
    fn original_pc(&self, pc: u64) -> Option<u64> {
        let stubs = self.stubs.lock();
        let position = stubs.made.partition_point(|stub| stub.address <= pc).checked_sub(1)?;
        let stub = &stubs.made[position];
        // The syscall stands for what lies between the beginnings of instructions, which no pc points to.
        let syscall = u64::from(stub.site.syscall_offset() - stub.site.offset());
        let offset = stub.site.code_offset((pc - stub.address) as usize);
        Some(stub.patch + offset.map_or(syscall, |offset| offset as u64))
    }

    /// Where to go on for a pc that points into overwritten code.
    fn resumable_pc(&self, pc: u64) -> Option<u64> {
        let stubs = self.stubs.lock();
        let (patch, position) = stubs.sites.range(..=pc).next_back()?;
        let stub = stubs.made.get((*position)?)?;
        let offset = stub.site.stub_offset(usize::try_from(pc - patch).ok()?)?;
        Some(stub.address + offset as u64)
    }
}

/// The sites with a byte of code in `length` bytes from `offset` on.
fn overlapping(sites: &[Site], offset: u64, length: u64) -> &[Site] {
    let begin = sites.partition_point(|site| u64::from(site.offset()) + site.code_length() as u64 <= offset);
    let end = sites.partition_point(|site| u64::from(site.offset()) < offset + length);
    sites.get(begin..end).unwrap_or_default()
}

impl AddressSpace {
    /// Sets a trampoline aside for a mapping. `None`: no room within reach; system calls of the mapping trap. Call with
    /// `change` held.
    pub(super) fn new_trampoline(&self, vma: &Vma, source: SiteSource) -> Option<Arc<Trampoline>> {
        let room = source.room(vma.span.len());
        if vma.span.len() + room > REACH {
            return None;
        }
        let below = Span::new(vma.span.end.saturating_sub(REACH), vma.span.start);
        let above = Span::new(vma.span.end, vma.span.start.saturating_add(REACH));
        let found = self
            .arena
            .claim_highest(self.id, room, PAGE, below)
            .or_else(|| self.arena.claim_lowest(self.id, room, above))?;
        let trampoline = Arc::new(Trampoline::new(found, source, vma));
        let mut state = self.state.lock();
        state.reserved.insert(found);
        state.trampolines.insert(found.start, trampoline.clone());
        Some(trampoline)
    }

    /// Overwrites the sites in the contents of `part` and writes their stubs. Call with `change` held.
    pub(super) fn rewrite(
        &self,
        trampoline: &Trampoline,
        part: Span,
        bytes: &mut [u8],
        sites: &[SiteCode],
    ) -> Result<()> {
        let Some(stubs) = trampoline.rewrite(part, bytes, sites) else { return Ok(()) };
        self.write_stubs(&stubs).inspect_err(|_| trampoline.withdraw(stubs.at))
    }

    /// Threads that run in the trampoline meanwhile fault, wait for the change, and go on.
    fn write_stubs(&self, stubs: &NewStubs) -> Result<()> {
        let span =
            Span::new(stubs.at & !(PAGE - 1), (stubs.at + stubs.bytes.len() as u64).next_multiple_of(PAGE));
        let (fresh, there): (Vec<Span>, Vec<Span>) = {
            let state = self.state.lock();
            (state.present.missing(span), state.present.within(span).collect())
        };
        self.check_room_for(Need::Touched, span, Change::Map(READ_EXECUTE))?;
        let mut written = Ok(());
        for &part in &fresh {
            written = written.and_then(|()| self.pages.map(part, Protection::READ_WRITE));
        }
        for &part in &there {
            written = written.and_then(|()| self.pages.protect(part, Protection::READ_WRITE));
        }
        written = written
            .and_then(|()| self.pages.write(stubs.at, &stubs.bytes))
            .and_then(|()| self.pages.protect(span, READ_EXECUTE));
        for part in fresh {
            // Those that could not be finished hold no stub.
            if written.is_ok() || self.pages.unmap(part).is_err() {
                self.state.lock().present.insert(part);
            }
        }
        if written.is_err() {
            // Stubs that were there before are in use.
            for part in there {
                let _ = self.pages.protect(part, READ_EXECUTE);
            }
        }
        written
    }

    /// Rewrites pages that came in before their mapping became executable. Call with `change` held.
    pub(super) fn rewrite_present(
        &self,
        code: Span,
        trampoline: &Trampoline,
        protection: Protection,
    ) -> Result<()> {
        let parts: Vec<Span> = self.state.lock().present.within(code).collect();
        for part in parts.into_iter().flat_map(|part| part.chunks(REWRITTEN_AT_ONCE)) {
            let mut bytes = room::buffer(part.len() as usize)?;
            self.pages.protect(part, Protection::READ_WRITE)?;
            self.pages.read(part.start, &mut bytes)?;
            // The program may have changed the code (relocations): what is in memory counts.
            let sites = trampoline.collect(part, &bytes, None);
            self.rewrite(trampoline, part, &mut bytes, &sites)?;
            self.pages.write(part.start, &bytes)?;
            self.pages.protect(part, protection)?;
        }
        Ok(())
    }

    /// Where a system call that ended at `pc` is made again.
    pub fn restart_pc(&self, pc: u64) -> u64 {
        self.resumable_pc(self.original_pc(pc).wrapping_sub(2))
    }

    /// The place in the program's own code that `pc` stands for: itself, unless it lies in a trampoline.
    pub fn original_pc(&self, pc: u64) -> u64 {
        let trampoline = {
            let state = self.state.lock();
            let last = state.trampolines.range(..=pc).next_back();
            last.filter(|(_, trampoline)| trampoline.span.contains(pc)).map(|(_, found)| found.clone())
        };
        trampoline.and_then(|trampoline| trampoline.original_pc(pc)).unwrap_or(pc)
    }

    /// The reverse: where to resume for a pc that a signal frame shows.
    pub fn resumable_pc(&self, pc: u64) -> u64 {
        let trampoline = self.state.lock().vmas.find(pc).and_then(|vma| vma.trampoline.clone());
        trampoline.and_then(|trampoline| trampoline.resumable_pc(pc)).unwrap_or(pc)
    }
}
