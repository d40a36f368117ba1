//! What the loader needs of an SGX device, in hardware or in software, and how an enclave is built with it.

use alloc::boxed::Box;
use alloc::vec;
use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::layout::{Content, Layout};
use crate::{Image, LeafError, PAGE_SIZE, PageType, SecInfoFlags, Secs, SgxError, SigStruct};

/// An SGX device that holds one enclave. Offsets are from the enclave's base; offsets and lengths are in bytes, multiples
/// of the page size.
pub trait Device {
    /// Makes the enclave (ECREATE).
    fn create(&mut self, secs: &Secs) -> Result<(), DeviceError>;

    /// Adds pages with these contents (EADD), and measures each (EEXTEND) if `measure`.
    fn add_pages(
        &mut self,
        offset: u64,
        contents: &[u8],
        flags: SecInfoFlags,
        measure: bool,
    ) -> Result<(), DeviceError>;

    /// Adds pages of zeros.
    fn add_zero_pages(
        &mut self,
        offset: u64,
        length: u64,
        flags: SecInfoFlags,
        measure: bool,
    ) -> Result<(), DeviceError>;

    /// Ends the building (EINIT).
    fn init(&mut self, sigstruct: &SigStruct) -> Result<(), DeviceError>;

    /// Makes pages PENDING that the enclave is about to accept (EAUG).
    fn augment(&mut self, offset: u64, length: u64) -> Result<(), DeviceError>;

    /// Takes permissions away (EMODPR, ETRACK and what makes every thread leave once).
    fn restrict_permissions(
        &mut self,
        offset: u64,
        length: u64,
        permissions: SecInfoFlags,
    ) -> Result<(), DeviceError>;

    /// Changes the type to PT_TCS or PT_TRIM (EMODT, ETRACK and what makes every thread leave once).
    fn modify_types(&mut self, offset: u64, length: u64, page_type: PageType) -> Result<(), DeviceError>;

    /// Removes pages that the enclave accepted as PT_TRIM (EREMOVE).
    fn remove_pages(&mut self, offset: u64, length: u64) -> Result<(), DeviceError>;
}

/// Why a device refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// The instruction failed.
    Sgx(SgxError),
    /// The kernel refused, with this error number.
    System(i32),
    /// The kernel did part of the work and gave no reason.
    Incomplete {
        /// Bytes that were done.
        done: u64,
        /// Bytes that were asked for.
        of: u64,
    },
    /// Called in an order, or with sizes, that make no sense.
    Usage(&'static str),
}

impl From<SgxError> for DeviceError {
    fn from(error: SgxError) -> Self {
        Self::Sgx(error)
    }
}

impl From<LeafError> for DeviceError {
    fn from(error: LeafError) -> Self {
        Self::Sgx(error.into())
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sgx(error) => write!(f, "the SGX device refused: {error}"),
            Self::System(errno) => write!(f, "the kernel's SGX driver refused: error {errno}"),
            Self::Incomplete { done, of } => {
                write!(f, "the kernel's SGX driver stopped after {done} of {of} bytes")
            }
            Self::Usage(what) => f.write_str(what),
        }
    }
}

/// Where building an enclave failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// ECREATE.
    Create(DeviceError),
    /// Adding the pages at this offset.
    Add(u64, DeviceError),
    /// EINIT.
    Init(DeviceError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(error) => write!(f, "creating the enclave: {error}"),
            Self::Add(offset, error) => write!(f, "adding the page at {offset:#x}: {error}"),
            Self::Init(error) => write!(f, "initialising the enclave: {error}"),
        }
    }
}

/// A page's worth of bytes where a page could be: the kernel takes contents from page-aligned memory only.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(4096))]
pub struct AlignedPage(pub [u8; PAGE_SIZE]);

impl AlignedPage {
    /// All bytes 0.
    pub const ZERO: Self = Self([0; PAGE_SIZE]);
}

/// Pages that are handed to the device in one call.
const CHUNK_PAGES: usize = 64;

/// Builds the enclave: ECREATE, the layout's pages in the layout's order, EINIT. `xcr0`: the state components that
/// this processor and kernel have enabled.
pub fn build(
    device: &mut impl Device,
    layout: &Layout,
    image: &Image<'_>,
    sigstruct: &SigStruct,
    xcr0: u64,
) -> Result<(), BuildError> {
    let secs = Box::new(layout.secs(sigstruct.attributes_for(xcr0)));
    device.create(&secs).map_err(BuildError::Create)?;
    let mut chunk = vec![AlignedPage::ZERO; CHUNK_PAGES];
    for region in layout.regions() {
        if region.content == Content::Zero {
            device
                .add_zero_pages(region.offset, region.pages * PAGE_SIZE as u64, region.flags, region.measured)
                .map_err(|error| BuildError::Add(region.offset, error))?;
            continue;
        }
        for first in (0..region.pages).step_by(CHUNK_PAGES) {
            let count = (region.pages - first).min(CHUNK_PAGES as u64) as usize;
            for (index, page) in chunk[..count].iter_mut().enumerate() {
                layout.read_page(image, region, first + index as u64, &mut page.0);
            }
            let offset = region.offset + first * PAGE_SIZE as u64;
            device
                .add_pages(offset, chunk[..count].as_bytes(), region.flags, region.measured)
                .map_err(|error| BuildError::Add(offset, error))?;
        }
    }
    device.init(sigstruct).map_err(BuildError::Init)
}
