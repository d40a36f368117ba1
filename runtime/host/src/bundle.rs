//! Files that the loader reads: the bundle's four, and the few of the host that the enclave is told of.

use core::ffi::CStr;

use casemate_abi::Blob;
use linux_raw_sys::general::{MAP_PRIVATE, O_CLOEXEC, O_RDONLY, PROT_READ, S_IFMT, S_IFREG};

use crate::arena::PATH_LIMIT;
use crate::refuse;
use crate::report::Text;
use crate::sys::{self, Errno};

/// A name from the command line as a C string; ends the run when it cannot be one.
pub fn with_c_string<T>(name: &[u8], use_it: impl FnOnce(&CStr) -> T) -> T {
    let mut bytes = [0; PATH_LIMIT + 1];
    if name.is_empty() || name.len() > PATH_LIMIT {
        refuse!("a path is empty or longer than {PATH_LIMIT} bytes: '{}'", Text(&name[..name.len().min(80)]));
    }
    bytes[..name.len()].copy_from_slice(name);
    use_it(CStr::from_bytes_until_nul(&bytes).unwrap_or(c""))
}

/// A mapped file.
#[derive(Clone, Copy)]
pub struct MappedFile {
    /// The open file.
    pub fd: i32,
    /// Its bytes.
    pub blob: Blob,
}

impl MappedFile {
    /// Its bytes as they are now.
    pub fn bytes(&self) -> &'static [u8] {
        as_slice(self.blob)
    }
}

/// A blob's bytes.
pub fn as_slice(blob: Blob) -> &'static [u8] {
    if blob.length == 0 {
        return &[];
    }
    // SAFETY: blobs are made in this file and in `start`: mapped, readable, and kept to the end of the run.
    unsafe { core::slice::from_raw_parts(blob.address as *const u8, blob.length as usize) }
}

/// Maps a file of the bundle; ends the run with the reason when that fails.
pub fn map_file(directory: i32, bundle: &[u8], name: &CStr) -> MappedFile {
    match try_map(directory, name) {
        Ok(file) => file,
        Err(error) => {
            let name = name.to_bytes();
            refuse!("{}/{}: {error}; is this a bundle that casemate built?", Text(bundle), Text(name))
        }
    }
}

fn try_map(directory: i32, name: &CStr) -> Result<MappedFile, Errno> {
    let fd = sys::open(directory, name, O_RDONLY | O_CLOEXEC, 0)?;
    let stat = sys::stat(fd)?;
    if stat.st_mode & S_IFMT != S_IFREG {
        return Err(Errno::EINVAL);
    }
    let length = stat.st_size as u64;
    if length == 0 {
        return Ok(MappedFile { fd, blob: Blob::default() });
    }
    // SAFETY: not fixed: nothing is replaced.
    let address = unsafe { sys::map(0, length, PROT_READ, MAP_PRIVATE, fd, 0) }?;
    Ok(MappedFile { fd, blob: Blob { address, length } })
}

/// Longest of the host's small files that is passed on.
const SMALL_LIMIT: u64 = 64 * 1024;

/// Reads a small file of the host, cut at 64 KiB; empty when there is none.
pub fn read_small(name: &CStr) -> Blob {
    let Ok(fd) = sys::open(sys::AT_FDCWD, name, O_RDONLY | O_CLOEXEC, 0) else { return Blob::default() };
    let mut length = 0;
    let Ok(address) = sys::map_anonymous(SMALL_LIMIT, sys::READ_WRITE) else { return Blob::default() };
    // SAFETY: the mapping is new and of this size.
    let buffer = unsafe { core::slice::from_raw_parts_mut(address as *mut u8, SMALL_LIMIT as usize) };
    while let Ok(count @ 1..) = sys::read(fd, &mut buffer[length..]) {
        length += count;
    }
    sys::close(fd);
    Blob { address, length: length as u64 }
}

/// A decimal number of up to 19 digits that is a small file's first line.
pub fn read_number(name: &CStr) -> Option<u64> {
    let fd = sys::open(sys::AT_FDCWD, name, O_RDONLY | O_CLOEXEC, 0).ok()?;
    let mut bytes = [0; 20];
    let length = sys::read(fd, &mut bytes);
    sys::close(fd);
    let line = bytes[..length.ok()?].split(|byte| *byte == b'\n').next()?;
    core::str::from_utf8(line).ok()?.parse().ok()
}

/// A blob of strings, each made of its parts and ended by NUL.
pub fn join<'a, const N: usize>(strings: impl Iterator<Item = [&'a [u8]; N]> + Clone) -> Result<Blob, Errno> {
    let length =
        strings.clone().map(|parts| parts.iter().map(|part| part.len()).sum::<usize>() + 1).sum::<usize>();
    if length == 0 {
        return Ok(Blob::default());
    }
    let address = sys::map_anonymous(length as u64, sys::READ_WRITE)?;
    // SAFETY: the mapping is new and of this size.
    let buffer = unsafe { core::slice::from_raw_parts_mut(address as *mut u8, length) };
    let mut at = 0;
    for parts in strings {
        for part in parts {
            buffer[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        // The NUL is there already.
        at += 1;
    }
    Ok(Blob { address, length: length as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_joined_with_a_nul_after_each() {
        let list = [[b"/a".as_slice(), b":ro"], [b"", b""], [b"/b", b""]];
        assert_eq!(as_slice(join(list.into_iter()).unwrap()), b"/a:ro\0\0/b\0");
        assert_eq!(join(core::iter::empty::<[&[u8]; 1]>()).unwrap().length, 0);
    }

    #[test]
    fn missing_small_files_are_empty() {
        assert_eq!(read_small(c"/no/such/file").length, 0);
        assert!(as_slice(read_small(c"/proc/self/status")).starts_with(b"Name:"));
        assert_eq!(read_number(c"/no/such/file"), None);
        assert_eq!(read_number(c"/proc/self/status"), None);
        assert!(read_number(c"/proc/sys/vm/max_map_count").is_some_and(|count| count > 0));
    }
}
