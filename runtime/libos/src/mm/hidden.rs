//! An enclave without EDMM: pages that are not there are only hidden, by the host, and a hostile one shows them with bytes of its own.
//! So what a program may touch is brought in when it is mapped. What cannot be brought in is not mapped, or nothing but zeros.

use casemate_platform::console;
use casemate_platform::pages::{Change, Protection};

use super::address_space::AddressSpace;
use super::fault::FaultOutcome;
use super::span::{Span, page_up};
use super::vma::{Backing, Vma};
use crate::errno::{Errno, Result};
use crate::user_space::Access;

impl AddressSpace {
    /// Brings in what the program may touch in `span`, where it would not fault on what is missing. `EIO`, `ENOMEM`: something is
    /// still missing, and the program must not get to it. Call with no lock held.
    pub(super) fn settle(&self, span: Span) -> Result<()> {
        if !self.pages.are_only_hidden() {
            return Ok(());
        }
        let mut rest = span;
        while let Some(gap) = self.first_missing(rest) {
            let page = Span::page(gap.start);
            let done = match self.bring(page.start, Access::Read) {
                FaultOutcome::Resolved | FaultOutcome::NotMapped | FaultOutcome::AccessError => page.end,
                FaultOutcome::BusError if self.is_behind_end(page.start) => {
                    self.blank(gap)?;
                    gap.end
                }
                FaultOutcome::BusError => return Err(Errno::EIO),
                FaultOutcome::OutOfMemory => return Err(Errno::ENOMEM),
            };
            rest = Span::new(done.min(span.end), span.end);
        }
        Ok(())
    }

    /// As [`Self::settle`], where the mapping stays whatever comes of it: what could not be brought in is nothing but zeros.
    pub(super) fn settle_or_blank(&self, span: Span) -> Result<()> {
        let outcome = self.settle(span);
        let mut rest = span;
        while outcome.is_err()
            && let Some(gap) = self.first_missing(rest)
        {
            if self.blank(gap).is_err() {
                console::fatal("the host keeps a page of the program from it");
            }
            rest = Span::new(gap.end, span.end);
        }
        outcome
    }

    /// The first part of `span` that may be touched and is not there, of one mapping.
    fn first_missing(&self, span: Span) -> Option<Span> {
        let state = self.state.lock();
        let touched = |vma: &&Vma| !vma.is_inaccessible() && !matches!(vma.backing, Backing::System);
        let mut parts = state.vmas.overlapping(span).filter(touched).map(|vma| vma.span.meet(span));
        parts.find_map(|part| state.present.missing(part).first().copied())
    }

    /// Whether the page lies behind the end of the file that is mapped there: there is nothing to bring in, and an honest host has the
    /// program fault.
    fn is_behind_end(&self, address: u64) -> bool {
        let vma = self.state.lock().vmas.find(address).cloned();
        let Some((file, offset)) = vma.as_ref().and_then(|vma| Some((vma.file()?.0, vma.offset_of(address))))
        else {
            return false;
        };
        page_up(file.size()).is_some_and(|end| offset >= end)
    }

    /// Zeros what is missing of `gap`, and hides it again.
    fn blank(&self, gap: Span) -> Result<()> {
        let _change = self.change.lock();
        let missing: alloc::vec::Vec<Span> = {
            let state = self.state.lock();
            let own = state.vmas.overlapping(gap).filter(|vma| !matches!(vma.backing, Backing::System));
            own.flat_map(|vma| state.present.missing(vma.span.meet(gap))).collect()
        };
        for part in missing {
            self.check_room(part, Change::Map(Protection::READ_WRITE))?;
            self.pages.map(part, Protection::READ_WRITE)?;
            self.pages.unmap(part)?;
        }
        Ok(())
    }
}
