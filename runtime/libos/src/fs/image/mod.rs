//! The image's files: metadata from the authenticated index, data from the host, each block checked against the index when it
//! is first brought in.

mod cache;
mod file;
mod host;

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use casemate_index::{Error, Index};
use casemate_platform::console::Level;
use casemate_platform::log;
use casemate_platform::sync::Mutex;

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
        let image =
            Arc::new(Image { index, storage, cache: PageCache::new(cache_pages), open: Default::default() });
        IMAGES.lock().push(Arc::downgrade(&image));
        image
    }
}

/// All images.
static IMAGES: Mutex<Vec<Weak<Image>>> = Mutex::new(Vec::new());

/// Gives up all copies of image pages.
pub fn forget_pages() {
    let images: Vec<Arc<Image>> = IMAGES.lock().iter().filter_map(Weak::upgrade).collect();
    images.iter().for_each(|image| image.cache.clear());
}

/// An index that cannot be read is an input error of the whole tree: it is logged, the call that met it fails.
pub fn index_error(error: Error) -> Errno {
    log!(Level::Error, "the file index: {error}");
    Errno::EIO
}
