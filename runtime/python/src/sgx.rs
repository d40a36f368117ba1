//! The enclave's layout and measurement, and SIGSTRUCTs.

use casemate_sgx as core;
use casemate_sgx::layout::{Content, Features, Parameters, Region};
use casemate_sgx::{Attributes, PAGE_SIZE, Template, Xfrm};
use pyo3::create_exception;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use zerocopy::IntoBytes;

create_exception!(
    casemate._core,
    SgxFormatError,
    PyValueError,
    "Bytes are not the SGX structure that they should be, or parameters have no layout; the message says why."
);

pub(crate) fn refuse(error: impl std::fmt::Display) -> PyErr {
    SgxFormatError::new_err(error.to_string())
}

/// Bytes of exactly this length.
pub(crate) fn array<const N: usize>(what: &str, bytes: &[u8]) -> PyResult<[u8; N]> {
    bytes.try_into().map_err(|_| refuse(format!("{what} needs {N} bytes, {} are there", bytes.len())))
}

fn xfrm(bits: u64) -> PyResult<Xfrm> {
    Xfrm::from_bits(bits).ok_or_else(|| refuse(format!("XFRM {bits:#x} names components that do not exist")))
}

#[pyclass(frozen, module = "casemate._core")]
pub(crate) struct EnclaveLayout {
    image: Vec<u8>,
    features: Features,
    layout: core::layout::Layout,
}

impl EnclaveLayout {
    fn image(&self) -> PyResult<core::Image<'_>> {
        core::Image::parse(&self.image).map_err(|error| refuse(format!("this is no enclave image: {error}")))
    }

    fn region(&self, number: usize) -> PyResult<&Region> {
        self.layout.regions().get(number).ok_or_else(|| PyIndexError::new_err("no such region"))
    }
}

#[pymethods]
impl EnclaveLayout {
    #[new]
    #[pyo3(signature = (image, measured, *, enclave_size, max_threads, edmm, exinfo, heap_size=None,
                        required_xfrm=None, optional_xfrm=None))]
    #[allow(clippy::too_many_arguments)] // keywords in Python
    fn new(
        image: Vec<u8>,
        measured: &[u8],
        enclave_size: u64,
        max_threads: u32,
        edmm: bool,
        exinfo: bool,
        heap_size: Option<u64>,
        required_xfrm: Option<u64>,
        optional_xfrm: Option<u64>,
    ) -> PyResult<Self> {
        let mut features = Features::default();
        if let Some(bits) = required_xfrm {
            features.required = xfrm(bits)?;
        }
        if let Some(bits) = optional_xfrm {
            features.optional = xfrm(bits)?;
        }
        let measured = array("the measured block", measured)?;
        let parameters =
            Parameters { enclave_size, heap_size, max_threads, edmm, exinfo, features, measured };
        let parsed = core::Image::parse(&image)
            .map_err(|error| refuse(format!("this is no enclave image: {error}")))?;
        let layout = core::layout::Layout::new(&parsed, &parameters).map_err(refuse)?;
        Ok(Self { image, features, layout })
    }

    /// The layout of one of the enclaves that a manifest allows.
    #[staticmethod]
    #[pyo3(signature = (image, measured, *, enclave_size, max_threads, edmm, variant))]
    fn of_manifest(
        image: Vec<u8>,
        measured: &[u8],
        enclave_size: u64,
        max_threads: u32,
        edmm: &str,
        variant: &str,
    ) -> PyResult<Self> {
        let unknown = |what, name| refuse(format!("'{name}' is no {what}"));
        let edmm = core::Edmm::from_name(edmm).ok_or_else(|| unknown("setting of edmm", edmm))?;
        let variant = core::Variant::from_name(variant).ok_or_else(|| unknown("variant", variant))?;
        let measured = array("the measured block", measured)?;
        let settings = core::Settings { enclave_size, max_threads, edmm, measured };
        let parsed = core::Image::parse(&image)
            .map_err(|error| refuse(format!("this is no enclave image: {error}")))?;
        let layout = settings.layout(&parsed, variant).map_err(refuse)?;
        Ok(Self { image, features: Features::default(), layout })
    }

    fn measure(&self, py: Python<'_>) -> PyResult<Py<PyBytes>> {
        let image = self.image()?;
        let value = py.detach(|| self.layout.measure(&image));
        Ok(PyBytes::new(py, &value).unbind())
    }

    /// (offset, pages, SECINFO.FLAGS, content, measured) of each region.
    fn regions(&self) -> Vec<(u64, u64, u64, &'static str, bool)> {
        let name = |content| match content {
            Content::Zero => "zero",
            Content::Tcs(_) => "tcs",
            Content::Measured => "measured",
            Content::Segment(_) => "image",
        };
        let regions = self.layout.regions().iter();
        regions.map(|r| (r.offset, r.pages, r.flags.bits(), name(r.content), r.measured)).collect()
    }

    fn page(&self, py: Python<'_>, region: usize, index: u64) -> PyResult<Py<PyBytes>> {
        let region = self.region(region)?;
        if index >= region.pages {
            return Err(PyIndexError::new_err("no such page"));
        }
        let mut page = [0; PAGE_SIZE];
        self.layout.read_page(&self.image()?, region, index, &mut page);
        Ok(PyBytes::new(py, &page).unbind())
    }

    #[getter]
    fn ssa_frame_size(&self) -> u32 {
        self.layout.block().ssa_frame_size
    }

    #[getter]
    fn enclave_size(&self) -> u64 {
        self.layout.block().enclave_size
    }

    #[getter]
    fn miscselect(&self) -> u32 {
        self.layout.miscselect().bits()
    }

    /// ((flags, xfrm), (flags mask, xfrm mask)).
    fn attributes(&self, debug: bool) -> ((u64, u64), (u64, u64)) {
        let (value, mask) = self.features.attributes(debug);
        ((value.flags, value.xfrm), (mask.flags, mask.xfrm))
    }
}

