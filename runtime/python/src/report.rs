//! REPORT, TARGETINFO and KEYREQUEST: what the enclaves of one machine tell each other, and ask their processor for.

use casemate_sgx as core;
use casemate_sgx::{Attributes, KeyName, KeyPolicy};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use zerocopy::IntoBytes;

use crate::sgx::{array, refuse};

/// What an enclave says of itself, and the MAC over it. Nothing about it is verified.
#[pyclass(frozen, module = "casemate._core")]
pub(crate) struct Report {
    #[pyo3(get)]
    cpusvn: Py<PyBytes>,
    #[pyo3(get)]
    miscselect: u32,
    #[pyo3(get)]
    cet_attributes: u8,
    #[pyo3(get)]
    isv_ext_prod_id: Py<PyBytes>,
    #[pyo3(get)]
    attributes: (u64, u64),
    #[pyo3(get)]
    mrenclave: Py<PyBytes>,
    #[pyo3(get)]
    mrsigner: Py<PyBytes>,
    #[pyo3(get)]
    config_id: Py<PyBytes>,
    #[pyo3(get)]
    isv_prod_id: u16,
    #[pyo3(get)]
    isv_svn: u16,
    #[pyo3(get)]
    config_svn: u16,
    #[pyo3(get)]
    isv_family_id: Py<PyBytes>,
    #[pyo3(get)]
    report_data: Py<PyBytes>,
    #[pyo3(get)]
    key_id: Py<PyBytes>,
    #[pyo3(get)]
    mac: Py<PyBytes>,
    raw: Py<PyBytes>,
}

impl Report {
    fn parsed(&self, py: Python<'_>) -> PyResult<core::Report> {
        core::Report::parse(self.raw.as_bytes(py)).map_err(refuse)
    }
}

#[pymethods]
impl Report {
    #[staticmethod]
    #[pyo3(signature = (data, /))]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let bytes = |value: &[u8]| PyBytes::new(py, value).unbind();
        let report = core::Report::parse(data).map_err(refuse)?;
        let body = &report.body;
        Ok(Self {
            cpusvn: bytes(&body.cpusvn),
            miscselect: body.miscselect,
            cet_attributes: body.cet_attributes,
            isv_ext_prod_id: bytes(&body.isv_ext_prod_id),
            attributes: (body.attributes.flags, body.attributes.xfrm),
            mrenclave: bytes(&body.mrenclave),
            mrsigner: bytes(&body.mrsigner),
            config_id: bytes(&body.config_id),
            isv_prod_id: body.isv_prod_id,
            isv_svn: body.isv_svn,
            config_svn: body.config_svn,
            isv_family_id: bytes(&body.isv_family_id),
            report_data: bytes(&body.report_data),
            key_id: bytes(&report.key_id),
            mac: bytes(&report.mac),
            raw: bytes(data),
        })
    }

    fn to_bytes(&self, py: Python<'_>) -> Py<PyBytes> {
        self.raw.clone_ref(py)
    }

    #[pyo3(signature = (report_key, /))]
    fn verify(&self, py: Python<'_>, report_key: &[u8]) -> PyResult<bool> {
        Ok(self.parsed(py)?.verify(&array("a report key", report_key)?))
    }

    /// The TARGETINFO of the enclave that made the report.
    fn target_info(&self, py: Python<'_>) -> PyResult<TargetInfo> {
        Ok(TargetInfo(core::TargetInfo::for_enclave(&self.parsed(py)?.body)))
    }
}

/// For whom a report is made.
#[pyclass(frozen, module = "casemate._core")]
pub(crate) struct TargetInfo(core::TargetInfo);

#[pymethods]
impl TargetInfo {
    #[staticmethod]
    #[pyo3(signature = (data, /))]
    fn from_bytes(data: &[u8]) -> PyResult<Self> {
        core::TargetInfo::parse(data).map(Self).map_err(refuse)
    }

    fn to_bytes(&self, py: Python<'_>) -> Py<PyBytes> {
        PyBytes::new(py, self.0.as_bytes()).unbind()
    }

    #[getter]
    fn mrenclave(&self, py: Python<'_>) -> Py<PyBytes> {
        PyBytes::new(py, &self.0.measurement).unbind()
    }

    #[getter]
    fn attributes(&self) -> (u64, u64) {
        (self.0.attributes.flags, self.0.attributes.xfrm)
    }

