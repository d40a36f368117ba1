//! An SGX device in software.
//!
//! [`Processor`] is what SGX adds to a processor: the EPCM, the SECSs and TCSs, the control registers of the
//! pseudo-code, and one method for each leaf function. Each method performs the checks of the SDM's "Operation"
//! section (volume 3D, chapter 38) in that section's order and with its faults and codes; the comments quote the
//! conditions. Where the order between two checks differs from edition to edition, it is that of March 2024.
//!
//! What is not here: 32-bit mode beyond the checks of ECREATE and EADD, paging out (EBLOCK, EWB, ELD, EPA, so no page is
//! ever BLOCKED and no version array exists), debugging leaves (EDBGRD, EDBGWR), CET, AEX-Notify, virtualisation.
//! Methods take `&mut self`, so the conflicts between concurrent instructions that the manual lists cannot arise.
//!
//! Contents of pages live behind [`Memory`]: ordinary memory of the loader's process, or vectors in tests. SECS and
//! TCS contents are kept by the processor itself, as no software may see them.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod accept;
mod attest;
mod augment;
mod build;
mod check;
mod device;
mod enclu;
mod entry;
mod epcm;
mod exit;
mod fuses;
mod logical;
mod memory;
mod processor;
mod xsave;

pub use check::BUSY;
pub use device::SoftDevice;
pub use enclu::{ENCLU_LENGTH, Flow, Leaf};
pub use epcm::{EpcmEntry, EpcmFlags};
pub use exit::Event;
pub use fuses::{FuseError, FuseStore, Fuses, StoredFuses};
pub use logical::{LogicalProcessor, Registers};
pub use memory::Memory;
pub use processor::{Configuration, PageOperands, Processor};
pub use xsave::{MAX_XSAVE, XsaveArea};
