//! Pages of an enclave without EDMM: all of program memory was added at the start, with all rights and contents that nobody
//! vouches for. So what is taken into use is cleared first; rights are the page tables' to keep, which the host sets.

use casemate_abi::HostCall;

use super::regions::{Kind, regions};
use super::{PageError, Protection, request};
use crate::user;

fn gone(_: user::Fault) -> PageError {
    PageError::OutOfMemory
}

/// Other rights for pages that are in use.
pub(super) fn show(start: u64, length: u64, protection: Protection) -> Result<(), PageError> {
    request(HostCall::PageProtect, [start, length, protection.bits(), 0])?;
    regions().protect(start, start + length, protection);
    Ok(())
}

/// Readable and writable, with whatever is there.
fn take(start: u64, length: u64) -> Result<(), PageError> {
    request(HostCall::PageMap, [start, length, Protection::READ_WRITE.bits(), 0])?;
    regions().set(start, start + length, Some(Kind::of(Protection::READ_WRITE)));
    Ok(())
}

pub(super) fn map(start: u64, length: u64, protection: Protection) -> Result<(), PageError> {
    take(start, length)?;
    user::fill(start, 0, length as usize).map_err(gone)?;
    if protection == Protection::READ_WRITE { Ok(()) } else { show(start, length, protection) }
}

/// The rights of the pages do not change: what is not writable was mapped in whole pages with the same rights, and comes back so.
pub(super) fn discard(start: u64, length: u64) -> Result<(), PageError> {
    user::fill(start, 0, length as usize).map_err(gone)
}

pub(super) fn relocate(from: u64, to: u64, length: u64, protection: Protection) -> Result<(), PageError> {
    show(from, length, Protection { read: true, ..Protection::NONE })?;
    take(to, length)?;
    user::copy_within(to, from, length as usize).map_err(gone)?;
    show(to, length, protection)?;
    hide(from, length)
}

/// Takes pages out of use.
pub(super) fn hide(start: u64, length: u64) -> Result<(), PageError> {
    request(HostCall::PageUnmap, [start, length, 0, 0])?;
    regions().set(start, start + length, None);
    Ok(())
}
