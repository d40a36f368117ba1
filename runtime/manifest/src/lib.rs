//! The canonical manifest: what runs in the enclave, with what, allowed to see what.
//!
//! `casemate build` writes it (`docs/manifest.md`), the measured block carries its hash, and the enclave reads
//! it here before anything else happens. The bytes are JSON in one form only: UTF-8, members sorted, no white
//! space, integers, a final newline. Bytes that mean the same but are written differently are refused, so one
//! manifest has one hash.
//!
//! [`Manifest::parse`] accepts any bytes and does not panic. It does not check the hash: that is done by whoever
//! holds the measured block. What the host may add to the manifest (arguments, environment) is decided in
//! `admission`, what weakens the protection is put into words in `insecure`.

#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;

mod admission;
mod check;
mod error;
mod insecure;
mod model;
mod secrets;
mod wire;

pub use error::ManifestError;
pub use model::{
    Edmm, EnvValue, EnvVar, FDS_HARD_LIMIT, IndexRef, LogLevel, MAX_EXITLESS_THREADS, MAX_MANIFEST_BYTES,
    Manifest, Mount, MountKind, RootDigest, SealKey, VERSION,
};
pub use secrets::{INIT_PATH, RESULTS_PATH, Secrets};
