//! Quotes: taken apart by `casemate-sgx`, verified by `dcap-qvl`. What to accept is decided in Python.

use casemate_sgx as core;
use casemate_sgx::quote::CertificationData;
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::{QuoteCollateralV3, QuotePolicy};
use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::sgx::refuse;

create_exception!(
    casemate._core,
    QuoteVerificationError,
    PyValueError,
    "A quote, or the collateral to judge it by, is not genuine or not valid at that time; the message says which."
);

/// What a quote carries. Nothing about it is verified.
#[pyclass(frozen, module = "casemate._core", get_all)]
pub(crate) struct QuoteBody {
    mrenclave: Py<PyBytes>,
    mrsigner: Py<PyBytes>,
    report_data: Py<PyBytes>,
    cpusvn: Py<PyBytes>,
    config_id: Py<PyBytes>,
    attributes: (u64, u64),
    miscselect: u32,
    isv_prod_id: u16,
    isv_svn: u16,
    config_svn: u16,
    qe_vendor_id: Py<PyBytes>,
    qe_svn: u16,
    pce_svn: u16,
    user_data: Py<PyBytes>,
    qe_mrenclave: Py<PyBytes>,
    qe_mrsigner: Py<PyBytes>,
    qe_isv_prod_id: u16,
    qe_isv_svn: u16,
    certification_type: u16,
    pck_chain: Option<Py<PyBytes>>,
    size: usize,
}

/// Takes a quote apart.
#[pyfunction]
#[pyo3(signature = (data, /))]
pub(crate) fn parse_quote(py: Python<'_>, data: &[u8]) -> PyResult<QuoteBody> {
    let bytes = |value: &[u8]| PyBytes::new(py, value).unbind();
    let quote = core::quote::Quote::parse(data).map_err(refuse)?;
    let qe = &quote.signature.qe_report;
    let pck_chain = match quote.certification {
        CertificationData::PckChain(chain) => Some(bytes(chain)),
        _ => None,
    };
    Ok(QuoteBody {
        mrenclave: bytes(&quote.body.mrenclave),
        mrsigner: bytes(&quote.body.mrsigner),
        report_data: bytes(&quote.body.report_data),
        cpusvn: bytes(&quote.body.cpusvn),
        config_id: bytes(&quote.body.config_id),
        attributes: (quote.body.attributes.flags, quote.body.attributes.xfrm),
        miscselect: quote.body.miscselect,
        isv_prod_id: quote.body.isv_prod_id,
        isv_svn: quote.body.isv_svn,
        config_svn: quote.body.config_svn,
        qe_vendor_id: bytes(&quote.header.qe_vendor_id),
        qe_svn: quote.header.qe_svn,
        pce_svn: quote.header.pce_svn,
        user_data: bytes(&quote.header.user_data),
        qe_mrenclave: bytes(&qe.mrenclave),
        qe_mrsigner: bytes(&qe.mrsigner),
        qe_isv_prod_id: qe.isv_prod_id,
        qe_isv_svn: qe.isv_svn,
        certification_type: quote.certification.kind(),
        pck_chain,
        size: quote.size,
    })
}

/// What a vendor says about its platforms: the parts that verification needs.
#[pyclass(frozen, module = "casemate._core")]
pub(crate) struct QuoteCollateral(QuoteCollateralV3);

#[pymethods]
impl QuoteCollateral {
    #[new]
    #[pyo3(signature = (*, pck_crl_issuer_chain, root_ca_crl, pck_crl, tcb_info_issuer_chain, tcb_info,
                        tcb_info_signature, qe_identity_issuer_chain, qe_identity, qe_identity_signature))]
    #[allow(clippy::too_many_arguments)] // keywords in Python
    fn new(
        pck_crl_issuer_chain: String,
        root_ca_crl: Vec<u8>,
        pck_crl: Vec<u8>,
        tcb_info_issuer_chain: String,
        tcb_info: String,
        tcb_info_signature: Vec<u8>,
        qe_identity_issuer_chain: String,
        qe_identity: String,
        qe_identity_signature: Vec<u8>,
    ) -> Self {
        Self(QuoteCollateralV3 {
            pck_crl_issuer_chain,
            root_ca_crl,
            pck_crl,
            tcb_info_issuer_chain,
            tcb_info,
            tcb_info_signature,
            qe_identity_issuer_chain,
            qe_identity,
            qe_identity_signature,
            // Set, it would replace the chain that the quote itself carries.
            pck_certificate_chain: None,
        })
    }
}

