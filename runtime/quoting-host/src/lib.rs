//! The untrusted half of the simulated vendor's quoting side: two enclaves on a software SGX device, and a service
//! that speaks the protocol of Intel's architectural enclave service manager.
//!
//! Nothing here is trusted by the enclaves, and nothing here sees their keys other than sealed; but on `softsgx` whoever
//! reads the fuse file has them all the same.

mod enclave;
mod enter;
mod fuses;
mod pages;
mod platform;
mod service;

pub use enclave::{Enclave, EnclaveError};
pub use fuses::FuseFile;
pub use platform::{Platform, PlatformError};
pub use service::{answer, serve};
