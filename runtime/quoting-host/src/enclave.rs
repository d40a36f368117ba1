//! One architectural enclave: built, initialised, and asked.

use std::{fmt, io};

use casemate_quoting::{Fields, MAX_MESSAGE, Reply, Role, Status};
use casemate_sgx::device::{BuildError, Device, DeviceError, build};
use casemate_sgx::layout::{Features, Layout, LayoutError, Parameters};
use casemate_sgx::{Fault, Image, PageType, SecInfoFlags, Secs, SigStruct, Xfrm};
use casemate_softsgx::{Configuration, Fuses, Processor, SoftDevice};

use crate::enter::Machine;
use crate::pages::Pages;

/// Bytes of the enclaves' ranges.
const ENCLAVE_SIZE: u64 = 64 << 20;
/// The state components that the enclaves use.
const XCR0: u64 = Xfrm::LEGACY.bits();

/// Why an enclave is not there, or did not answer.
#[derive(Debug)]
pub enum EnclaveError {
    /// The image is no enclave image.
    Image(String),
    /// There is no such layout.
    Layout(LayoutError),
    /// The SIGSTRUCT is none.
    SigStruct(String),
    /// No memory.
    Memory(io::Error),
    /// The device refused.
    Build(BuildError),
    /// Entering failed.
    Enter(Fault),
    /// The enclave refused.
    Refused(Status),
    /// What came back is no reply.
    Malformed,
}

impl fmt::Display for EnclaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(error) => write!(f, "the quoting enclave's image cannot be used: {error}"),
            Self::Layout(error) => write!(f, "the quoting enclave cannot be laid out: {error}"),
            Self::SigStruct(error) => write!(f, "the vendor's SIGSTRUCT cannot be used: {error}"),
            Self::Memory(error) => write!(f, "no memory for an enclave: {error}"),
            Self::Build(error) => write!(f, "{error}"),
            Self::Enter(fault) => write!(f, "entering the enclave: {fault:?}"),
            Self::Refused(status) => write!(f, "the enclave refused: {}", sentence(*status)),
            Self::Malformed => f.write_str("the enclave's reply makes no sense"),
        }
    }
}

fn sentence(status: Status) -> &'static str {
    match status {
        Status::Done => "nothing",
        Status::Malformed => "the request is not one of its own",
        Status::NotForUs => "the report was not made for it on this machine",
        Status::NotQuotingEnclave => "the report is not of this vendor's quoting enclave",
        Status::NoKey => "the processor gave it no key",
        Status::NotSealedHere => "the sealed key is not this machine's",
        Status::NotCertified => "the certification is for another attestation key",
    }
}

/// An initialised enclave.
pub struct Enclave {
    machine: Machine,
    tcs: u64,
}

/// The layout of an architectural enclave with this role. `casemate vendor` measures the same.
pub fn layout(image: &Image<'_>, role: Role) -> Result<Layout, LayoutError> {
    Layout::new(
        image,
        &Parameters {
            enclave_size: ENCLAVE_SIZE,
            heap_size: None,
            max_threads: 1,
            edmm: true,
            exinfo: false,
            features: Features { required: Xfrm::LEGACY, optional: Xfrm::empty() },
            measured: role.block(),
        },
    )
}

impl Enclave {
    /// Builds it on a device of its own with the machine's fuses.
    pub fn load(
        image: &[u8],
        role: Role,
        sigstruct: &[u8],
        fuses: Fuses,
        report_key_id: [u8; 32],
    ) -> Result<Self, EnclaveError> {
        let image = Image::parse(image).map_err(|error| EnclaveError::Image(error.to_string()))?;
        let layout = layout(&image, role).map_err(EnclaveError::Layout)?;
        let sigstruct =
            SigStruct::parse(sigstruct).map_err(|error| EnclaveError::SigStruct(error.to_string()))?;
        let pages = Pages::reserve(ENCLAVE_SIZE).map_err(EnclaveError::Memory)?;
        let base = pages.base();
        let mut device =
            SoftDevice::new(Processor::new(fuses, Configuration::new(XCR0, report_key_id)), pages);
        device.provision();
        build(&mut Based { device: &mut device, base }, &layout, &image, &sigstruct, XCR0)
            .map_err(EnclaveError::Build)?;
        let thread = layout.block().thread(0).ok_or(EnclaveError::Malformed)?;
        let tcs = base + thread.tcs;
        Ok(Self { machine: Machine::new(device), tcs })
    }

    /// Makes a request; the reply's fields.
    pub fn ask(&mut self, operation: u32, fields: &[&[u8]]) -> Result<Vec<Vec<u8>>, EnclaveError> {
        let request = fields.iter().fold(Reply::new(operation), |request, field| request.field(field));
        let request = request.into_bytes();
        let mut reply = vec![0; MAX_MESSAGE];
        let words =
            [request.as_ptr() as u64, request.len() as u64, reply.as_mut_ptr() as u64, reply.len() as u64];
        let length = self.machine.enter(self.tcs, words).map_err(EnclaveError::Enter)?;
        let reply = usize::try_from(length).ok().and_then(|length| reply.get(..length));
        let (status, mut found) = reply.and_then(Fields::of).ok_or(EnclaveError::Malformed)?;
        match Status::from_number(status) {
            Some(Status::Done) => {}
            Some(status) => return Err(EnclaveError::Refused(status)),
            None => return Err(EnclaveError::Malformed),
        }
        let mut values = Vec::new();
        while found.end().is_err() {
            values.push(found.take().map_err(|_| EnclaveError::Malformed)?.to_vec());
        }
        Ok(values)
    }
}

/// A device that puts the enclave elsewhere than at address 0, where a process that has a C library cannot have it.
struct Based<'a> {
    device: &'a mut SoftDevice<Pages>,
    base: u64,
}

impl Device for Based<'_> {
    fn create(&mut self, secs: &Secs) -> Result<(), DeviceError> {
        let mut secs = Box::new(Secs { ..*secs });
        secs.base = self.base;
        self.device.create(&secs)
    }

    fn add_pages(
        &mut self,
        offset: u64,
        contents: &[u8],
        flags: SecInfoFlags,
        measure: bool,
    ) -> Result<(), DeviceError> {
        self.device.add_pages(offset, contents, flags, measure)
    }

    fn add_zero_pages(
        &mut self,
        offset: u64,
        length: u64,
        flags: SecInfoFlags,
        measure: bool,
    ) -> Result<(), DeviceError> {
        self.device.add_zero_pages(offset, length, flags, measure)
    }

    fn init(&mut self, sigstruct: &SigStruct) -> Result<(), DeviceError> {
        self.device.init(sigstruct)
    }

    fn augment(&mut self, offset: u64, length: u64) -> Result<(), DeviceError> {
        self.device.augment(offset, length)
    }

    fn restrict_permissions(
        &mut self,
        offset: u64,
        length: u64,
        permissions: SecInfoFlags,
    ) -> Result<(), DeviceError> {
        self.device.restrict_permissions(offset, length, permissions)
    }

    fn modify_types(&mut self, offset: u64, length: u64, page_type: PageType) -> Result<(), DeviceError> {
        self.device.modify_types(offset, length, page_type)
    }

    fn remove_pages(&mut self, offset: u64, length: u64) -> Result<(), DeviceError> {
        self.device.remove_pages(offset, length)
    }
}
