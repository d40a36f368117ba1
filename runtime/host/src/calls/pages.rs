//! Pages of program memory; in an enclave with EDMM also of its own. On `direct` they are plain mappings. With EDMM they are the
//! device's; without, all are there and only access changes.

use casemate_sgx::{PageType, SecInfoFlags};
use linux_raw_sys::general::*;

use super::Args;
use crate::sys::{self, Errno, Reply};
use crate::{hardware, run, soft};

fn checked([address, length, protection, ..]: Args) -> Result<(u64, u64, u32), Errno> {
    let known = (PROT_READ | PROT_WRITE | PROT_EXEC) as u64;
    if !run::is_changeable(address, length) || protection & !known != 0 {
        return Err(Errno::EINVAL);
    }
    Ok((address, length, protection as u32))
}

fn replace(address: u64, length: u64, protection: u32) -> Reply {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    // SAFETY: the range is program memory, which the enclave manages.
    unsafe { sys::map(address, length, protection, flags, -1, 0) }.map(|_| 0)
}

pub(super) fn map(args: Args) -> Reply {
    let (address, length, protection) = checked(args)?;
    if run::is_dynamic() {
        return if run::is_hardware() {
            hardware::pages::add(address, length, protection)
        } else {
            soft::pages::add(address, length, args[3] == 1)
        };
    }
    if run::is_enclave() {
        return set_access(address, length, protection);
    }
    replace(address, length, protection)?;
    if args[3] == 1 {
        // One call is cheaper than a fault a page; a kernel without it (before 5.14) faults.
        // SAFETY: the range is program memory, which the enclave manages.
        let _ = unsafe { sys::call(__NR_madvise, [address, length, u64::from(MADV_POPULATE_WRITE)]) };
    }
    Ok(0)
}

pub(super) fn protect(args: Args) -> Reply {
    let (address, length, protection) = checked(args)?;
    if run::is_dynamic() {
        let permissions = SecInfoFlags::from_bits_truncate(args[3]).permissions();
        return match (run::is_hardware(), permissions.is_empty()) {
            (true, false) => hardware::pages::restrict(address, length, protection, permissions),
            (true, true) => set_access(address, length, protection),
            (false, false) => soft::pages::restrict(address, length, permissions),
            (false, true) => soft::pages::hide(address, length, protection == PROT_NONE),
        };
    }
    set_access(address, length, protection)
}

fn set_access(address: u64, length: u64, protection: u32) -> Reply {
    // SAFETY: the range is program memory, which the enclave manages.
    unsafe { sys::protect(address, length, protection) }.map(|_| 0)
}

pub(super) fn convert([address, length, page_type, ..]: Args) -> Reply {
    let (address, length, _) = checked([address, length, 0, 0, 0, 0])?;
    match u8::try_from(page_type).ok().and_then(PageType::from_number) {
        Some(page_type) if run::is_hardware() && run::is_dynamic() => {
            hardware::pages::convert(address, length, page_type)
        }
        Some(page_type) if run::is_dynamic() => soft::pages::convert(address, length, page_type),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn remove([address, length, ..]: Args) -> Reply {
    let (address, length, _) = checked([address, length, 0, 0, 0, 0])?;
    match (run::is_dynamic(), run::is_hardware()) {
        (true, true) => hardware::pages::remove(address, length),
        (true, false) => soft::pages::remove(address, length),
        (false, _) => Err(Errno::EINVAL),
    }
}

pub(super) fn unmap([address, length, ..]: Args) -> Reply {
    let (address, length, _) = checked([address, length, 0, 0, 0, 0])?;
    if run::is_enclave() {
        return if run::is_dynamic() { Err(Errno::EINVAL) } else { set_access(address, length, PROT_NONE) };
    }
    replace(address, length, PROT_NONE)
}

pub(super) fn discard([address, length, ..]: Args) -> Reply {
    let (address, length, _) = checked([address, length, 0, 0, 0, 0])?;
    if run::is_enclave() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the range is program memory, which the enclave manages.
    unsafe { sys::call(__NR_madvise, [address, length, MADV_DONTNEED as u64]) }
}

pub(super) fn relocate([from, to, length, protection, ..]: Args) -> Reply {
    let (from, length, protection) = checked([from, length, protection, 0, 0, 0])?;
    checked([to, length, 0, 0, 0, 0])?;
    if run::is_enclave() || from < to.saturating_add(length) && to < from.saturating_add(length) {
        return Err(Errno::EINVAL);
    }
    // SAFETY: both ranges are program memory, which the enclave manages.
    unsafe {
        // The rights first, so that the pages arrive with them (and are one mapping of the kernel, which mremap wants).
        sys::protect(from, length, protection)?;
        let flags = u64::from(MREMAP_MAYMOVE | MREMAP_FIXED);
        sys::call(__NR_mremap, [from, length, length, flags, to])?;
    }
    // The pages are there, so that is the answer. A hole that cannot be closed is as good as pages without access.
    let _ = replace(from, length, PROT_NONE);
    Ok(0)
}
