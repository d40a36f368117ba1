//! The loader's own heap, over anonymous mappings. No signal handler allocates while the loader's own code is interrupted.

use casemate_freestanding::heap::{Heap, Source};

use crate::lock::RawMutex;
use crate::sys;

/// Anonymous mappings.
pub struct Mappings;

// SAFETY: each mapping comes fresh from the kernel and is never given back.
unsafe impl Source for Mappings {
    const STEP: usize = 64 * 1024;

    fn take(size: usize) -> Option<usize> {
        sys::map_anonymous(size as u64, sys::READ_WRITE).ok().map(|address| address as usize)
    }
}

/// The allocator; the loader's binary declares it `#[global_allocator]`.
pub type LoaderHeap = Heap<RawMutex, Mappings>;
