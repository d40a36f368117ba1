//! Pages with EDMM (SDM 36.5): the host adds (EAUG), restricts (EMODPR), converts (EMODT) and removes; nothing counts until it was
//! accepted here (EACCEPT), and every address is accepted once only between being added and removed. So the host can
//! neither slip a page in, nor bring an old one back.
//!
//! What exists is written down (`regions`), because what the host would say of it does not count.

use casemate_abi::HostCall;
use casemate_sgx::{PAGE_SIZE, PageType, SecInfo, SecInfoFlags};

use super::regions::{Kind, regions};
use super::{PageError, Protection, request};
use crate::{enclu, user};

const READ: Protection = Protection { read: true, ..Protection::NONE };

/// SECINFO of ordinary pages with these rights and marks.
fn secinfo(flags: SecInfoFlags) -> SecInfo {
    SecInfo::new(flags | PageType::Reg.flags())
}

/// The rights in the EPCM. Reading stays: EACCEPT and EMODPE need it (SDM 38.4), and the driver insists; what a program may
/// not even read is the page tables' to keep.
fn permissions(protection: Protection) -> SecInfoFlags {
    let mut flags = SecInfoFlags::R;
    flags.set(SecInfoFlags::W, protection.write);
    flags.set(SecInfoFlags::X, protection.execute);
    flags
}

/// Whether the page tables have to take away what the EPCM leaves.
fn is_hidden(protection: Protection) -> bool {
    !protection.read && !protection.write && !protection.execute
}

/// Page tables alone: `protection` in them, whatever the EPCM says. EACCEPT and EMODPE touch the page itself, so pages that
/// are hidden are shown before, and hidden after.
fn set_page_tables(start: u64, length: u64, protection: Protection) -> Result<(), PageError> {
    let bits = if is_hidden(protection) { 0 } else { protection.bits() | 1 };
    request(HostCall::PageProtect, [start, length, bits, 0])
}

fn refused(_: u64) -> PageError {
    PageError::OutOfMemory
}

/// EAUG and EACCEPT: new zero pages, readable and writable.
pub(super) fn add(start: u64, length: u64, soon: bool) -> Result<(), PageError> {
    request(HostCall::PageMap, [start, length, Protection::READ_WRITE.bits(), soon.into()])?;
    enclu::accept(secinfo(SecInfoFlags::RW | SecInfoFlags::PENDING), start, length).map_err(refused)
}

/// Notes that pages exist with these rights.
fn note(start: u64, end: u64, protection: Protection) {
    regions().set(start, end, Some(Kind::of(protection)));
}

/// EMODT and EACCEPT: a page of ours becomes a TCS.
pub(super) fn make_tcs(page: u64) -> Result<(), PageError> {
    request(HostCall::PageConvert, [page, PAGE_SIZE as u64, PageType::Tcs as u64, 0])?;
    let tcs = SecInfo::new(PageType::Tcs.flags() | SecInfoFlags::MODIFIED);
    enclu::accept(tcs, page, PAGE_SIZE as u64).map_err(refused)
}

/// EMODT to PT_TRIM, EACCEPT, EREMOVE.
fn remove(start: u64, length: u64) -> Result<(), PageError> {
    request(HostCall::PageConvert, [start, length, PageType::Trim as u64, 0])?;
    let trim = SecInfo::new(PageType::Trim.flags() | SecInfoFlags::MODIFIED);
    enclu::accept(trim, start, length).map_err(refused)?;
    request(HostCall::PageRemove, [start, length, 0, 0])
}

/// Changes the rights of pages that exist with others: first EMODPE adds, then EMODPR takes away, and EACCEPT sees that it did.
fn change(start: u64, length: u64, from: Protection, to: Protection) -> Result<(), PageError> {
    let (old, new) = (permissions(from), permissions(to));
    if old == new {
        return if is_hidden(from) == is_hidden(to) { Ok(()) } else { set_page_tables(start, length, to) };
    }
    if is_hidden(from) {
        set_page_tables(start, length, READ)?;
    }
    if !old.contains(new) {
        // A host that goes no further leaves the pages with both: the next change must not take them for what they were.
        regions().protect(start, start + length, from.or(to));
        // SAFETY: these are program memory, and the library OS decided about its rights.
        unsafe { enclu::extend(secinfo(new), start, length) }.map_err(refused)?;
    }
    request(HostCall::PageProtect, [start, length, to.bits() | 1, new.bits()])?;
    enclu::accept(secinfo(new | SecInfoFlags::PR), start, length).map_err(refused)?;
    if is_hidden(to) { set_page_tables(start, length, to) } else { Ok(()) }
}

pub(super) fn map(start: u64, length: u64, protection: Protection, soon: bool) -> Result<(), PageError> {
    unmap(start, length)?;
    add(start, length, soon)?;
    note(start, start + length, Protection::READ_WRITE);
    if protection != Protection::READ_WRITE {
        change(start, length, Protection::READ_WRITE, protection)?;
        note(start, start + length, protection);
    }
    Ok(())
}

pub(super) fn protect(start: u64, length: u64, protection: Protection) -> Result<(), PageError> {
    let parts = regions().parts(start, start + length);
    for (from, to, old) in parts {
        change(from, to - from, old, protection)?;
        regions().protect(from, to, protection);
    }
    Ok(())
}

pub(super) fn unmap(start: u64, length: u64) -> Result<(), PageError> {
    let parts = regions().parts(start, start + length);
    let (Some(&(from, ..)), Some(&(_, to, _))) = (parts.first(), parts.last()) else { return Ok(()) };
    for &(from, to, _) in parts.iter().filter(|(.., protection)| is_hidden(*protection)) {
        set_page_tables(from, to - from, READ)?;
    }
    // Parts that touch go together, whatever their rights.
    let whole = parts.iter().map(|(from, to, _)| to - from).sum::<u64>() == to - from;
    if whole {
        remove(from, to - from)?;
    } else {
        for (from, to, _) in parts {
            remove(from, to - from)?;
        }
    }
    regions().set(start, start + length, None);
    Ok(())
}

/// Up to this many bytes are cleared in place.
const CLEAR_LIMIT: u64 = 64 << 10;

pub(super) fn discard(start: u64, length: u64) -> Result<(), PageError> {
    let parts = regions().parts(start, start + length);
    for (from, to, protection) in parts {
        let in_place = protection.write && to - from <= CLEAR_LIMIT;
        if !in_place || user::fill(from, 0, (to - from) as usize).is_err() {
            map(from, to - from, protection, false)?;
        }
    }
    Ok(())
}

pub(super) fn relocate(from: u64, to: u64, length: u64, protection: Protection) -> Result<(), PageError> {
    let parts = regions().parts(from, from + length);
    if parts.iter().map(|(from, to, _)| to - from).sum::<u64>() != length {
        return Err(PageError::BadRange);
    }
    // What cannot be read must be, to be copied.
    for (start, end, old) in parts {
        if is_hidden(old) {
            change(start, end - start, old, READ)?;
        }
    }
    unmap(to, length)?;
    request(HostCall::PageMap, [to, length, Protection::READ_WRITE.bits(), 1])?;
    // SAFETY: both ranges are program memory (checked by the caller).
    unsafe { enclu::accept_copy(secinfo(permissions(protection)), to, length, from) }.map_err(refused)?;
    {
        let mut regions = regions();
        // The software device moves pages; hardware copies them.
        let kind = if enclu::is_software() { regions.moved(protection) } else { Kind::of(protection) };
        regions.set(to, to + length, Some(kind));
    }
    if is_hidden(protection) {
        change(to, length, READ, protection)?;
    }
    unmap(from, length)
}
