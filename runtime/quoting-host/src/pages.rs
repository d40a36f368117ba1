//! Enclave memory: one range of this process, and a second mapping of it through which the device works.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use casemate_sgx::{PAGE_SIZE, SecInfoFlags};
use casemate_softsgx::Memory;

/// The memory of one enclave. The enclave's own mapping has the permissions that its pages have; the device's is always
/// readable and writable.
pub struct Pages {
    base: u64,
    size: u64,
    alias: u64,
    _file: OwnedFd,
}

impl Pages {
    /// A range of `size` bytes (a power of two), aligned to its size as SGX wants it, with nothing accessible.
    pub fn reserve(size: u64) -> io::Result<Self> {
        // SAFETY: makes a descriptor; nothing else is touched.
        let descriptor = unsafe { libc::memfd_create(c"casemate-quoting".as_ptr(), libc::MFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and is nobody else's.
        let file = unsafe { OwnedFd::from_raw_fd(descriptor) };
        // SAFETY: sets the size of our own file.
        if unsafe { libc::ftruncate(file.as_raw_fd(), size as libc::off_t) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let space = map(0, 2 * size, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
        let base = space.next_multiple_of(size);
        // Over a part of what was just reserved.
        map(base, size, libc::PROT_NONE, libc::MAP_SHARED | libc::MAP_FIXED, file.as_raw_fd())?;
        let alias = map(0, size, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, file.as_raw_fd())?;
        Ok(Self { base, size, alias, _file: file })
    }

    /// Its first address.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Where the device finds this range; the processor checked that it is inside the enclave.
    fn at(&self, address: u64, length: usize) -> *mut u8 {
        let offset = address.wrapping_sub(self.base);
        assert!(
            offset.checked_add(length as u64).is_some_and(|end| end <= self.size),
            "the device reached outside its memory"
        );
        (self.alias + offset) as *mut u8
    }
}

fn map(address: u64, size: u64, protection: i32, flags: i32, descriptor: i32) -> io::Result<u64> {
    // SAFETY: MAP_FIXED is used only over a range that this module reserved and nobody uses yet.
    let found =
        unsafe { libc::mmap(address as *mut libc::c_void, size as usize, protection, flags, descriptor, 0) };
    if found == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(found as u64) }
}

impl Memory for Pages {
    fn fill(&mut self, page: u64, contents: &[u8; PAGE_SIZE]) {
        self.write(page, contents);
    }

    fn zero(&mut self, page: u64, length: u64) {
        for done in (0..length).step_by(PAGE_SIZE) {
            self.write(page + done, &[0; PAGE_SIZE]);
        }
    }

    fn read(&self, address: u64, buffer: &mut [u8]) {
        let from = self.at(address, buffer.len());
        // SAFETY: the range is inside the alias mapping, which stays for the process's life.
        unsafe { core::ptr::copy_nonoverlapping(from, buffer.as_mut_ptr(), buffer.len()) };
    }

    fn write(&mut self, address: u64, data: &[u8]) {
        let to = self.at(address, data.len());
        // SAFETY: as in `read`; the enclave's only thread is not running while the device works.
        unsafe { core::ptr::copy_nonoverlapping(data.as_ptr(), to, data.len()) };
    }

    fn protect(&mut self, page: u64, length: u64, access: SecInfoFlags) {
        let mut protection = libc::PROT_NONE;
        for (flag, bit) in [
            (SecInfoFlags::R, libc::PROT_READ),
            (SecInfoFlags::W, libc::PROT_WRITE),
            (SecInfoFlags::X, libc::PROT_EXEC),
        ] {
            if access.contains(flag) {
                protection |= bit;
            }
        }
        self.at(page, length as usize);
        // SAFETY: changes the enclave's own range only.
        let done = unsafe { libc::mprotect(page as *mut libc::c_void, length as usize, protection) };
        assert_eq!(done, 0, "mprotect of enclave pages: {}", io::Error::last_os_error());
    }

    fn release(&mut self, page: u64, length: u64) {
        self.zero(page, length);
        self.protect(page, length, SecInfoFlags::empty());
    }
}
