//! The image's files: metadata from the authenticated index, data from the host, each block checked against the index when it
//! is first brought in.

mod cache;
mod file;
mod host;

use alloc::boxed::Box;
use alloc::sync::Arc;

use casemate_index::{Error, Index};
use casemate_platform::console::Level;
use casemate_platform::log;

use crate::errno::Errno;
use cache::PageCache;
pub use file::{ImageData, ImageFile, Storage};
pub use host::{HostIndex, HostStorage};

/// An image: its index, where its data comes from, and what of it is in memory.
pub struct Image {
    /// The index.
    pub index: Index,
    storage: Box<dyn Storage>,
    cache: PageCache,
    open: file::OpenList,
}

impl Image {
    /// An image of which at most `cache_pages` pages are kept in memory.
    pub fn new(index: Index, storage: Box<dyn Storage>, cache_pages: usize) -> Arc<Image> {
        Arc::new(Image { index, storage, cache: PageCache::new(cache_pages), open: Default::default() })
    }
}

/// An index that cannot be read is an input error of the whole tree: it is logged, the call that met it fails.
pub fn index_error(error: Error) -> Errno {
    log!(Level::Error, "the file index: {error}");
    Errno::EIO
}
