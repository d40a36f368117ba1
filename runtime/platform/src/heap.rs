//! The library OS's heap: dlmalloc over the layout's range. On `direct` the loader maps all of it and the kernel commits it on
//! demand; with EDMM it grows by accepted pages; without, all of it exists from the start and is cleared when it is taken.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

use crate::sync::Mutex;

static NEXT: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);
/// One past the last address that exists.
static COMMITTED: AtomicU64 = AtomicU64::new(0);
/// Held while pages are added at [`COMMITTED`].
static GROWING: Mutex<()> = Mutex::new(());
/// What is taken must be cleared: the pages were never measured.
static CLEAR: AtomicBool = AtomicBool::new(false);

/// Least that the heap grows by, in bytes.
const GROWTH: u64 = 1 << 20;

/// Gives the heap its range, of which `committed` bytes exist; called once at start, before the first allocation.
pub(crate) fn set_range(base: u64, size: u64, committed: u64, clear: bool) {
    NEXT.store(base, Relaxed);
    END.store(base + size, Relaxed);
    COMMITTED.store(base + committed, Relaxed);
    CLEAR.store(clear, Relaxed);
}

/// Bytes taken from the range so far.
pub fn used(base: u64) -> u64 {
    NEXT.load(Relaxed) - base
}

/// Takes `size` bytes (a multiple of the page size) off the range for good; None when it is used up.
pub(crate) fn take(size: u64) -> Option<u64> {
    let end = END.load(Relaxed);
    let start = NEXT
        .fetch_update(Relaxed, Relaxed, |next| next.checked_add(size).filter(|&after| after <= end))
        .ok()?;
    // What cannot be had stays taken: there is no more.
    commit(start + size, end)?;
    if CLEAR.load(Relaxed) {
        // SAFETY: the range is the caller's alone from here on, and exists.
        unsafe { (start as *mut u8).write_bytes(0, size as usize) };
    }
    Some(start)
}

/// Makes the heap exist up to `until`. The host calls are made under the allocator's lock, which nothing that they do takes.
fn commit(until: u64, end: u64) -> Option<()> {
    while COMMITTED.load(Acquire) < until {
        let _growing = GROWING.lock();
        let committed = COMMITTED.load(Acquire);
        if committed < until {
            let grown = until.max(committed + GROWTH).min(end);
            crate::pages::add_private(committed, grown - committed).ok()?;
            COMMITTED.store(grown, Release);
        }
    }
    Some(())
}

struct Pages;

// SAFETY: `alloc` hands out ranges of the heap that nobody else has, zeroed by the kernel and never given back.
unsafe impl dlmalloc::Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let size = size.next_multiple_of(crate::PAGE_SIZE);
        match take(size as u64) {
            Some(address) => (address as *mut u8, size, 0),
            None => (core::ptr::null_mut(), 0, 0),
        }
    }
    fn remap(&self, _ptr: *mut u8, _old: usize, _new: usize, _can_move: bool) -> *mut u8 {
        core::ptr::null_mut()
    }
    fn free_part(&self, _ptr: *mut u8, _old: usize, _new: usize) -> bool {
        false
    }
    fn free(&self, _ptr: *mut u8, _size: usize) -> bool {
        false
    }
    fn can_release_part(&self, _flags: u32) -> bool {
        false
    }
    fn allocates_zeros(&self) -> bool {
        true
    }
    fn page_size(&self) -> usize {
        crate::PAGE_SIZE
    }
}

/// The allocator; the enclave binary declares it `#[global_allocator]`.
pub struct EnclaveHeap(Mutex<dlmalloc::Dlmalloc<Pages>>);

impl EnclaveHeap {
    /// An empty heap.
    pub const fn new() -> EnclaveHeap {
        EnclaveHeap(Mutex::new(dlmalloc::Dlmalloc::new_with_allocator(Pages)))
    }
}

impl Default for EnclaveHeap {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: dlmalloc fulfils the contract; the lock makes it one caller at a time, and no exception handler allocates.
unsafe impl GlobalAlloc for EnclaveHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the layout comes from the caller of `GlobalAlloc`, sizes are not 0.
        unsafe { self.0.lock().malloc(layout.size(), layout.align()) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        unsafe { self.0.lock().calloc(layout.size(), layout.align()) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` came from `alloc` with this layout.
        unsafe { self.0.lock().free(ptr, layout.size(), layout.align()) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: `ptr` came from `alloc` with this layout.
        unsafe { self.0.lock().realloc(ptr, layout.size(), layout.align(), new_size) }
    }
}
