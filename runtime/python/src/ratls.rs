//! The evidence extension of RA-TLS certificates.

use casemate_ratls as core;
use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

create_exception!(
    casemate._core,
    EvidenceFormatError,
    PyValueError,
    "Bytes are not the evidence extension that they should be; the message says why."
);

/// An evidence extension, taken apart; nothing about it is verified.
#[pyclass(frozen, module = "casemate._core")]
pub(crate) struct Evidence {
    bytes: Vec<u8>,
}

impl Evidence {
    fn view(&self) -> core::Evidence<'_> {
        core::Evidence::parse(&self.bytes).expect("read once before")
    }
}

#[pymethods]
impl Evidence {
    #[new]
    #[pyo3(signature = (bytes, /))]
    fn new(bytes: Vec<u8>) -> PyResult<Self> {
        core::Evidence::parse(&bytes).map_err(|error| EvidenceFormatError::new_err(error.to_string()))?;
        Ok(Self { bytes })
    }

    #[getter]
    fn quote<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.view().quote)
    }

    #[getter]
    fn report_data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.view().report_data())
    }

    #[getter]
    fn nonce<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.view().nonce.map(|nonce| PyBytes::new(py, nonce))
    }

    fn binds(&self, public_key_info: &[u8]) -> bool {
        self.view().binds(public_key_info)
    }
}

#[pyfunction]
#[pyo3(signature = (public_key_info, nonce=None, /))]
pub(crate) fn evidence_claims<'py>(
    py: Python<'py>,
    public_key_info: &[u8],
    nonce: Option<&[u8]>,
) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &core::claims(public_key_info, nonce))
}

#[pyfunction]
#[pyo3(signature = (claims, /))]
pub(crate) fn evidence_report_data<'py>(py: Python<'py>, claims: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &core::report_data(claims))
}

#[pyfunction]
#[pyo3(signature = (quote, claims, /))]
pub(crate) fn evidence_extension<'py>(py: Python<'py>, quote: &[u8], claims: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &core::extension(quote, claims))
}
