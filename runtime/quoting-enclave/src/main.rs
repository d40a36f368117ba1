//! The image of the simulated vendor's quoting and provisioning certification enclaves.
//!
//! One image for both; the measured block says which it is ([`casemate_quoting::Role`]), so they have two measurements.
//! It is built freestanding (`runtime/freestanding.toml`); an ordinary build of the workspace makes an empty program of it.
#![cfg_attr(freestanding, no_std, no_main)]

#[cfg(freestanding)]
mod heap;
#[cfg(freestanding)]
mod image;
#[cfg(freestanding)]
mod processor;

#[cfg(not(freestanding))]
fn main() {
    eprintln!("this is an enclave image; casemate-aesm loads it");
    std::process::exit(70);
}
