//! The quoting side of a simulated vendor: what its two architectural enclaves compute.
//!
//! The *provisioning certification enclave* (PCE) derives the platform's certified key from the processor's
//! provisioning key and certifies quoting enclaves with it. The *quoting enclave* (QE) keeps an attestation key, sealed,
//! which the PCE certified once, and signs with it what other enclaves on the same machine report to it.
//!
//! Pure: the three instructions that they need are behind [`Instructions`]; `runtime/quoting-enclave` executes them, the
//! tests ask a software processor. Intel's own enclaves do this on hardware; these run on `softsgx` only.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod instructions;
mod message;
mod pce;
mod qe;
mod registration;
mod seal;

pub use instructions::Instructions;
pub use message::{Fields, MAX_MESSAGE, Reply, Role, Status, serve};
pub use pce::PCE_ID;
pub use qe::AUTH_DATA;
pub use registration::{REGISTRATION_SIZE, Registration};

/// Operations of a request: its first field.
pub mod operation {
    /// Either: nothing in; the enclave's own report body out.
    pub const IDENTITY: u32 = 1;
    /// PCE: nothing in; a registration out ([`crate::Registration`]).
    pub const REGISTER: u32 = 2;
    /// PCE: the QE's report in; the signature over its body out.
    pub const CERTIFY: u32 = 3;
    /// QE: the PCE's TARGETINFO in; the sealed attestation key and the QE's report for the PCE out.
    pub const NEW_KEY: u32 = 4;
    /// QE: sealed key, certified report body, its signature, PCK chain (PEM), the report to quote, and, where a report about
    /// the quote is wanted, a TARGETINFO and a nonce of 16 bytes in; the quote, and that report or nothing, out.
    pub const QUOTE: u32 = 5;
}
