//! The loader's own heap: dlmalloc over anonymous mappings. No signal handler allocates while the loader's own code is interrupted.

use core::alloc::{GlobalAlloc, Layout};

use crate::lock::Mutex;
use crate::sys;

struct Mappings;

// SAFETY: each range comes fresh from the kernel and is never given back.
unsafe impl dlmalloc::Allocator for Mappings {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let size = size.next_multiple_of(64 * 1024);
        match sys::map_anonymous(size as u64, sys::READ_WRITE) {
            Ok(address) => (address as *mut u8, size, 0),
            Err(_) => (core::ptr::null_mut(), 0, 0),
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
        sys::PAGE as usize
    }
}

/// The allocator; the loader's binary declares it `#[global_allocator]`.
pub struct LoaderHeap(Mutex<dlmalloc::Dlmalloc<Mappings>>);

impl LoaderHeap {
    /// An empty heap.
    pub const fn new() -> LoaderHeap {
        LoaderHeap(Mutex::new(dlmalloc::Dlmalloc::new_with_allocator(Mappings)))
    }
}

impl Default for LoaderHeap {
    fn default() -> Self {
        LoaderHeap::new()
    }
}

// SAFETY: dlmalloc fulfils the contract; the lock makes it one caller at a time.
unsafe impl GlobalAlloc for LoaderHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the layout comes from the caller of `GlobalAlloc`.
        unsafe { self.0.lock().malloc(layout.size(), layout.align()) }
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
