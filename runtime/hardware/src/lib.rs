//! What the loader needs to run an enclave behind the kernel's SGX driver, beside the requests to the driver themselves
//! (`casemate_sgx::kernel`): where the enclave's pages are mapped ([`map`]), and the way in and out ([`gate`]).
//!
//! Untrusted, like the loader. No machine with SGX has run this: `docs/hardware.md` says what was tested and how.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod gate;
pub mod map;
