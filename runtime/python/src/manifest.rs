//! The canonical manifest: the checks that the enclave makes, for the tools that write it.

use casemate_manifest::Manifest;
use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

create_exception!(
    casemate._core,
    ManifestFormatError,
    PyValueError,
    "The bytes are not a canonical manifest; the message says why."
);

fn parse(data: &[u8]) -> PyResult<Manifest> {
    Manifest::parse(data).map_err(|error| ManifestFormatError::new_err(error.to_string()))
}

#[pyfunction]
#[pyo3(signature = (data, /))]
pub fn check_manifest(data: &[u8]) -> PyResult<()> {
    parse(data).map(|_| ())
}

#[pyfunction]
#[pyo3(signature = (data, /))]
pub fn insecure_settings(data: &[u8]) -> PyResult<Vec<String>> {
    parse(data).map(|manifest| manifest.insecure())
}
