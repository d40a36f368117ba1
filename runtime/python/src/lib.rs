//! The extension module `casemate._core`: Python bindings of the pure crates. `src/casemate/_core.pyi` is its
//! interface; nothing is implemented here that the crates do not do.

mod index;
mod layers;
mod manifest;
mod processor;
mod protected_file;
mod quote;
mod ratls;
mod report;
mod sgx;

use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

create_exception!(
    casemate._core,
    IndexFormatError,
    PyValueError,
    "A layer entry, layer table or index is not acceptable; the message says which and why."
);

/// An error of the index crate as the Python exception.
fn refuse(error: impl std::fmt::Display) -> PyErr {
    IndexFormatError::new_err(error.to_string())
}

#[pymodule]
mod _core {
    use super::*;

    #[pymodule_export]
    use super::index::{Index, InodeInfo, Walk, merge_layers};
    #[pymodule_export]
    use super::layers::{FileHasher, FileSummary, LayerTable, verity_digest};
    #[pymodule_export]
    use super::manifest::{check_manifest, insecure_settings};
    #[pymodule_export]
    use super::processor::{SgxProcessor, sgx_processor};
    #[pymodule_export]
    use super::protected_file::{ProtectedFile, ProtectedFileError};
    #[pymodule_export]
    use super::quote::{
        QuoteBody, QuoteClaims, QuoteCollateral, QuoteVerificationError, parse_quote, pck_identity,
        verify_quote,
    };
    #[pymodule_export]
    use super::ratls::{
        Evidence, EvidenceFormatError, evidence_claims, evidence_extension, evidence_report_data,
    };
    #[pymodule_export]
    use super::report::{KeyRequest, Report, TargetInfo};
    #[pymodule_export]
    use super::sgx::{EnclaveLayout, SgxFormatError, SigStruct, enclave_variants, mr_signer};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("IndexFormatError", module.py().get_type::<IndexFormatError>())?;
        module.add("ManifestFormatError", module.py().get_type::<manifest::ManifestFormatError>())?;
        module.add("BLOCK_SIZE", casemate_index::BLOCK_SIZE)?;
        module.add("SURVEY_VERSION", casemate_index::SURVEY_VERSION)
    }
}
