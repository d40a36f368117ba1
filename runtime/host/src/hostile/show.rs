//! Pages of an enclave without EDMM, as a host may show them: what should be hidden never is, and memory that was only
//! added (EADD without EEXTEND) holds what the host put there.

use casemate_abi::HostCall;
use linux_raw_sys::general::{PROT_EXEC, PROT_READ, PROT_WRITE};

use crate::calls::Args;
use crate::{run, sys};

/// `int3`: whoever runs it stops, whoever reads it reads nothing that any file holds.
const PATTERN: u8 = 0xcc;

/// Puts the host's bytes into all program memory, before the enclave is entered.
pub(super) fn fill() {
    let (base, top) = (run::program_base(), run::program_top());
    // SAFETY: program memory of an enclave that nobody entered yet; it was added readable and writable.
    unsafe { core::ptr::write_bytes(base as *mut u8, PATTERN, (top - base) as usize) };
}

/// Says that rights were changed, and gives all of them.
pub(super) fn answer(call: HostCall, [address, length, ..]: Args) -> Option<i64> {
    use HostCall::*;
    if !matches!(call, PageMap | PageProtect | PageUnmap) || !run::is_changeable(address, length) {
        return None;
    }
    // SAFETY: the range is program memory, which is the host's to give rights to.
    let shown = unsafe { sys::protect(address, length, PROT_READ | PROT_WRITE | PROT_EXEC) };
    Some(shown.map_or(-12, |()| 0))
}
