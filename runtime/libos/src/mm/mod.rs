//! Memory of a process: the VMA tree and what backs it.

mod address_space;

pub use address_space::{AddressSpace, FaultOutcome};
