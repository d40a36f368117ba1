//! Pages of file contents in memory, and the budget for those that programs write.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering::*};

use crate::errno::{Errno, Result};
use crate::room;

/// Size of a page in bytes.
pub const PAGE_SIZE: usize = 4096;

/// One page. Readers hold references; a writer changes a page in place only when nobody else holds it.
pub struct Page {
    bytes: [u8; PAGE_SIZE],
    /// Counts against the budget.
    charged: bool,
}

static CHARGED: AtomicUsize = AtomicUsize::new(0);
static PROMISED: AtomicUsize = AtomicUsize::new(0);
/// Pages that programs may write in all; set at start from the size of the heap.
static BUDGET: AtomicUsize = AtomicUsize::new(1 << 20);

/// Sets how many pages programs may write into files in memory.
pub fn set_budget(pages: usize) {
    BUDGET.store(pages, Relaxed);
}

/// Pages that were promised and not yet written.
pub fn promised() -> usize {
    PROMISED.load(Relaxed)
}

/// Pages that programs may write, and how many of them are left.
pub fn budget() -> (usize, usize) {
    let all = BUDGET.load(Relaxed);
    (all, all.saturating_sub(CHARGED.load(Relaxed)))
}

impl Page {
    /// A page with these contents that can be given up at any time (a copy of image data): it is not charged.
    pub fn cached(bytes: [u8; PAGE_SIZE]) -> Arc<Page> {
        Arc::new(Page { bytes, charged: false })
    }

    /// A page with these contents that somebody wrote; `ENOSPC` when the budget, or the memory, is used up.
    pub fn written(bytes: &[u8; PAGE_SIZE]) -> Result<Arc<Page>> {
        if room::check_for_page().is_err() {
            return Err(Errno::ENOSPC);
        }
        charge()?;
        Ok(Arc::new(Page { bytes: *bytes, charged: true }))
    }

    /// The contents.
    #[inline]
    pub fn bytes(&self) -> &[u8; PAGE_SIZE] {
        &self.bytes
    }

    /// The contents for a change; a page that readers hold is copied first, to what was promised if something was.
    pub fn change(page: &mut Arc<Page>, promise: Option<Promise>) -> Result<&mut [u8; PAGE_SIZE]> {
        if Arc::get_mut(page).is_none_or(|page| !page.charged) {
            *page = match promise {
                Some(promise) => promise.fulfil(&page.bytes),
                None => Page::written(&page.bytes)?,
            };
        }
        Arc::get_mut(page).map(|page| &mut page.bytes).ok_or(Errno::ENOSPC)
    }
}

/// Room for a page that will be written later: it counts against the budget already, and memory stays free for it.
pub struct Promise(());

impl Promise {
    /// `ENOSPC` as for [`Page::written`].
    pub fn new() -> Result<Promise> {
        if room::check_for_page().is_err() {
            return Err(Errno::ENOSPC);
        }
        charge()?;
        PROMISED.fetch_add(1, Relaxed);
        Ok(Promise(()))
    }

    /// The page.
    pub fn fulfil(self, bytes: &[u8; PAGE_SIZE]) -> Arc<Page> {
        // The charge is the page's from now on.
        PROMISED.fetch_sub(1, Relaxed);
        core::mem::forget(self);
        Arc::new(Page { bytes: *bytes, charged: true })
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        PROMISED.fetch_sub(1, Relaxed);
        CHARGED.fetch_sub(1, Relaxed);
    }
}

fn charge() -> Result<()> {
    if CHARGED.fetch_add(1, Relaxed) >= BUDGET.load(Relaxed) {
        CHARGED.fetch_sub(1, Relaxed);
        return Err(Errno::ENOSPC);
    }
    Ok(())
}

impl Drop for Page {
    fn drop(&mut self) {
        if self.charged {
            CHARGED.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_a_reader_holds_is_copied_before_it_changes() {
        let mut page = Page::written(&[1; PAGE_SIZE]).unwrap();
        let reader = page.clone();
        Page::change(&mut page, None).unwrap()[0] = 2;
        assert_eq!((reader.bytes()[0], page.bytes()[0]), (1, 2));
        let before = Arc::as_ptr(&page);
        Page::change(&mut page, None).unwrap()[0] = 3;
        assert_eq!(before, Arc::as_ptr(&page));
        let promise = Promise::new().unwrap();
        let reader = page.clone();
        Page::change(&mut page, Some(promise)).unwrap()[0] = 4;
        assert_eq!((reader.bytes()[0], page.bytes()[0]), (3, 4));
    }
}
