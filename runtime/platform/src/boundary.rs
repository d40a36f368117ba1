//! Untrusted memory: a range that was checked, once, to lie outside the enclave.

use core::sync::atomic::{AtomicU64, Ordering::*};

use alloc::vec::Vec;

use crate::{untrusted, user};

static ENCLAVE_SIZE: AtomicU64 = AtomicU64::new(u64::MAX);

/// Fixes the enclave's range `[0, size)`; called once at start.
pub(crate) fn set_enclave_size(size: u64) {
    ENCLAVE_SIZE.store(size, Relaxed);
}

/// Size of the enclave's range in bytes.
pub fn enclave_size() -> u64 {
    ENCLAVE_SIZE.load(Relaxed)
}

/// A range of host memory outside the enclave. Its contents may change at any time: bytes are copied in before use.
#[derive(Clone, Copy, Debug)]
pub struct HostRange {
    address: u64,
    length: u64,
}

impl HostRange {
    /// Checks a range that the host named; None when any byte lies in the enclave or the range wraps or is not canonical.
    pub fn new(address: u64, length: u64) -> Option<HostRange> {
        if length == 0 {
            return Some(HostRange { address: 0, length: 0 });
        }
        let end = address.checked_add(length)?;
        if address < ENCLAVE_SIZE.load(Relaxed) || end > 1 << 47 {
            return None;
        }
        Some(HostRange { address, length })
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Copies `to.len()` bytes at `offset` in; false when that is out of range or the host took the memory away.
    #[must_use]
    pub fn read(&self, offset: u64, to: &mut [u8]) -> bool {
        match offset.checked_add(to.len() as u64) {
            Some(end) if end <= self.length => untrusted::copy_from_host(to, self.address + offset).is_ok(),
            _ => false,
        }
    }

    /// Copies `from` out to `offset`; false when that is out of range or the host took the memory away.
    #[must_use]
    pub fn write(&self, offset: u64, from: &[u8]) -> bool {
        match offset.checked_add(from.len() as u64) {
            Some(end) if end <= self.length => untrusted::copy_to_host(self.address + offset, from).is_ok(),
            _ => false,
        }
    }

    /// Copies program memory out to `offset`. Err: the program's memory could not be read.
    pub fn write_from_user(&self, offset: u64, from: u64, length: usize) -> Result<(), user::Fault> {
        // Clearing a page takes longer than the rest of a short message.
        if length <= 256 {
            self.write_by(&mut [0; 256], offset, from, length)
        } else {
            self.write_by(&mut [0; 4096], offset, from, length)
        }
    }

    fn write_by(&self, chunk: &mut [u8], offset: u64, from: u64, length: usize) -> Result<(), user::Fault> {
        let mut done = 0;
        while done < length {
            let step = (length - done).min(chunk.len());
            user::copy_in(&mut chunk[..step], from + done as u64)?;
            if !self.write(offset + done as u64, &chunk[..step]) {
                return Err(user::Fault { address: from });
            }
            done += step;
        }
        Ok(())
    }

    /// A copy of the whole, if it is no longer than `limit`.
    pub fn to_vec(&self, limit: u64) -> Option<Vec<u8>> {
        if self.length > limit {
            return None;
        }
        let mut copy = alloc::vec![0; self.length as usize];
        self.read(0, &mut copy).then_some(copy)
    }

    pub(crate) fn address(&self) -> u64 {
        self.address
    }
}
