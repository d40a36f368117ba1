//! [`ImageFile`]: contents of one regular file of the image.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU64, Ordering::*};

use casemate_index::{Digest, FileVerifier, Inode, InodeNumber, Site, Sites};
use casemate_platform::console::Level;
use casemate_platform::log;
use casemate_platform::sync::{Mutex, Once, RwLock};

use super::{Image, index_error};
use crate::errno::{Errno, Result};
use crate::fs::page::{PAGE_SIZE, Page};

/// Where the data of image files comes from; nothing it gives is believed.
pub trait Storage: Send + Sync {
    /// Opens the file that has this path in the image and this fs-verity digest.
    fn open(&self, path: &[u8], digest: &Digest) -> Result<Arc<dyn ImageData>>;
}

/// An open file of a [`Storage`].
pub trait ImageData: Send + Sync {
    /// Size in bytes, as the storage says.
    fn size(&self) -> u64;
    /// Copies bytes in; false when they are not there.
    #[must_use]
    fn read(&self, offset: u64, to: &mut [u8]) -> bool;
}

/// Contents of one regular file of the image; opened in the storage at the first read that needs it.
pub struct ImageFile {
    image: Arc<Image>,
    number: InodeNumber,
    digest: Digest,
    verifier: FileVerifier,
    sites: Sites,
    path: Box<[u8]>,
    data: RwLock<Option<Arc<dyn ImageData>>>,
    /// Pages that were copied for a mapping, one bit each.
    copied: Once<Box<[AtomicU64]>>,
}

/// Files that are open in the storage, oldest first: the host's descriptors and mappings are not without end.
#[derive(Default)]
pub(super) struct OpenList(Mutex<VecDeque<Weak<ImageFile>>>);

/// Most files open in the storage at a time.
const OPEN_LIMIT: usize = 1024;

impl OpenList {
    fn add(&self, file: &Arc<ImageFile>) {
        let oldest = {
            let mut list = self.0.lock();
            list.push_back(Arc::downgrade(file));
            if list.len() > OPEN_LIMIT { list.pop_front() } else { None }
        };
        if let Some(oldest) = oldest.and_then(|file| file.upgrade()) {
            let data = oldest.data.write().take();
            // Closing is a host call: after the lock.
            drop(data);
        }
    }
}

impl ImageFile {
    /// The contents of `inode`, which lies at `path` in the image.
    pub fn new(image: &Arc<Image>, inode: &Inode, path: Box<[u8]>) -> Result<Arc<ImageFile>> {
        Ok(Arc::new(ImageFile {
            image: image.clone(),
            number: inode.number,
            digest: inode.digest,
            verifier: FileVerifier::new(inode).map_err(index_error)?,
            sites: image.index.syscall_sites(inode.number).map_err(index_error)?,
            path,
            data: RwLock::new(None),
            copied: Once::new(),
        }))
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.verifier.size()
    }

    /// Page `number`, verified; zeros fill the last one. The page must begin before the end of the file.
    pub fn page(self: &Arc<Self>, number: u64) -> Result<Arc<Page>> {
        let key = (self.number.0, number);
        if let Some(page) = self.image.cache.get(key) {
            return Ok(page);
        }
        let mut bytes = [0; PAGE_SIZE];
        self.fetch(number, &mut bytes)?;
        let page = Page::cached(bytes);
        self.image.cache.put(key, page.clone());
        Ok(page)
    }

    /// Copies page `number`, verified, for a mapping. What is mapped once is mostly not asked for again, so the first copy of a page
    /// does not go through the cache; the second finds it worth keeping.
    pub fn copy_page(self: &Arc<Self>, number: u64, out: &mut [u8; PAGE_SIZE]) -> Result<()> {
        if let Some(page) = self.image.cache.get((self.number.0, number)) {
            out.copy_from_slice(page.bytes());
            return Ok(());
        }
        if self.is_first_copy(number) {
            let length = self.verifier.block_length(number).ok_or(Errno::EIO)?;
            self.fetch(number, out)?;
            out[length..].fill(0);
        } else {
            out.copy_from_slice(self.page(number)?.bytes());
        }
        Ok(())
    }

    fn is_first_copy(&self, number: u64) -> bool {
        let words = self.size().div_ceil(64 * PAGE_SIZE as u64);
        let copied = loop {
            match self.copied.get() {
                Some(copied) => break copied,
                // Another thread may be setting it at this moment; then the next look finds it.
                None => drop(self.copied.set((0..words).map(|_| AtomicU64::new(0)).collect())),
            }
        };
        let bit = 1 << (number % 64);
        copied.get((number / 64) as usize).is_some_and(|word| word.fetch_or(bit, Relaxed) & bit == 0)
    }

    fn fetch(self: &Arc<Self>, number: u64, bytes: &mut [u8; PAGE_SIZE]) -> Result<()> {
        let length = self.verifier.block_length(number).ok_or(Errno::EIO)?;
        let offset = number * PAGE_SIZE as u64;
        if !self.data()?.read(offset, &mut bytes[..length]) {
            return Err(self.refuse(offset, "cannot be read"));
        }
        match self.verifier.verify_block(&self.image.index, number, &bytes[..length]) {
            Ok(()) => Ok(()),
            Err(casemate_index::Error::WrongData { .. }) => Err(self.refuse(offset, "was changed")),
            Err(error) => Err(index_error(error)),
        }
    }

    fn data(self: &Arc<Self>) -> Result<Arc<dyn ImageData>> {
        if let Some(data) = &*self.data.read() {
            return Ok(data.clone());
        }
        let data = match self.image.storage.open(&self.path, &self.digest) {
            Ok(data) => data,
            // Not for want of the file.
            Err(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM) => return Err(Errno::ENOMEM),
            Err(error) => {
                let path = String::from_utf8_lossy(&self.path);
                log!(Level::Error, "{path}: the host does not give this file of the image: {error:?}");
                return Err(if error == Errno::ERESTARTSYS { error } else { Errno::EIO });
            }
        };
        if data.size() < self.size() {
            return Err(self.refuse(data.size(), "is cut off"));
        }
        let old = self.data.write().replace(data.clone());
        if old.is_none() {
            self.image.open.add(self);
        }
        Ok(data)
    }

    fn refuse(&self, offset: u64, what: &str) -> Errno {
        let path = String::from_utf8_lossy(&self.path);
        log!(Level::Error, "{path}: the file's data at offset {offset} {what} on the host; the read fails");
        Errno::EIO
    }

    /// How many system-call sites the index knows of this file.
    pub fn site_count(&self) -> usize {
        self.sites.len() as usize
    }

    /// The system-call sites whose overwritten bytes lie within `[start, end)`.
    pub fn sites_in(&self, start: u64, end: u64) -> Result<alloc::vec::Vec<Site>> {
        let sites = self.sites.in_range(&self.image.index, start..end);
        sites
            .filter(|site| {
                site.as_ref().map_or(true, |site| u64::from(site.offset()) + site.code_length() as u64 <= end)
            })
            .collect::<Result<_, _>>()
            .map_err(index_error)
    }
}
