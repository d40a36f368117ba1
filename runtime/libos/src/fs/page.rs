//! Pages of file contents in memory, and the budget for those that programs write.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering::*};

use crate::errno::{Errno, Result};

/// Size of a page in bytes.
pub const PAGE_SIZE: usize = 4096;

/// One page. Readers hold references; a writer changes a page in place only when nobody else holds it.
pub struct Page {
    bytes: [u8; PAGE_SIZE],
    /// Counts against the budget.
    charged: bool,
}

static CHARGED: AtomicUsize = AtomicUsize::new(0);
/// Pages that programs may write in all; set at start from the size of the heap.
static BUDGET: AtomicUsize = AtomicUsize::new(1 << 20);

/// Sets how many pages programs may write into files in memory.
pub fn set_budget(pages: usize) {
    BUDGET.store(pages, Relaxed);
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

    /// A page with these contents that somebody wrote; `ENOSPC` when the budget is used up.
    pub fn written(bytes: &[u8; PAGE_SIZE]) -> Result<Arc<Page>> {
        if CHARGED.fetch_add(1, Relaxed) >= BUDGET.load(Relaxed) {
            CHARGED.fetch_sub(1, Relaxed);
            return Err(Errno::ENOSPC);
        }
        Ok(Arc::new(Page { bytes: *bytes, charged: true }))
    }

    /// The contents.
    #[inline]
    pub fn bytes(&self) -> &[u8; PAGE_SIZE] {
        &self.bytes
    }

    /// The contents for a change; a page that readers hold is copied first.
    pub fn change(page: &mut Arc<Page>) -> Result<&mut [u8; PAGE_SIZE]> {
        if Arc::get_mut(page).is_none_or(|page| !page.charged) {
            *page = Page::written(&page.bytes)?;
        }
        Arc::get_mut(page).map(|page| &mut page.bytes).ok_or(Errno::ENOSPC)
    }
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
        Page::change(&mut page).unwrap()[0] = 2;
        assert_eq!((reader.bytes()[0], page.bytes()[0]), (1, 2));
        let before = Arc::as_ptr(&page);
        Page::change(&mut page).unwrap()[0] = 3;
        assert_eq!(before, Arc::as_ptr(&page));
    }
}
