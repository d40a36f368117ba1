//! The library OS's heap, over the layout's range. On `direct` the loader maps all of it and the kernel commits it on
//! demand; with EDMM it grows by accepted pages; without, all of it exists from the start and is cleared when it is taken.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

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

/// Least that the heap grows by, in bytes.
const GROWTH: u64 = 1 << 20;

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

/// Bytes that can still be had, about: of the whole heap, or of what exists of it when the host gives no more.
pub fn left() -> u64 {
    let end = if REFUSED.load(Relaxed) { COMMITTED.load(Relaxed) } else { END.load(Relaxed) };
    (end - BASE.load(Relaxed)).saturating_sub(USED.load(Relaxed))
}

/// Makes some pages beyond those in use exist, so that it is known whether the host gives more before they are needed.
pub fn make_ready() {
    let end = END.load(Relaxed);
    let _ = commit(NEXT.load(Relaxed).saturating_add(GROWTH).min(end), end);
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
pub type EnclaveHeap = Heap<RawMutex, Pages>;
