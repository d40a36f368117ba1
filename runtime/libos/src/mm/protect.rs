//! mprotect.

use alloc::vec::Vec;

use casemate_platform::pages::Protection;

use super::address_space::{AddressSpace, State};
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
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if length == 0 {
            return Ok(());
        }
        let span = page_up(length).and_then(|length| Span::sized(address, length)).ok_or(Errno::ENOMEM)?;
        let _change = self.change.lock();
        let (reach, outcome, work) = {
            let state = self.state.lock();
            let (reach, outcome) = state.changeable(span, protection);
            AddressSpace::check_count(&state, state.vmas.splits(reach))?;
            (reach, outcome, state.plan(reach, protection))
        };
        for (part, work) in work {
            match work {
                Work::Protect(protection) => self.pages.protect(part, protection)?,
                Work::Map(protection) => {
                    self.pages.map(part, protection)?;
                    self.state.lock().present.insert(part);
                }
            }
        }
        self.state.lock().vmas.change(reach, |vma| vma.protection = protection);
        outcome
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
