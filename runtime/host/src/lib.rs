//! The untrusted loader: creates the enclave, enters it, and serves its host calls.
//!
//! On `direct` and `softsgx` it shares an address space and threads with the enclave image and the program, so it keeps to itself: no C library,
//! no thread register, no vector registers beyond baseline SSE, its own stacks. Nothing in here is trusted; the enclave checks
//! every result (docs/host-calls.md).
//!
//! The binary (`main.rs`) adds the entry point. As a library it exists for its unit tests.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod arguments;
pub mod heap;
pub mod report;
pub mod start;
pub mod sys;

mod arena;
mod blocking;
mod boot;
mod bundle;
mod calls;
mod cpuid;
mod descriptors;
mod exitless;
mod hardware;
#[cfg(feature = "hostile")]
mod hostile;
mod image;
mod lock;
mod manifest;
mod memory;
mod registers;
mod run;
mod signal;
mod signal_frame;
mod soft;
mod stats;
mod thread;
mod vdso;
