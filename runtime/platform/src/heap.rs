//! The library OS's heap, over the layout's range. On `direct` the loader maps all of it and the kernel commits it on
//! demand; with EDMM it grows by accepted pages; without, all of it exists from the start and is cleared when it is taken.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering::*};

use casemate_freestanding::heap::{Heap, Source};

use crate::sync::{Mutex, RawMutex};

static BASE: AtomicU64 = AtomicU64::new(0);
static NEXT: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);
/// One past the last address that exists.
static COMMITTED: AtomicU64 = AtomicU64::new(0);
/// Bytes in use, about.
static USED: AtomicU64 = AtomicU64::new(0);
/// The host did not give the last pages that were asked for.
static REFUSED: AtomicBool = AtomicBool::new(false);
/// Held while pages are added at [`COMMITTED`].
static GROWING: Mutex<()> = Mutex::new(());
/// What is taken must be cleared: the pages were never measured.
static CLEAR: AtomicBool = AtomicBool::new(false);

/// A block that is given up when an allocation fails: in one piece, whatever else the heap is broken into, and on pages that exist. Its
/// size stands in it.
static KEPT: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());
/// Its size, or 0, for [`left`].
static KEPT_SIZE: AtomicU64 = AtomicU64::new(0);
/// Held while it changes hands.
static GIVING_UP: Mutex<()> = Mutex::new(());

/// Least that the heap grows by, in bytes.
const GROWTH: u64 = 1 << 20;
/// Sizes of the block that is kept: the largest that can be had.
const KEPT_SIZES: [usize; 3] = [1 << 20, 1 << 19, 1 << 18];

const fn kept_layout(size: usize) -> Layout {
    match Layout::from_size_align(size, 16) {
        Ok(layout) => layout,
        Err(_) => panic!(),
    }
}

/// Gives the heap its range, of which `committed` bytes exist; called once at start, before the first allocation.
pub(crate) fn set_range(base: u64, size: u64, committed: u64, clear: bool) {
    BASE.store(base, Relaxed);
    NEXT.store(base, Relaxed);
    END.store(base + size, Relaxed);
    COMMITTED.store(base + committed, Relaxed);
    CLEAR.store(clear, Relaxed);
}

/// Bytes of the whole heap.
pub fn size() -> u64 {
    END.load(Relaxed) - BASE.load(Relaxed)
}

/// Bytes that can still be had, about, with the block that is kept: of the whole heap, or of what exists of it when the host gives no more.
pub fn left() -> u64 {
    let end = if REFUSED.load(Relaxed) { COMMITTED.load(Relaxed) } else { END.load(Relaxed) };
    (end - BASE.load(Relaxed) + KEPT_SIZE.load(Relaxed)).saturating_sub(USED.load(Relaxed))
}

/// Whether the block is there that is kept for allocations which nobody can do without; it is when it can be had.
pub fn make_ready() -> bool {
    if !KEPT.load(Relaxed).is_null() {
        return true;
    }
    for size in KEPT_SIZES {
        // SAFETY: the layout's size is not 0.
        let block = unsafe { alloc::alloc::alloc(kept_layout(size)) };
        if !block.is_null() {
            keep(block, size);
            return true;
        }
    }
    false
}

fn keep(block: *mut u8, size: usize) {
    let giving_up = GIVING_UP.lock();
    if KEPT.load(Relaxed).is_null() {
        // SAFETY: the block is this function's alone, and large enough for the word.
        unsafe { block.cast::<usize>().write(size) };
        KEPT_SIZE.store(size as u64, Relaxed);
        KEPT.store(block, Release);
        return;
    }
    // Another thread was faster.
    drop(giving_up);
    // SAFETY: the block came from this allocator with this layout, and nobody else knows it.
    unsafe { alloc::alloc::dealloc(block, kept_layout(size)) };
}

/// Takes `size` bytes (a multiple of the page size) off the range for good; None when it is used up.
pub(crate) fn take(size: u64) -> Option<u64> {
    // Only one caller at a time: the allocator, under its lock.
    let (start, end) = (NEXT.load(Relaxed), END.load(Relaxed));
    let after = start.checked_add(size).filter(|&after| after <= end)?;
    commit(after, end)?;
    NEXT.store(after, Relaxed);
    if CLEAR.load(Relaxed) {
        // SAFETY: the range is the caller's alone from here on, and exists.
        unsafe { (start as *mut u8).write_bytes(0, size as usize) };
    }
    Some(start)
}

