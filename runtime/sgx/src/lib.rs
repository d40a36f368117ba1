//! SGX's architecture, and what Casemate computes over it: structures, measurement, SIGSTRUCT, reports,
//! keys, quotes, the enclave's layout, and the kernel's device interface.
//!
//! Pure: no I/O, no `unsafe`. The same code measures at signing, loads on every device, and runs inside the
//! enclave. Names and field order are those of the Intel SDM, volume 3D; section and table numbers are those of its
//! March 2024 edition (chapters 34 "Introduction", 35 "Enclave access control and data structures", 36 "Enclave
//! operation", 37 "Enclave exiting events", 38 "SGX instruction references").
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

#[cfg(not(target_endian = "little"))]
compile_error!("SGX structures are little-endian and are read in place");

extern crate alloc;

mod attributes;
mod elf;
mod error;
mod keys;
mod page;
mod report;
mod rsa;
mod sigstruct;
mod ssa;
mod variant;

pub mod device;
pub mod kernel;
pub mod layout;
pub mod measure;
pub mod quote;

pub use attributes::{Attributes, AttributesFlags, MiscSelect, Xfrm};
pub use elf::{ElfError, Image, Segment};
pub use error::{Fault, LeafError, ParseError, SgxError};
pub use keys::{KeyDependencies, KeyName, KeyPolicy, KeyRequest, cmac, hardcoded_padding, keys_equal};
pub use page::{PageInfo, PageType, SecInfo, SecInfoFlags, Secs, Tcs, TcsFlags};
pub use report::{EinitToken, Report, ReportBody, TargetInfo};
pub use rsa::{KEY_SIZE, message_representative, quotients, verify};
pub use sigstruct::{SigStruct, SigStructError, Template, mr_signer};
pub use ssa::{
    ExInfo, ExitInfo, ExitType, FRAME_EXTRA_SIZE, GprSgx, Vector, XsaveComponent, compacted_xsave_size,
    frame_pages, xsave_components, xsave_size,
};
pub use variant::{Edmm, MAX_ALTERNATIVE_SIZE, Settings, Variant};

/// Size of an EPC page and of every page of an enclave.
pub const PAGE_SIZE: usize = 4096;
