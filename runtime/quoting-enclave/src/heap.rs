//! Memory for one request: handed out upwards, given back all at once.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};

const SIZE: usize = 512 << 10;

#[repr(C, align(4096))]
struct Arena(UnsafeCell<[u8; SIZE]>);

// SAFETY: parts of it are handed out once each, by the atomic counter below.
unsafe impl Sync for Arena {}

static ARENA: Arena = Arena(UnsafeCell::new([0; SIZE]));
static USED: AtomicUsize = AtomicUsize::new(0);

struct Bump;

#[global_allocator]
static HEAP: Bump = Bump;

// SAFETY: the parts that it hands out are aligned, inside the arena and disjoint until `wipe`.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = ARENA.0.get().cast::<u8>();
        let used = USED.load(Ordering::Relaxed);
        let start = used.next_multiple_of(layout.align());
        match start.checked_add(layout.size()) {
            Some(end) if end <= SIZE => {
                USED.store(end, Ordering::Relaxed);
                base.wrapping_add(start)
            }
            _ => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

/// Forgets everything. Nothing that was allocated may be in use any more.
pub fn wipe() {
    let used = USED.swap(0, Ordering::Relaxed);
    // SAFETY: the arena is ours, and by the caller's promise nothing in it is in use.
    unsafe { core::ptr::write_bytes(ARENA.0.get().cast::<u8>(), 0, used) };
}