/// Makes the heap exist up to `until`. The host calls may be made under the allocator's lock, which nothing that they do takes.
fn commit(until: u64, end: u64) -> Option<()> {
    while COMMITTED.load(Acquire) < until {
        let _growing = GROWING.lock();
        let committed = COMMITTED.load(Acquire);
        if committed < until {
            let grown = until.max(committed + GROWTH).min(end);
            let added = crate::pages::add_private(committed, grown - committed);
            REFUSED.store(added.is_err(), Relaxed);
            added.ok()?;
            COMMITTED.store(grown, Release);
        }
    }
    Some(())
}

/// The heap's pages.
pub struct Pages;

// SAFETY: `take` hands out pages of the heap that nobody else has, zeroed by the kernel or here, and never given back.
unsafe impl Source for Pages {
    const STEP: usize = crate::PAGE_SIZE;

    fn take(size: usize) -> Option<usize> {
        take(size as u64).map(|address| address as usize)
    }

    fn note(used: usize) {
        USED.store(used as u64, Relaxed);
    }
}

/// The allocator; the enclave binary declares it `#[global_allocator]`.
pub struct EnclaveHeap(Heap<RawMutex, Pages>);

impl EnclaveHeap {
    /// An empty heap.
    pub const fn new() -> Self {
        EnclaveHeap(Heap::new())
    }

    /// Tries again with the block that is kept, where that can help.
    fn or_with_kept(&self, size: usize, allocate: impl Fn() -> *mut u8) -> *mut u8 {
        let found = allocate();
        if !found.is_null() || size >= KEPT_SIZES[0] {
            return found;
        }
        // Held, so that of several threads that find nothing each tries once more after the block was given up.
        let giving_up = GIVING_UP.lock();
        let kept = KEPT.swap(core::ptr::null_mut(), AcqRel);
        if !kept.is_null() {
            KEPT_SIZE.store(0, Relaxed);
            // SAFETY: the block came from this heap with the layout of the size in it; who takes it out of `KEPT` owns it.
            unsafe { self.0.dealloc(kept, kept_layout(kept.cast::<usize>().read())) };
        }
        drop(giving_up);
        allocate()
    }
}

impl Default for EnclaveHeap {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: the heap below fulfils the contract; a call that failed has changed nothing, so it can be made again.
unsafe impl GlobalAlloc for EnclaveHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout is handed on.
        self.or_with_kept(layout.size(), || unsafe { self.0.alloc(layout) })
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout is handed on.
        self.or_with_kept(layout.size(), || unsafe { self.0.alloc_zeroed(layout) })
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` came from the heap below with this layout.
        unsafe { self.0.dealloc(ptr, layout) };
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: `ptr` came from the heap below with this layout, and stays as it is when the call fails.
        self.or_with_kept(new_size, || unsafe { self.0.realloc(ptr, layout, new_size) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Layout = kept_layout(64 << 10);

    #[test]
    fn the_block_that_is_kept_is_given_up_for_what_finds_nothing_else() {
        let size = 8 << 20;
        let heap = EnclaveHeap::new();
        // SAFETY: the range is the test's own and zero, and lives as long as the heap is used; layouts are not empty, and what is
        // given back came from this heap.
        unsafe {
            let range = alloc::alloc::alloc_zeroed(Layout::from_size_align_unchecked(size, crate::PAGE_SIZE));
            set_range(range as u64, size as u64, size as u64, false);
            keep(heap.alloc(kept_layout(KEPT_SIZES[0])), KEPT_SIZES[0]);
            assert!(make_ready() && left() >= size as u64 - 64);
            let taken = core::iter::from_fn(|| Some(heap.0.alloc(SMALL)).filter(|block| !block.is_null()));
            let taken: alloc::vec::Vec<_> = taken.collect();
            assert!(taken.len() > 90 && left() < 2 << 20, "{}", left());
            assert!(heap.alloc(kept_layout(KEPT_SIZES[0])).is_null(), "as large as the block itself");
            assert!(!KEPT.load(Relaxed).is_null());
            assert!(!heap.alloc(SMALL).is_null());
            assert!(KEPT.load(Relaxed).is_null() && KEPT_SIZE.load(Relaxed) == 0);
            assert!(!heap.alloc(SMALL).is_null(), "of the rest of it");
            taken.into_iter().for_each(|block| heap.dealloc(block, SMALL));
        }
    }
}
