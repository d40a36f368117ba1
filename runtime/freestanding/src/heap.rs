//! A heap over memory that is never given back: dlmalloc under a lock.

use core::alloc::{GlobalAlloc, Layout};
use core::marker::PhantomData;

use dlmalloc::Dlmalloc;

const PAGE: usize = 4096;

/// Where a heap's memory comes from.
///
/// # Safety
///
/// What `take` returns begins at a page, is zero, and nobody else's, for as long as the program runs.
pub unsafe trait Source {
    /// Sizes are multiples of this, which is a multiple of 4096.
    const STEP: usize;

    /// The address of `size` more bytes, if there are any.
    fn take(size: usize) -> Option<usize>;

    /// Told how many bytes are in use, about, whenever that changes.
    fn note(_used: usize) {}
}

/// A source as dlmalloc sees it.
struct OneWay<S>(PhantomData<fn() -> S>);

// SAFETY: each range is the source's, so fresh; the other functions give and take nothing.
unsafe impl<S: Source> dlmalloc::Allocator for OneWay<S> {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let size = size.next_multiple_of(S::STEP);
        match S::take(size) {
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
        PAGE
    }
}

/// The allocator, for `#[global_allocator]`. No signal or exception handler may allocate while code of its own program is
/// interrupted.
pub struct Heap<R, S>(lock_api::Mutex<R, Inner<S>>);

struct Inner<S> {
    memory: Dlmalloc<OneWay<S>>,
    used: usize,
}

/// What an allocation takes of the heap (dlmalloc's chunks: a word in front, multiples of 16, at least 32).
fn cost(size: usize) -> usize {
    size.saturating_add(8).next_multiple_of(16).max(32)
}

impl<S: Source> Inner<S> {
    fn note(&mut self, more: usize, less: usize) {
        self.used = (self.used + more).saturating_sub(less);
        S::note(self.used);
    }
}

impl<R: lock_api::RawMutex, S> Heap<R, S> {
    /// An empty heap.
    pub const fn new() -> Self {
        let memory = Dlmalloc::new_with_allocator(OneWay(PhantomData));
        Heap(lock_api::Mutex::new(Inner { memory, used: 0 }))
    }
}

impl<R: lock_api::RawMutex, S> Default for Heap<R, S> {
    fn default() -> Self {
        Self::new()
    }
}

/// A block as the heap knows it, which has a word in front of it. What the compiler knows of the pointer is the allocation's size: where
/// it sees both the allocation and this, it takes a look at that word for one beyond the block, which could be anything.
fn own(block: *mut u8) -> *mut u8 {
    let mut own = block;
    // SAFETY: no instruction; the compiler only forgets where the pointer came from.
    unsafe { core::arch::asm!("/* {0} */", inout(reg) own, options(nostack, preserves_flags)) };
    own
}

// SAFETY: dlmalloc fulfils the contract; the lock makes it one caller at a time.
unsafe impl<R: lock_api::RawMutex, S: Source> GlobalAlloc for Heap<R, S> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut heap = self.0.lock();
        // SAFETY: the layout comes from the caller of `GlobalAlloc`, sizes are not 0.
        let found = unsafe { heap.memory.malloc(layout.size(), layout.align()) };
        if !found.is_null() {
            heap.note(cost(layout.size()), 0);
        }
        found
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let mut heap = self.0.lock();
        // SAFETY: as in `alloc`.
        let found = unsafe { heap.memory.calloc(layout.size(), layout.align()) };
        if !found.is_null() {
            heap.note(cost(layout.size()), 0);
        }
        found
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        let mut heap = self.0.lock();
        // SAFETY: `ptr` came from `alloc` with this layout.
        unsafe { heap.memory.free(own(ptr), layout.size(), layout.align()) };
        heap.note(0, cost(layout.size()));
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let mut heap = self.0.lock();
        // SAFETY: `ptr` came from `alloc` with this layout.
        let found = unsafe { heap.memory.realloc(own(ptr), layout.size(), layout.align(), new_size) };
        if !found.is_null() {
            heap.note(cost(new_size), cost(layout.size()));
        }
        found
    }
}
