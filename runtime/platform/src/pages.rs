//! Pages of program memory. On `direct` the host sets them. In an enclave with EDMM they are added, changed and removed with both
//! sides agreeing (`dynamic`); without, all exist from the start and are cleared when they are taken into use (`fixed`).

mod dynamic;
mod fixed;
mod regions;

use core::sync::atomic::{AtomicU32, Ordering::*};

use casemate_abi::HostCall;

use crate::host::{HostError, call_raw};
use crate::{PAGE_SIZE, user};

use regions::{Kind, regions};

pub(crate) use regions::set_host_mappings;
pub use regions::{Change, Need, host_mappings};

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

/// How pages come to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Mode {
    /// The host sets them.
    Host = 0,
    /// EDMM.
    Dynamic = 1,
    /// They are all there.
    Fixed = 2,
}

static MODE: AtomicU32 = AtomicU32::new(Mode::Host as u32);

/// Fixes how pages come to be; called once at start.
pub(crate) fn set_mode(mode: Mode) {
    MODE.store(mode as u32, Relaxed);
}

/// Lets pages of a test be those of an enclave with EDMM, with code of its own in place of ENCLU.
#[cfg(not(freestanding))]
pub fn provide_edmm(enclu: u64) {
    crate::enclu::set_code(enclu);
    set_mode(Mode::Dynamic);
}

/// Lets pages of a test be those of an enclave without EDMM.
#[cfg(not(freestanding))]
pub fn provide_fixed() {
    set_mode(Mode::Fixed);
}

#[inline]
fn mode() -> Mode {
    match MODE.load(Relaxed) {
        1 => Mode::Dynamic,
        2 => Mode::Fixed,
        _ => Mode::Host,
    }
}

impl Protection {
    /// No access.
    pub const NONE: Protection = Protection { read: false, write: false, execute: false };
    /// Read and write.
    pub const READ_WRITE: Protection = Protection { read: true, write: true, execute: false };

    /// What either allows.
    fn or(self, other: Protection) -> Protection {
        Protection {
            read: self.read || other.read,
            write: self.write || other.write,
            execute: self.execute || other.execute,
        }
    }

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

fn request(call: HostCall, args: [u64; 4]) -> Result<(), PageError> {
    let [a, b, c, d] = args;
    match call_raw(call, [a, b, c, d, 0, 0]) {
        Ok(0) => Ok(()),
        // Whatever else the host says, the pages are not there: that is running out of memory.
        Ok(_) | Err(HostError(_)) => Err(PageError::OutOfMemory),
    }
}

/// Adds pages for the library OS's own use, readable and writable, in an enclave with EDMM.
pub(crate) fn add_private(address: u64, length: u64) -> Result<(), PageError> {
    dynamic::add(address, length, false)
}

/// Makes a page that [`add_private`] added a TCS; its contents are what EACCEPT checks.
pub(crate) fn make_tcs(address: u64) -> Result<(), PageError> {
    dynamic::make_tcs(address)
}

/// Whether pages that are not there are only hidden, by the host: a hostile one may show them, with contents of its choice. So what a
/// program may touch must be filled first.
pub fn are_only_hidden() -> bool {
    mode() == Mode::Fixed
}

/// Hides all program memory of an enclave without EDMM, which was added accessible.
pub(crate) fn begin() -> Result<(), PageError> {
    let (base, top) = user::range();
    if are_only_hidden() { unmap(base, top - base) } else { Ok(()) }
}

/// Whether the host has room in its page tables for a change. The calls below do not ask: who may be refused asks before, who must
/// not goes on with what is kept for it.
pub fn admits(address: u64, length: u64, change: Change, need: Need) -> bool {
    regions().admits(address, address.saturating_add(length), change, need)
}

/// Whether half of that room is taken.
pub fn are_crowded() -> bool {
    regions().are_crowded()
}

/// On `direct`: a request, and what the host then has in the range.
fn host(call: HostCall, args: [u64; 4], kind: Option<Kind>) -> Result<(), PageError> {
    request(call, args)?;
    let [address, length, ..] = args;
    regions().set(address, address + length, kind);
    Ok(())
}

/// Puts fresh zero pages into the range, replacing what is there.
pub fn map(address: u64, length: u64, protection: Protection) -> Result<(), PageError> {
    check(address, length)?;
    match mode() {
        Mode::Host => {
            host(HostCall::PageMap, [address, length, protection.bits(), 0], Some(Kind::of(protection)))
        }
        Mode::Dynamic => dynamic::map(address, length, protection, false),
        Mode::Fixed => fixed::map(address, length, protection),
    }
}

/// As [`map`], readable and writable, for pages that are all written at once.
pub fn map_to_fill(address: u64, length: u64) -> Result<(), PageError> {
    check(address, length)?;
    match mode() {
        Mode::Host => {
            let kind = Kind::of(Protection::READ_WRITE);
            host(HostCall::PageMap, [address, length, kind.protection.bits(), 1], Some(kind))
        }
        Mode::Dynamic => dynamic::map(address, length, Protection::READ_WRITE, true),
        Mode::Fixed => fixed::map(address, length, Protection::READ_WRITE),
    }
}

/// Changes the rights of mapped pages.
pub fn protect(address: u64, length: u64, protection: Protection) -> Result<(), PageError> {
    check(address, length)?;
    match mode() {
        Mode::Host => {
            request(HostCall::PageProtect, [address, length, protection.bits(), 0])?;
            regions().protect(address, address + length, protection);
            Ok(())
        }
        Mode::Fixed => fixed::show(address, length, protection),
        Mode::Dynamic => dynamic::protect(address, length, protection),
    }
}

/// Takes pages away; the addresses stay the enclave's own.
pub fn unmap(address: u64, length: u64) -> Result<(), PageError> {
    check(address, length)?;
    match mode() {
        Mode::Host => host(HostCall::PageUnmap, [address, length, 0, 0], None),
        Mode::Fixed => fixed::hide(address, length),
        Mode::Dynamic => dynamic::unmap(address, length),
    }
}

/// Drops the contents: the pages read as zero again.
pub fn discard(address: u64, length: u64) -> Result<(), PageError> {
    check(address, length)?;
    match mode() {
        Mode::Host => request(HostCall::PageDiscard, [address, length, 0, 0]),
        Mode::Dynamic => dynamic::discard(address, length),
        Mode::Fixed => fixed::discard(address, length),
    }
}

/// Moves pages with their contents, with new rights, in place of what is at `to`; `from` is then empty. Whoever touches
/// `to` meanwhile finds nothing, the old pages, or the new ones whole. On an error both places may have lost their pages' rights.
pub fn relocate(from: u64, to: u64, length: u64, protection: Protection) -> Result<(), PageError> {
    check(from, length)?;
    check(to, length)?;
    if from < to + length && to < from + length {
        return Err(PageError::BadRange);
    }
    match mode() {
        Mode::Host => {
            request(HostCall::PageMove, [from, to, length, protection.bits()])?;
            let mut regions = regions();
            let kind = regions.moved(protection);
            regions.set(to, to + length, Some(kind));
            regions.set(from, from + length, None);
            Ok(())
        }
        Mode::Dynamic => dynamic::relocate(from, to, length, protection),
        Mode::Fixed => fixed::relocate(from, to, length, protection),
    }
}