#[pyclass(frozen, module = "casemate._core")]
pub(crate) struct SigStruct(core::SigStruct);

#[pymethods]
impl SigStruct {
    #[staticmethod]
    #[pyo3(signature = (data, /))]
    fn from_bytes(data: &[u8]) -> PyResult<Self> {
        core::SigStruct::parse(data).map(Self).map_err(refuse)
    }

    #[staticmethod]
    #[pyo3(signature = (*, enclave_hash, attributes, attribute_mask, miscselect, miscmask, date, isv_prod_id, isv_svn))]
    #[allow(clippy::too_many_arguments)] // keywords in Python
    fn unsigned(
        enclave_hash: &[u8],
        attributes: (u64, u64),
        attribute_mask: (u64, u64),
        miscselect: u32,
        miscmask: u32,
        date: u32,
        isv_prod_id: u16,
        isv_svn: u16,
    ) -> PyResult<Self> {
        let attributes_of = |(flags, xfrm)| Attributes { flags, xfrm };
        Ok(Self(core::SigStruct::unsigned(&Template {
            date,
            swdefined: 0,
            miscselect: (miscselect, miscmask),
            attributes: (attributes_of(attributes), attributes_of(attribute_mask)),
            enclave_hash: array("ENCLAVEHASH", enclave_hash)?,
            isv_prod_id,
            isv_svn,
        })))
    }

    #[staticmethod]
    #[pyo3(signature = (data, /))]
    fn from_to_be_signed(data: &[u8]) -> PyResult<Self> {
        let signed = array("what is to be signed", data)?;
        core::SigStruct::from_to_be_signed(&signed).map(Self).map_err(refuse)
    }

    fn to_bytes(&self, py: Python<'_>) -> Py<PyBytes> {
        PyBytes::new(py, self.0.as_bytes()).unbind()
    }

    fn to_be_signed(&self, py: Python<'_>) -> Py<PyBytes> {
        PyBytes::new(py, &self.0.to_be_signed()).unbind()
    }

    #[pyo3(signature = (*, modulus, signature))]
    fn attach(&self, py: Python<'_>, modulus: &[u8], signature: &[u8]) -> PyResult<Self> {
        let (modulus, signature) = (array("the modulus", modulus)?, array("the signature", signature)?);
        py.detach(|| self.0.clone().attach(&modulus, &signature)).map(Self).map_err(refuse)
    }

    fn verify(&self) -> PyResult<()> {
        self.0.verify().map_err(refuse)
    }

    #[getter]
    fn vendor(&self) -> u32 {
        self.0.vendor
    }

    #[getter]
    fn date(&self) -> u32 {
        self.0.date
    }

    #[getter]
    fn swdefined(&self) -> u32 {
        self.0.swdefined
    }

    #[getter]
    fn mrenclave(&self, py: Python<'_>) -> Py<PyBytes> {
        PyBytes::new(py, &self.0.enclave_hash).unbind()
    }

    #[getter]
    fn mrsigner(&self, py: Python<'_>) -> Py<PyBytes> {
        PyBytes::new(py, &self.0.mr_signer()).unbind()
    }

    #[getter]
    fn modulus(&self, py: Python<'_>) -> Py<PyBytes> {
        PyBytes::new(py, &self.0.modulus).unbind()
    }

    #[getter]
    fn attributes(&self) -> (u64, u64) {
        (self.0.attributes.flags, self.0.attributes.xfrm)
    }

    #[getter]
    fn attribute_mask(&self) -> (u64, u64) {
        (self.0.attribute_mask.flags, self.0.attribute_mask.xfrm)
    }

    #[getter]
    fn miscselect(&self) -> u32 {
        self.0.miscselect
    }

    #[getter]
    fn miscmask(&self) -> u32 {
        self.0.miscmask
    }

    #[getter]
    fn debug(&self) -> bool {
        self.0.is_debug()
    }

    #[getter]
    fn isv_prod_id(&self) -> u16 {
        self.0.isv_prod_id
    }

    #[getter]
    fn isv_svn(&self) -> u16 {
        self.0.isv_svn
    }
}

/// (variant, file of its SIGSTRUCT) of each enclave that this setting of `edmm` allows, the preferred one first.
#[pyfunction]
#[pyo3(signature = (edmm, /))]
pub(crate) fn enclave_variants(edmm: &str) -> PyResult<Vec<(&'static str, &'static str)>> {
    let setting =
        core::Edmm::from_name(edmm).ok_or_else(|| refuse(format!("'{edmm}' is no setting of edmm")))?;
    Ok(setting.variants().iter().map(|variant| (variant.name(), variant.sigstruct_file())).collect())
}

/// MRSIGNER of a little-endian modulus.
#[pyfunction]
#[pyo3(signature = (modulus, /))]
pub(crate) fn mr_signer(py: Python<'_>, modulus: &[u8]) -> PyResult<Py<PyBytes>> {
    Ok(PyBytes::new(py, &core::mr_signer(&array("the modulus", modulus)?)).unbind())
}
