//! The enclave image: one static PIE whose only entry leads through the platform layer into the library OS.
//!
//! It is built freestanding (`runtime/freestanding.toml`); an ordinary build of the workspace makes an empty program of it,
//! so that `cargo test --workspace` and clippy need no special flags.
#![cfg_attr(freestanding, no_std, no_main)]

#[cfg(freestanding)]
mod image;

#[cfg(not(freestanding))]
fn main() {
    eprintln!("this is the enclave image; casemate-host loads it");
    std::process::exit(70);
}