    #[getter]
    fn cet_attributes(&self) -> u8 {
        self.0.cet_attributes
    }

    #[getter]
    fn miscselect(&self) -> u32 {
        self.0.miscselect
    }

    #[getter]
    fn config_svn(&self) -> u16 {
        self.0.config_svn
    }

    #[getter]
    fn config_id(&self, py: Python<'_>) -> Py<PyBytes> {
        PyBytes::new(py, &self.0.config_id).unbind()
    }
}

/// What an enclave asks EGETKEY for.
#[pyclass(frozen, module = "casemate._core")]
pub(crate) struct KeyRequest(core::KeyRequest);

const KEY_NAMES: [(&str, KeyName); 5] = [
    ("einittoken", KeyName::EinitToken),
    ("provision", KeyName::Provision),
    ("provision_seal", KeyName::ProvisionSeal),
    ("report", KeyName::Report),
    ("seal", KeyName::Seal),
];

#[pymethods]
impl KeyRequest {
    #[new]
    #[pyo3(signature = (name, *, policy=0, isv_svn=0, cpusvn=None, attribute_mask=(0, 0), cet_attributes_mask=0,
                        key_id=None, misc_mask=0, config_svn=0))]
    #[allow(clippy::too_many_arguments)] // keywords in Python
    fn new(
        name: &str,
        policy: u16,
        isv_svn: u16,
        cpusvn: Option<&[u8]>,
        attribute_mask: (u64, u64),
        cet_attributes_mask: u8,
        key_id: Option<&[u8]>,
        misc_mask: u32,
        config_svn: u16,
    ) -> PyResult<Self> {
        let known = KEY_NAMES.iter().find(|(known, _)| *known == name);
        let (_, key) = known.ok_or_else(|| refuse(format!("'{name}' is no key's name")))?;
        if KeyPolicy::from_bits(policy).is_none() {
            return Err(refuse(format!("KEYPOLICY {policy:#x} has bits that do not exist")));
        }
        let (flags, xfrm) = attribute_mask;
        Ok(Self(core::KeyRequest {
            key_policy: policy,
            isv_svn,
            cet_attributes_mask,
            cpusvn: array("CPUSVN", cpusvn.unwrap_or(&[0; 16]))?,
            attribute_mask: Attributes { flags, xfrm },
            key_id: array("KEYID", key_id.unwrap_or(&[0; 32]))?,
            misc_mask,
            config_svn,
            ..core::KeyRequest::new(*key)
        }))
    }

    #[staticmethod]
    #[pyo3(signature = (data, /))]
    fn from_bytes(data: &[u8]) -> PyResult<Self> {
        core::KeyRequest::parse(data).map(Self).map_err(refuse)
    }

    fn to_bytes(&self, py: Python<'_>) -> Py<PyBytes> {
        PyBytes::new(py, self.0.as_bytes()).unbind()
    }

    /// None for a number that is no key's.
    #[getter]
    fn name(&self) -> Option<&'static str> {
        let found = KeyName::from_number(self.0.key_name)?;
        KEY_NAMES.iter().find(|(_, key)| *key == found).map(|(name, _)| *name)
    }

    #[getter]
    fn policy(&self) -> u16 {
        self.0.key_policy
    }

    #[getter]
    fn isv_svn(&self) -> u16 {
        self.0.isv_svn
    }

    #[getter]
    fn cpusvn(&self, py: Python<'_>) -> Py<PyBytes> {
        PyBytes::new(py, &self.0.cpusvn).unbind()
    }

    #[getter]
    fn attribute_mask(&self) -> (u64, u64) {
        (self.0.attribute_mask.flags, self.0.attribute_mask.xfrm)
    }

    #[getter]
    fn cet_attributes_mask(&self) -> u8 {
        self.0.cet_attributes_mask
    }

    #[getter]
    fn key_id(&self, py: Python<'_>) -> Py<PyBytes> {
        PyBytes::new(py, &self.0.key_id).unbind()
    }

    #[getter]
    fn misc_mask(&self) -> u32 {
        self.0.misc_mask
    }

    #[getter]
    fn config_svn(&self) -> u16 {
        self.0.config_svn
    }

    #[getter]
    fn reserved_is_zero(&self) -> bool {
        self.0.reserved_is_zero()
    }
}
