//! [`Coherence`]: all mappings of a file's contents show the same bytes at once.
//!
//! A page of an enclave has one address, so each mapping has a copy of its own. As in a multiprocessor's caches, a page is either
//! *clean* in any number of mappings, read-only and equal to the file, or *dirty* in exactly one. Whoever touches a page that is
//! dirty elsewhere brings it back to the file first; whoever writes takes it away from all others first. Pages of private
//! mappings that the program did not write to still equal the file; they go, too, before the file changes.
//!
//! Lock order: the turn of a file, then `change` of address spaces, one at a time. Contents are read and written under the turn.

use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering::*};

use casemate_platform::pages::Protection;
use casemate_platform::sync::Once;

use super::address_space::AddressSpace;
use super::span::{PAGE, Span};
use super::vma::Vma;
use crate::errno::Result;
use crate::events::{SleepGuard, SleepMutex};
use crate::process::all_processes;

/// Reads whole pages of a file as it is now: offset and buffer.
pub type ReadPages<'a> = dyn Fn(u64, &mut [u8]) -> Result<()> + 'a;

/// What keeps the mappings of one file, and calls that read and write it, together.
#[derive(Default)]
pub struct Coherence {
    turn: SleepMutex,
    /// What [`Mappable::identity`](crate::file::Mappable::identity) says, once the file was mapped.
    identity: Once<(u64, u64)>,
    mapped: AtomicUsize,
    shared: AtomicUsize,
}

/// Whose turn it is with a file.
pub struct Turn<'a> {
    coherence: &'a Coherence,
    _guard: SleepGuard<'a>,
}

impl Coherence {
    /// Of a file that is not mapped.
    pub fn new() -> Coherence {
        Coherence::default()
    }

    /// A mapping of the file with this device and inode number is made.
    pub fn add(&self, identity: (u64, u64), shared: bool) {
        let _ = self.identity.set(identity);
        while self.identity.get().is_none() {
            // Another thread is setting the same at this moment.
            core::hint::spin_loop();
        }
        self.mapped.fetch_add(1, SeqCst);
        if shared {
            self.shared.fetch_add(1, SeqCst);
        }
    }

    /// A mapping is gone.
    pub fn remove(&self, shared: bool) {
        self.mapped.fetch_sub(1, SeqCst);
        if shared {
            self.shared.fetch_sub(1, SeqCst);
        }
    }

    /// Mappings of any kind.
    pub fn mapped(&self) -> usize {
        self.mapped.load(SeqCst)
    }

    /// Shared mappings.
    pub fn shared(&self) -> usize {
        self.shared.load(SeqCst)
    }

    /// Waits for the turn.
    pub fn enter(&self) -> Turn<'_> {
        Turn { coherence: self, _guard: self.turn.lock() }
    }

    /// Before bytes `[start, end)` are read by a call: what was stored through mappings comes to the file.
    pub fn gather(&self, start: u64, end: u64) -> Result<()> {
        if self.shared() == 0 { Ok(()) } else { self.enter().publish(start, end) }
    }
}

impl Turn<'_> {
    fn each(&self, act: impl Fn(&AddressSpace, (u64, u64)) -> Result<()>) -> Result<()> {
        let Some(identity) = self.coherence.identity.get() else { return Ok(()) };
        all_processes().iter().try_for_each(|each| act(&each.address_space(), *identity))
    }

    /// What is dirty of bytes `[start, end)` comes to the file and is clean.
    pub fn publish(&self, start: u64, end: u64) -> Result<()> {
        if self.coherence.shared() == 0 {
            return Ok(());
        }
        self.each(|space, identity| space.publish_file(identity, start, end))
    }

    /// Before bytes `[start, end)` change: no mapping shows them any more but pages that were written to through private mappings
    /// and the page at `except`. Touched again, they come from the file.
    pub fn revoke(&self, start: u64, end: u64, except: Option<u64>, contents: &ReadPages) -> Result<()> {
        if self.coherence.mapped() == 0 {
            return Ok(());
        }
        self.publish(start, end)?;
        self.each(|space, identity| space.revoke_file(identity, Span::new(start, end), except, contents))
    }

    /// After the file was cut to `size` bytes: no mapping has pages wholly beyond that.
    pub fn cut(&self, size: u64) -> Result<()> {
        if self.coherence.mapped() == 0 {
            return Ok(());
        }
        self.each(|space, identity| space.cut_file(identity, size))
    }

    /// Narrows `around`, a range of bytes of the file that holds the page at `offset`, to what is dirty nowhere; what is dirty of
    /// that page itself comes to the file.
    pub fn settle_around(&self, around: Span, offset: u64) -> Result<Span> {
        if self.coherence.shared() == 0 {
            return Ok(around);
        }
        self.publish(offset, offset + PAGE)?;
        let Some(identity) = self.coherence.identity.get() else { return Ok(around) };
        let clean = all_processes()
            .iter()
            .fold(around, |around, each| each.address_space().clean_around(*identity, around, offset));
        Ok(clean)
    }
}

impl AddressSpace {
    /// Takes away the pages that show `bytes` of the file with this identity and do not differ from it; nothing of them is dirty.
    fn revoke_file(
        &self,
        identity: (u64, u64),
        bytes: Span,
        except: Option<u64>,
        contents: &ReadPages,
    ) -> Result<()> {
        let _change = self.change.lock();
        let mut runs: Vec<(Span, Vma)> = Vec::new();
        {
            let state = self.state.lock();
            for vma in state.vmas.iter() {
                let Some(part) = vma.part_of_file(identity, bytes.start, bytes.end) else { continue };
                // Pages of a stage may be another process's at this moment; they keep what they had.
                for part in self.off_stage(part) {
                    runs.extend(state.present.within(part).map(|run| (run, vma.clone())));
                }
            }
        }
        for (run, vma) in runs {
            self.revoke_run(run, &vma, except, contents)?;
        }
        Ok(())
    }

    /// The same for a run of pages of one mapping. Call with `change` held.
    fn revoke_run(&self, run: Span, vma: &Vma, except: Option<u64>, contents: &ReadPages) -> Result<()> {
        let mut bytes = vec![0; if vma.shared { 0 } else { 2 * PAGE as usize }];
        for page in (run.start..run.end).step_by(PAGE as usize).map(Span::page) {
            if Some(page.start) == except {
                continue;
            }
            if !vma.shared {
                let (ours, files) = bytes.split_at_mut(PAGE as usize);
                contents(vma.offset_of(page.start), files)?;
                // Read-only first: a store during the comparison must not be forgotten.
                self.pages.protect(page, Protection { read: true, write: false, execute: false })?;
                self.pages.read(page.start, ours)?;
                if ours != files {
                    self.pages.protect(page, vma.protection)?;
                    continue;
                }
            }
            self.pages.unmap(page)?;
            self.state.lock().present.remove(page);
        }
        Ok(())
    }

    /// The part of `around` (bytes of a file) about `offset` in which nothing is dirty.
    fn clean_around(&self, identity: (u64, u64), mut around: Span, offset: u64) -> Span {
        let state = self.state.lock();
        for vma in state.vmas.iter().filter(|vma| vma.writes_back()) {
            let Some(part) = vma.part_of_file(identity, around.start, around.end) else { continue };
            for dirty in state.dirty.within(part) {
                let first = vma.offset_of(dirty.start);
                let last = first + dirty.len();
                if last <= offset {
                    around.start = around.start.max(last);
                } else if first > offset {
                    around.end = around.end.min(first);
                }
            }
        }
        around
    }
}
