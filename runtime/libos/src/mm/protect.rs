//! mprotect.

use alloc::vec::Vec;

use casemate_platform::pages::{Change, Protection};

use super::address_space::{AddressSpace, State};
use super::rewrite::SiteSource;
use super::span::{PAGE, Span, page_up};
use super::vma::{Backing, Vma};
use crate::errno::{Errno, Result};

/// Work on pages that exist, or fresh ones.
enum Work {
    Protect(Protection),
    Map(Protection),
}

impl AddressSpace {
    /// mprotect(2). As on Linux, what lies before the first hole or refusal is changed.
    pub fn protect(&self, address: u64, length: u64, protection: Protection) -> Result<()> {
        let outcome = self.change_rights(address, length, protection);
        let span = page_up(length).and_then(|length| Span::sized(address, length));
        let settled = span.map_or(Ok(()), |span| self.settle_or_blank(span));
        outcome.and(settled)
    }

    fn change_rights(&self, address: u64, length: u64, protection: Protection) -> Result<()> {
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if length == 0 {
            return Ok(());
        }
        let span = page_up(length).and_then(|length| Span::sized(address, length)).ok_or(Errno::ENOMEM)?;
        let sources = if protection.execute { self.new_code(span) } else { Vec::new() };
        let _change = self.change.lock();
        let (reach, outcome, work) = {
            let state = self.state.lock();
            let (reach, outcome) = state.changeable(span, protection);
            self.check_count(&state, state.vmas.splits(reach))?;
            (reach, outcome, state.plan(reach, protection))
        };
        for (vma, source) in sources {
            self.rewrite_code(reach, vma, source, protection).inspect_err(|_| self.restore_rights(reach))?;
        }
        for (part, work) in work {
            if let Err(error) = self.change_pages(part, work) {
                self.restore_rights(part);
                let before = Span::new(reach.start, part.start);
                self.state.lock().vmas.change(before, |vma| vma.protection = protection);
                return Err(error);
            }
        }
        self.state.lock().vmas.change(reach, |vma| vma.protection = protection);
        outcome
    }

    fn change_pages(&self, part: Span, work: Work) -> Result<()> {
        let protection = match work {
            Work::Protect(protection) => {
                self.check_room(part, Change::Protect(protection))?;
                return self.pages.protect(part, protection);
            }
            Work::Map(protection) => protection,
        };
        self.check_room(part, Change::Map(protection))?;
        if let Err(error) = self.pages.map(part, protection) {
            let _ = self.pages.unmap(part);
            return Err(error);
        }
        self.state.lock().present.insert(part);
        Ok(())
    }

    /// Gives the pages in `span` the rights that they had, after a change that was refused half-way. Call with `change` held.
    fn restore_rights(&self, span: Span) {
        let mut parts = Vec::new();
        {
            let state = self.state.lock();
            let own = state.vmas.overlapping(span).filter(|vma| !matches!(vma.backing, Backing::System));
            own.for_each(|vma| state.add_rights(vma, span, &mut parts));
        }
        for (part, protection) in parts {
            let _ = self.pages.protect(part, protection);
        }
    }

    /// File mappings in `span` that were never executable, with their system-call sites. Call with no lock held.
    fn new_code(&self, span: Span) -> Vec<(Vma, SiteSource)> {
        let fresh: Vec<Vma> = {
            let state = self.state.lock();
            let fresh = |vma: &&Vma| vma.trampoline.is_none() && vma.file().is_some();
            state.vmas.overlapping(span).filter(fresh).cloned().collect()
        };
        let with_sites = |vma: Vma| {
            let source = SiteSource::of(vma.file()?.0, vma.offset_of(vma.span.start), vma.span.len())?;
            Some((vma, source))
        };
        fresh.into_iter().filter_map(with_sites).collect()
    }

    /// Rewrites a mapping that becomes executable in `reach`, if it is still the one that was looked at. Call with `change` held.
    fn rewrite_code(&self, reach: Span, seen: Vma, source: SiteSource, protection: Protection) -> Result<()> {
        let same = |vma: &Vma| {
            let id = |vma: &Vma| vma.file().map(|(_, id)| id);
            vma.span == seen.span && id(vma) == id(&seen) && vma.trampoline.is_none()
        };
        let now = self.state.lock().vmas.find(seen.span.start).filter(|vma| same(vma)).cloned();
        let Some(vma) = now.filter(|vma| vma.span.overlaps(reach)) else { return Ok(()) };
        let Some(trampoline) = self.new_trampoline(&vma, source) else { return Ok(()) };
        self.state.lock().vmas.change(vma.span, |vma| vma.trampoline = Some(trampoline.clone()));
        let part = vma.span.meet(reach);
        self.rewrite_present(part, &trampoline, Protection { write: false, ..protection })
    }
}

impl State {
    /// How far `span` can be changed, and why not further.
    fn changeable(&self, span: Span, protection: Protection) -> (Span, Result<()>) {
        let mut at = span.start;
        for vma in self.vmas.overlapping(span) {
            if vma.span.start > at {
                break;
            }
            let refused = matches!(vma.backing, Backing::System) || protection.write && !vma.may_write;
            if refused {
                return (Span::new(span.start, at), Err(Errno::EACCES));
            }
            at = vma.span.end.min(span.end);
        }
        let outcome = if at < span.end { Err(Errno::ENOMEM) } else { Ok(()) };
        (Span::new(span.start, at), outcome)
    }

    /// The runs of pages of a mapping that exist in `span`, with the rights that they have: pages of a shared file mapping get
    /// others when they are written to.
    pub(super) fn add_rights(&self, vma: &Vma, span: Span, parts: &mut Vec<(Span, Protection)>) {
        let (clean, full) = (vma.clean_protection(), vma.protection);
        for run in self.present.within(vma.span.meet(span)) {
            if clean == full {
                parts.push((run, full));
                continue;
            }
            parts.extend(self.dirty.within(run).map(|part| (part, full)));
            parts.extend(self.dirty.missing(run).into_iter().map(|part| (part, clean)));
        }
    }

    /// What must be done to pages for the mappings in `span` to get new rights; neighbouring parts are joined.
    fn plan(&self, span: Span, protection: Protection) -> Vec<(Span, Work)> {
        let mut work: Vec<(Span, Work)> = Vec::new();
        for vma in self.vmas.overlapping(span) {
            let part = vma.span.meet(span);
            let changed = Vma { protection, ..vma.clone() };
            for present in self.present.within(part) {
                let clean = changed.clean_protection();
                if clean == protection {
                    push(&mut work, present, Work::Protect(protection));
                    continue;
                }
                self.dirty
                    .missing(present)
                    .into_iter()
                    .for_each(|part| push(&mut work, part, Work::Protect(clean)));
                self.dirty.within(present).for_each(|part| push(&mut work, part, Work::Protect(protection)));
            }
            if matches!(vma.backing, Backing::Anonymous) && protection != Protection::NONE {
                self.present
                    .missing(part)
                    .into_iter()
                    .for_each(|part| push(&mut work, part, Work::Map(protection)));
            }
        }
        work
    }
}

fn push(work: &mut Vec<(Span, Work)>, span: Span, next: Work) {
    if let Some((last, kind)) = work.last_mut()
        && last.end == span.start
    {
        match (kind, &next) {
            (Work::Protect(a), Work::Protect(b)) | (Work::Map(a), Work::Map(b)) if *a == *b => {
                last.end = span.end;
                return;
            }
            _ => {}
        }
    }
    work.push((span, next));
}
