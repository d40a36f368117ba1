//! The host as the source of the index's blocks and of the files' data.

use alloc::sync::Arc;

use casemate_index::{Block, BlockSource, Digest, SourceError};
use casemate_platform::boundary::HostRange;
use casemate_platform::host::ImageMapping;

use super::file::{ImageData, Storage};
use crate::errno::Result;
use crate::fs::page::PAGE_SIZE;

/// The index where the loader put it.
pub struct HostIndex(pub HostRange);

impl BlockSource for HostIndex {
    fn read_block(&self, number: u64, out: &mut Block) -> Result<(), SourceError> {
        let offset = number.checked_mul(PAGE_SIZE as u64).ok_or(SourceError)?;
        if self.0.read(offset, out) { Ok(()) } else { Err(SourceError) }
    }
}

/// The image's files as the loader opens and maps them.
pub struct HostStorage;

impl Storage for HostStorage {
    fn open(&self, path: &[u8], digest: &Digest) -> Result<Arc<dyn ImageData>> {
        Ok(Arc::new(Mapped(ImageMapping::open(path, digest)?)))
    }
}

struct Mapped(Arc<ImageMapping>);

impl ImageData for Mapped {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read(&self, offset: u64, to: &mut [u8]) -> bool {
        self.0.read(offset, to)
    }
}
