//! madvise, mincore and mlock.

use alloc::vec::Vec;

use super::address_space::{AddressSpace, State};
use super::span::{PAGE, Span};
use super::vma::{Backing, Vma};
use crate::errno::{Errno, Result};
use crate::user_space::Access;

/// What a call of madvise(2) does to the mappings it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Only checked: nothing here depends on it.
    Ignored,
    /// MADV_DONTNEED: private pages are thrown away.
    Discard,
    /// MADV_FREE: as Discard, for private anonymous memory only.
    Free,
    /// MADV_REMOVE: shared memory is zeroed.
    Remove,
    /// MADV_WIPEONFORK: only checked, private anonymous memory only.
    PrivateAnonymousOnly,
    /// MADV_POPULATE_READ, MADV_POPULATE_WRITE.
    Populate(Access),
}

impl AddressSpace {
    /// madvise(2) for a page-aligned span. What is mapped is dealt with even when there are holes (`ENOMEM`).
    pub fn advise(&self, span: Span, advice: Advice) -> Result<()> {
        let mapped = {
            let state = self.state.lock();
            for vma in state.vmas.overlapping(span) {
                check(vma, advice)?;
            }
            state.vmas.covers(span)
        };
        match advice {
            Advice::Ignored | Advice::PrivateAnonymousOnly => {}
            Advice::Discard | Advice::Free => self.discard(span)?,
            Advice::Remove => self.punch(span)?,
            Advice::Populate(access) => self.populate_for(span, access)?,
        }
        self.settle_or_blank(span)?;
        if mapped { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// Zeros what the shared mappings in `span` show, in their files.
    fn punch(&self, span: Span) -> Result<()> {
        let vmas: Vec<Vma> = self.state.lock().vmas.overlapping(span).cloned().collect();
        for vma in vmas {
            let Some((file, _)) = vma.file() else { continue };
            let part = vma.span.meet(span);
            file.punch(vma.offset_of(part.start), vma.offset_of(part.start) + part.len())?;
        }
        Ok(())
    }

    fn discard(&self, span: Span) -> Result<()> {
        let _change = self.change.lock();
        let (zeroed, dropped) = self.state.lock().discardable(span);
        for part in zeroed {
            if self.pages.discard(part).is_err() {
                // Half done: what is not there any more comes back as zeros.
                self.pages.unmap(part)?;
                self.state.lock().present.remove(part);
            }
        }
        for part in dropped {
            self.pages.unmap(part)?;
            self.state.lock().present.remove(part);
        }
        Ok(())
    }

    fn populate_for(&self, span: Span, access: Access) -> Result<()> {
        let mut at = span.start;
        while at < span.end {
            if !self.prepare(at, access) {
                let mapped = self.state.lock().vmas.find(at).is_some();
                return Err(if mapped { Errno::EFAULT } else { Errno::ENOMEM });
            }
            at += PAGE;
        }
        Ok(())
    }

    /// mincore(2): for each page whether it is there; `ENOMEM` when some are not mapped.
    pub fn residency(&self, span: Span) -> Result<Vec<u8>> {
        let state = self.state.lock();
        if !state.vmas.covers(span) {
            return Err(Errno::ENOMEM);
        }
        let pages = (span.start..span.end).step_by(PAGE as usize);
        Ok(pages.map(|page| u8::from(state.present.contains(page))).collect())
    }

    /// mlock(2) and munlock(2): marks mappings, and brings their pages in. `ENOMEM` when there are holes.
    pub fn set_locked(&self, span: Span, locked: bool) -> Result<()> {
        let change = self.change.lock();
        let parts = {
            let mut state = self.state.lock();
            let parts = state.vmas.mapped_parts(span);
            self.check_count(&state, state.vmas.splits(span))?;
            state.vmas.change(span, |vma| vma.locked = locked);
            parts
        };
        drop(change);
        if locked {
            parts.iter().for_each(|part| self.populate(*part));
        }
        if parts == [span] { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// mlockall(2) and munlockall(2): all mappings of now, and whether later ones are brought in when they are made.
    pub fn lock_all(&self, current: bool, future: bool) {
        if current {
            let _ = self.set_locked(self.bounds(), true);
        } else if !future {
            let _ = self.set_locked(self.bounds(), false);
        }
        self.state.lock().lock_future = future;
    }

    /// Bytes that mlock(2) holds.
    pub fn locked_bytes(&self) -> u64 {
        self.state.lock().vmas.iter().filter(|vma| vma.locked).map(|vma| vma.span.len()).sum()
    }

    /// Whether something is mapped at the address.
    pub fn is_mapped(&self, address: u64) -> bool {
        self.state.lock().vmas.find(address).is_some()
    }

    /// First address of the MAP_GROWSDOWN mapping that holds the address, if it is one.
    pub fn growing_mapping(&self, address: u64) -> Option<u64> {
        let state = self.state.lock();
        state.vmas.find(address).filter(|vma| vma.grows_down).map(|vma| vma.span.start)
    }
}

fn check(vma: &Vma, advice: Advice) -> Result<()> {
    let anonymous = vma.is_memory();
    let good = match advice {
        Advice::Ignored => true,
        Advice::Discard => !vma.locked && !matches!(vma.backing, Backing::System),
        Advice::Free | Advice::PrivateAnonymousOnly => anonymous && !vma.shared,
        Advice::Remove if anonymous && !vma.shared => return Err(Errno::EINVAL),
        Advice::Remove if !vma.shared || !vma.may_write => return Err(Errno::EACCES),
        Advice::Remove => !vma.locked,
        Advice::Populate(access) => vma.allows(access),
    };
    if good { Ok(()) } else { Err(Errno::EINVAL) }
}

impl State {
    /// Pages to be zeroed, and pages to be taken away and read again from their file.
    fn discardable(&self, span: Span) -> (Vec<Span>, Vec<Span>) {
        let (mut zeroed, mut dropped) = (Vec::new(), Vec::new());
        for vma in self.vmas.overlapping(span) {
            let present = self.present.within(vma.span.meet(span));
            match vma.backing {
                Backing::Anonymous => zeroed.extend(present),
                // What was written to shared files is not lost by this.
                Backing::File { .. } => dropped.extend(present.flat_map(|part| self.dirty.missing(part))),
                Backing::System => {}
            }
        }
        (zeroed, dropped)
    }
}
