//! The checks. Each is one call of one of these functions with a name of its own, the text of what is wrong; no leaf refuses anything
//! otherwise. With the feature `mutation`, for tests only, a check can be removed by its name (`tests/device/mutation.rs`).

use casemate_sgx::{Fault, LeafError};

/// A condition that must hold, or #GP(0).
pub(crate) fn require(good: bool, name: &'static str) -> Result<(), Fault> {
    if holds(good, name) { Ok(()) } else { Err(Fault::GeneralProtection(name)) }
}

/// A condition that must hold, or #PF at this address.
pub(crate) fn require_page(good: bool, address: u64, name: &'static str) -> Result<(), Fault> {
    if holds(good, name) { Ok(()) } else { Err(Fault::Page(address, name)) }
}

/// A condition that must hold, or this code in RAX.
pub(crate) fn require_code(good: bool, code: LeafError, name: &'static str) -> Result<(), LeafError> {
    if holds(good, name) { Ok(()) } else { Err(code) }
}

/// A value that must be there, or #GP(0).
pub(crate) fn present<T>(value: Option<T>, name: &'static str) -> Result<T, Fault> {
    value.ok_or_else(|| if holds(false, name) { ELSE } else { Fault::GeneralProtection(name) })
}

/// A value that must be there, or #PF at this address.
pub(crate) fn present_page<T>(value: Option<T>, address: u64, name: &'static str) -> Result<T, Fault> {
    value.ok_or_else(|| if holds(false, name) { ELSE } else { Fault::Page(address, name) })
}

/// A value that must be there, or this code in RAX.
pub(crate) fn present_code<T>(value: Option<T>, code: LeafError, name: &'static str) -> Result<T, LeafError> {
    value.ok_or_else(|| if holds(false, name) { LeafError::UnmaskedEvent } else { code })
}

/// What the EPCM says is there: the SECS or TCS of a valid page. No check of the manual's; never missing.
pub(crate) fn kept<T>(value: Option<T>, page: u64) -> Result<T, Fault> {
    value.ok_or(Fault::Page(page, "the device has lost what the EPCM says it has"))
}

/// What EENTER says of a TCS that is in use.
pub const BUSY: Fault = Fault::GeneralProtection("TCS: STATE is ACTIVE");

/// Instead of the fault of a removed check that cannot just let pass: no leaf raises it here.
const ELSE: Fault = Fault::InvalidOpcode;

#[cfg(not(feature = "mutation"))]
fn holds(good: bool, _: &'static str) -> bool {
    good
}

#[cfg(feature = "mutation")]
fn holds(good: bool, name: &'static str) -> bool {
    good || mutation::refuses(name)
}

/// `CASEMATE_REMOVED`: the check that is removed. `CASEMATE_REFUSALS`: a file that gets a line for each refusal, with the test's name.
#[cfg(feature = "mutation")]
mod mutation {
    extern crate std;

    use std::io::Write;
    use std::sync::OnceLock;
    use std::{env, format, fs, thread};

    use alloc::string::String;

    static REMOVED: OnceLock<Option<String>> = OnceLock::new();

    /// Notes a check that does not hold; whether it is removed.
    pub fn refuses(name: &str) -> bool {
        let removed = REMOVED.get_or_init(|| env::var("CASEMATE_REMOVED").ok());
        if let Some(path) = env::var_os("CASEMATE_REFUSALS") {
            let mut file = fs::OpenOptions::new().append(true).open(path).expect("the file of refusals");
            let thread = thread::current();
            let line = format!("{}\t{name}\n", thread.name().unwrap_or_default());
            file.write_all(line.as_bytes()).expect("the file of refusals");
        }
        removed.as_deref() == Some(name)
    }
}
