//! The trusted platform layer: the only way from the library OS to the host, and the only place of the enclave
//! with `unsafe`.
//!
//! Upwards it offers safe types: [`context::UserContext`] (run the program until it traps), [`user`] (the
//! program's memory), [`pages`], [`thread`], [`sync`], [`clock`], [`random`] and typed host calls in [`host`].
//! Downwards it makes host calls and believes nothing that comes back before it was checked.
#![no_std]
#![deny(clippy::undocumented_unsafe_blocks)]

extern crate alloc;

pub mod area;
pub mod attest;
pub mod boundary;
pub mod clock;
pub mod console;
pub mod context;
pub mod cpuid;
mod emulate;
mod enclu;
pub mod entry;
mod exception;
pub mod extended_state;
#[cfg(feature = "faults")]
pub mod faults;
mod gate;
pub mod heap;
pub mod host;
pub mod layout;
pub mod pages;
mod parking;
pub mod random;
pub mod start;
pub mod sync;
pub mod thread;
pub mod untrusted;
pub mod user;
pub mod vdso;

/// Size of a page in bytes.
pub const PAGE_SIZE: usize = 4096;