/// What was found about a genuine quote's platform.
#[pyclass(frozen, module = "casemate._core", get_all)]
pub(crate) struct QuoteClaims {
    status: String,
    advisories: Vec<String>,
    platform_status: String,
    qe_status: String,
    evaluation_number: u32,
    tcb_date: u64,
    fmspc: Py<PyBytes>,
    ppid: Py<PyBytes>,
    platform_cpusvn: Py<PyBytes>,
    platform_pce_svn: u16,
    sgx_type: u8,
    earliest_issue: u64,
    latest_issue: u64,
    earliest_expiration: u64,
    root_key_id: Py<PyBytes>,
    pck_crl_number: u32,
    root_ca_crl_number: u32,
}

/// Verifies signatures, validity at a time (seconds of the Unix epoch) and the TCB, up to this root certificate.
#[pyfunction]
#[pyo3(signature = (quote, collateral, *, root, at))]
pub(crate) fn verify_quote(
    py: Python<'_>,
    quote: &[u8],
    collateral: &QuoteCollateral,
    root: Vec<u8>,
    at: u64,
) -> PyResult<QuoteClaims> {
    // Whether debug enclaves are acceptable is a claim of the policy, which names it in its refusal.
    let verifier = QuoteVerifier::new(root).allow_debug(true);
    let claims = py
        .detach(|| verifier.verify_with_policy(quote, &collateral.0, at, &QuotePolicy::claims_only(at)))
        .map_err(|error| QuoteVerificationError::new_err(format!("{error:#}")))?;
    let bytes = |value: &[u8]| PyBytes::new(py, value).unbind();
    let pck = &claims.platform.pck;
    Ok(QuoteClaims {
        status: claims.tcb.status.to_string(),
        advisories: claims.tcb.advisory_ids,
        platform_status: claims.platform.tcb_level.tcb_status.to_string(),
        qe_status: claims.qe.tcb_level.tcb_status.to_string(),
        evaluation_number: claims.tcb.eval_data_number,
        tcb_date: claims.platform.tcb_date_tag,
        fmspc: bytes(&pck.fmspc),
        ppid: bytes(&pck.ppid),
        platform_cpusvn: bytes(&pck.cpu_svn),
        platform_pce_svn: pck.pce_svn,
        sgx_type: pck.sgx_type,
        earliest_issue: claims.earliest_issue_date,
        latest_issue: claims.latest_issue_date,
        earliest_expiration: claims.earliest_expiration_date,
        root_key_id: bytes(&claims.platform.root_key_id),
        pck_crl_number: claims.platform.pck_crl_num,
        root_ca_crl_number: claims.platform.root_ca_crl_num,
    })
}

/// What a platform's certificate says: FMSPC, PPID, and which authority issued it (`processor` or `platform`).
#[pyfunction]
#[pyo3(signature = (certificate, /))]
pub(crate) fn pck_identity(
    py: Python<'_>,
    certificate: &[u8],
) -> PyResult<(Py<PyBytes>, Py<PyBytes>, &'static str)> {
    let refuse = |error| QuoteVerificationError::new_err(format!("{error:#}"));
    let extension = dcap_qvl::intel::parse_pck_extension(certificate).map_err(refuse)?;
    let authority = dcap_qvl::intel::pck_ca(certificate).map_err(refuse)?;
    let bytes = |value: &[u8]| PyBytes::new(py, value).unbind();
    Ok((bytes(&extension.fmspc), bytes(&extension.ppid), authority.as_id_str()))
}
