//! [`SharedMemory`]: what is behind a shared anonymous mapping, so that there can be a second mapping of it.
//!
//! As long as there is one, its pages are all there is. With a second one (mremap(2) makes it) they come to the contents here and
//! from here, as with any file.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::*};

use super::coherence::Coherence;
use crate::errno::Result;
use crate::file::Mappable;
use crate::fs::tree::Content;

/// Device number of shared memory: no file system has it.
const DEVICE: u64 = 1;

static NEXT: AtomicU64 = AtomicU64::new(1);

struct Object {
    number: u64,
    content: Content,
}

/// One mapping's hold on shared memory.
pub struct SharedMemory {
    object: Arc<Object>,
    /// Of the mapping that the memory was made for.
    first: bool,
}

impl SharedMemory {
    /// Zeros, for a first mapping of so many bytes.
    pub fn sized(length: u64) -> Arc<dyn Mappable> {
        let object = Object { number: NEXT.fetch_add(1, Relaxed), content: Content::sized(length) };
        Self::hold(Arc::new(object), true)
    }

    fn hold(object: Arc<Object>, first: bool) -> Arc<dyn Mappable> {
        let held = SharedMemory { object, first };
        held.object.content.coherence().add(held.identity(), true);
        Arc::new(held)
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        self.object.content.coherence().remove(true);
    }
}

impl Mappable for SharedMemory {
    fn size(&self) -> u64 {
        self.object.content.size()
    }

    fn read_pages(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.object.content.copy_out(offset, buffer)
    }

    fn write_pages(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.object.content.write_back(offset, bytes)
    }

    fn promise(&self, offset: u64) -> Result<()> {
        self.object.content.promise(offset)
    }

    fn another(&self) -> Option<Arc<dyn Mappable>> {
        Some(Self::hold(self.object.clone(), false))
    }

    fn coherence(&self) -> Option<&Coherence> {
        Some(self.object.content.coherence())
    }

    fn punch(&self, start: u64, end: u64) -> Result<()> {
        self.object.content.punch(start, end)
    }

    fn is_memory(&self) -> bool {
        true
    }

    fn is_fresh(&self) -> bool {
        self.first
    }

    fn vanishes_with(&self, length: u64) -> bool {
        self.object.content.coherence().mapped() == 1 && length >= self.size()
    }

    fn identity(&self) -> (u64, u64) {
        (DEVICE, self.object.number)
    }

    fn path_text(&self) -> Vec<u8> {
        b"/dev/zero (deleted)".to_vec()
    }
}
