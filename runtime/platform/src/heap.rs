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

/// A block that is given up when an allocation fails: in one piece, whatever else the heap is broken into, and on pages that exist.
static KEPT: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());
/// Held while it is given up.
static GIVING_UP: Mutex<()> = Mutex::new(());

/// Least that the heap grows by, in bytes.
const GROWTH: u64 = 1 << 20;
/// The block that is kept.
const KEPT_LAYOUT: Layout = match Layout::from_size_align(1 << 20, 16) {
    Ok(layout) => layout,
    Err(_) => panic!(),
};

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
    let kept = if KEPT.load(Relaxed).is_null() { 0 } else { KEPT_LAYOUT.size() as u64 };
    (end - BASE.load(Relaxed) + kept).saturating_sub(USED.load(Relaxed))
}

/// Whether the block is there that is kept for allocations which nobody can do without; it is when it can be had.
pub fn make_ready() -> bool {
    if !KEPT.load(Relaxed).is_null() {
        return true;
    }
    // SAFETY: the layout's size is not 0.
    let block = unsafe { alloc::alloc::alloc(KEPT_LAYOUT) };
    if !block.is_null() && KEPT.compare_exchange(core::ptr::null_mut(), block, Release, Relaxed).is_err() {
        // Another thread was faster.
        // SAFETY: the block came from this allocator with this layout, and nobody else knows it.
        unsafe { alloc::alloc::dealloc(block, KEPT_LAYOUT) };
    }
    !block.is_null()
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
        if !found.is_null() || size >= KEPT_LAYOUT.size() {
            return found;
        }
        // Held, so that of several threads that find nothing each tries once more after the block was given up.
        let giving_up = GIVING_UP.lock();
        let kept = KEPT.swap(core::ptr::null_mut(), AcqRel);
        if !kept.is_null() {
            // SAFETY: the block came from this heap with this layout; who takes it out of `KEPT` owns it.
            unsafe { self.0.dealloc(kept, KEPT_LAYOUT) };
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
