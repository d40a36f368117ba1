//! Pages of program memory. On `direct` and `softsgx` the host sets them; in an enclave EAUG/EACCEPT and EMODPR do.

use casemate_abi::HostCall;

use crate::host::{HostError, call_raw};
use crate::{PAGE_SIZE, user};

/// Access rights of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Protection {
    /// Readable.
    pub read: bool,
    /// Writable.
    pub write: bool,
    /// Executable.
    pub execute: bool,
}

impl Protection {
    /// No access.
    pub const NONE: Protection = Protection { read: false, write: false, execute: false };
    /// Read and write.
    pub const READ_WRITE: Protection = Protection { read: true, write: true, execute: false };

    fn bits(self) -> u64 {
        self.read as u64 | (self.write as u64) << 1 | (self.execute as u64) << 2
    }
}

/// Why pages could not be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageError {
    /// The range is not page-aligned or not in program memory.
    BadRange,
    /// The host has no memory (or no map entries) left.
    OutOfMemory,
}

fn check(address: u64, length: u64) -> Result<(), PageError> {
    let aligned = (address | length) & (PAGE_SIZE as u64 - 1) == 0;
    if aligned && length != 0 && user::check_range(address, length as usize).is_ok() {
        Ok(())
    } else {
        Err(PageError::BadRange)
    }
}

fn request(call: HostCall, address: u64, length: u64, protection: u64) -> Result<(), PageError> {
    check(address, length)?;
    match call_raw(call, [address, length, protection, 0, 0, 0]) {
        Ok(0) => Ok(()),
        // Whatever else the host says, the pages are not there: that is running out of memory.
        Ok(_) | Err(HostError(_)) => Err(PageError::OutOfMemory),
    }
}

/// Puts fresh zero pages into the range, replacing what is there.
pub fn map(address: u64, length: u64, protection: Protection) -> Result<(), PageError> {
    request(HostCall::PageMap, address, length, protection.bits())
}

/// As [`map`], readable and writable, for pages that are all written at once.
pub fn map_to_fill(address: u64, length: u64) -> Result<(), PageError> {
    check(address, length)?;
    match call_raw(HostCall::PageMap, [address, length, Protection::READ_WRITE.bits(), 1, 0, 0]) {
        Ok(0) => Ok(()),
        Ok(_) | Err(HostError(_)) => Err(PageError::OutOfMemory),
    }
}

/// Changes the rights of mapped pages.
pub fn protect(address: u64, length: u64, protection: Protection) -> Result<(), PageError> {
    request(HostCall::PageProtect, address, length, protection.bits())
}

/// Takes pages away; the addresses stay the enclave's own.
pub fn unmap(address: u64, length: u64) -> Result<(), PageError> {
    request(HostCall::PageUnmap, address, length, 0)
}

/// Drops the contents: the pages read as zero again.
pub fn discard(address: u64, length: u64) -> Result<(), PageError> {
    request(HostCall::PageDiscard, address, length, 0)
}

/// Moves pages with their contents, with new rights, in place of what is at `to`; `from` is then empty. Whoever touches
/// `to` meanwhile finds nothing, the old pages, or the new ones whole. On an error both places may have lost their pages' rights.
pub fn relocate(from: u64, to: u64, length: u64, protection: Protection) -> Result<(), PageError> {
    check(from, length)?;
    check(to, length)?;
    if from < to + length && to < from + length {
        return Err(PageError::BadRange);
    }
    match call_raw(HostCall::PageMove, [from, to, length, protection.bits(), 0, 0]) {
        Ok(0) => Ok(()),
        Ok(_) | Err(HostError(_)) => Err(PageError::OutOfMemory),
    }
}
