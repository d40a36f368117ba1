//! An enclave image that tests the loader. Its first argument names a scenario; it says on standard error what it saw, and
//! exits 0 when all was right. `tests/loader.rs` builds it, puts it in a bundle and runs it.
//!
//! Freestanding like the real image; an ordinary build of the workspace makes an empty program of it.
#![cfg_attr(freestanding, no_std, no_main)]

#[cfg(freestanding)]
#[macro_use]
mod enclave;
#[cfg(freestanding)]
mod scenario;

#[cfg(not(freestanding))]
fn main() {
    eprintln!("this is a test enclave image; casemate-host loads it");
    std::process::exit(70);
}
