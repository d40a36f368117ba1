//! The library OS's heap: dlmalloc over the reserved range that the loader maps and the kernel commits on demand.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicU64, Ordering::*};

use crate::sync::Mutex;

static NEXT: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);

/// Gives the heap its range; called once at start, before the first allocation.
pub(crate) fn set_range(base: u64, size: u64) {
    NEXT.store(base, Relaxed);
    END.store(base + size, Relaxed);
}

/// Bytes taken from the range so far.
pub fn used(base: u64) -> u64 {
    NEXT.load(Relaxed) - base
}

/// Takes `size` bytes (a multiple of the page size) off the range for good; None when it is used up.
pub(crate) fn take(size: u64) -> Option<u64> {
    let end = END.load(Relaxed);
    NEXT.fetch_update(Relaxed, Relaxed, |next| next.checked_add(size).filter(|&after| after <= end)).ok()
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
