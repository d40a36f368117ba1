//! Files of the image: opened by path beneath the root, or by digest in a store, and mapped whole.
//!
//! What is mapped here is believed by nobody: the enclave checks each block against the index. A host that cuts a file while it is
//! mapped makes reads fault (SIGBUS), which the enclave turns into an I/O error.

use core::sync::atomic::{AtomicBool, AtomicI32, Ordering::*};

use linux_raw_sys::general::*;

use super::path::{copy_path, open_beneath};
use super::{Args, put};
use crate::arena::Thread;
use crate::lock::Mutex;
use crate::sys::{self, Errno, Reply};

static SOURCE: AtomicI32 = AtomicI32::new(-1);
static BY_DIGEST: AtomicBool = AtomicBool::new(false);

/// Sets where image files are found.
pub fn set_source(directory: i32, by_digest: bool) {
    SOURCE.store(directory, Relaxed);
    BY_DIGEST.store(by_digest, Relaxed);
}

const DIGEST_SIZE: u64 = 32;
/// Most image files open at one time.
const FILE_LIMIT: usize = 1 << 16;

#[derive(Clone, Copy)]
struct File {
    address: u64,
    length: u64,
    /// For a free entry: the next free one, plus 1.
    next: u32,
    open: bool,
}

struct Table {
    files: [File; FILE_LIMIT],
    used: usize,
    /// First free entry below `used`, plus 1; 0 for none.
    free: u32,
}

static TABLE: Mutex<Table> = Mutex::new(Table {
    files: [File { address: 0, length: 0, next: 0, open: false }; FILE_LIMIT],
    used: 0,
    free: 0,
});

impl Table {
    fn insert(&mut self, address: u64, length: u64) -> Option<usize> {
        let handle = if self.free != 0 {
            let handle = self.free as usize - 1;
            self.free = self.files[handle].next;
            handle
        } else if self.used < FILE_LIMIT {
            self.used += 1;
            self.used - 1
        } else {
            return None;
        };
        self.files[handle] = File { address, length, next: 0, open: true };
        Some(handle)
    }

    fn remove(&mut self, handle: u64) -> Option<File> {
        let file = self.files.get_mut(handle as usize).filter(|file| file.open)?;
        let taken = *file;
        *file = File { address: 0, length: 0, next: self.free, open: false };
        self.free = handle as u32 + 1;
        Some(taken)
    }
}

pub(super) fn open(caller: &Thread, [buffer, path_length, out, ..]: Args) -> Reply {
    if !caller.owns(out, 24) {
        return Err(Errno::EFAULT);
    }
    let fd = if BY_DIGEST.load(Relaxed) {
        open_by_digest(caller, buffer)?
    } else {
        let path = copy_path(caller, 0, buffer.wrapping_add(DIGEST_SIZE), path_length)?;
        open_beneath(SOURCE.load(Relaxed), path, O_RDONLY | O_NONBLOCK, 0)?
    };
    let mapped = map_whole(fd);
    sys::close(fd);
    let (address, length) = mapped?;
    let Some(handle) = TABLE.lock().insert(address, length) else {
        release(address, length);
        return Err(Errno::EMFILE);
    };
    put(caller, out, [handle as u64, length, address])
}

pub(super) fn close(handle: u64) -> Reply {
    let file = TABLE.lock().remove(handle).ok_or(Errno::EBADF)?;
    release(file.address, file.length);
    Ok(0)
}

fn release(address: u64, length: u64) {
    if length != 0 {
        // SAFETY: the mapping was made by `map_whole`, and the enclave has closed the file.
        unsafe { sys::unmap(address, length) };
    }
}

fn map_whole(fd: i32) -> Result<(u64, u64), Errno> {
    let stat = sys::stat(fd)?;
    if stat.st_mode & S_IFMT != S_IFREG {
        return Err(Errno::EINVAL);
    }
    let length = stat.st_size as u64;
    if length == 0 {
        return Ok((0, 0));
    }
    // SAFETY: not fixed: nothing is replaced. Some file systems (FUSE without a cache) know private mappings only.
    let address = unsafe {
        match sys::map(0, length, PROT_READ, MAP_SHARED, fd, 0) {
            Err(Errno::ENODEV | Errno::EINVAL) => sys::map(0, length, PROT_READ, MAP_PRIVATE, fd, 0)?,
            result => result?,
        }
    };
    Ok((address, length))
}

fn open_by_digest(caller: &Thread, buffer: u64) -> Result<i32, Errno> {
    let digest: [u8; 32] = super::get(caller, buffer)?;
    let mut path = store_path(&digest);
    open_beneath(SOURCE.load(Relaxed), &mut path, O_RDONLY | O_NONBLOCK, 0)
}

/// `ab/abcdef…` with a NUL.
fn store_path(digest: &[u8; 32]) -> [u8; 68] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut path = [0; 68];
    for (index, byte) in digest.iter().enumerate() {
        path[3 + index * 2] = DIGITS[(byte >> 4) as usize];
        path[4 + index * 2] = DIGITS[(byte & 15) as usize];
    }
    (path[0], path[1], path[2]) = (path[3], path[4], b'/');
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_path_begins_with_the_digests_first_byte() {
        let mut digest = [0x1f; 32];
        digest[0] = 0xa0;
        let path = store_path(&digest);
        assert_eq!(&path[..9], b"a0/a01f1f");
        assert_eq!((path[66], path[67]), (b'f', 0));
    }

    #[test]
    fn handles_are_used_again_and_stale_ones_refused() {
        let mut table = TABLE.lock();
        let first = table.insert(1, 10).unwrap();
        let second = table.insert(2, 20).unwrap();
        assert_eq!(table.remove(first as u64).unwrap().length, 10);
        assert!(table.remove(first as u64).is_none());
        assert!(table.remove(u64::MAX).is_none());
        assert_eq!(table.insert(3, 30), Some(first));
        assert_eq!(table.remove(second as u64).unwrap().address, 2);
        assert_eq!(table.remove(first as u64).unwrap().address, 3);
    }
}
