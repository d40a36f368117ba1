//! What this processor says of SGX (CPUID leaves 07H and 12H; SDM 33.7, "Discovering support for Intel SGX").

use pyo3::prelude::*;
use raw_cpuid::{CpuId, SgxSectionInfo};

/// SGX as CPUID describes it. Everything is false or 0 on a processor without it.
#[pyclass(frozen, module = "casemate._core", get_all)]
pub(crate) struct SgxProcessor {
    vendor: String,
    brand: String,
    sgx: bool,
    flexible_launch_control: bool,
    sgx1: bool,
    sgx2: bool,
    /// Faults on memory are reported to the enclave (MISCSELECT.EXINFO).
    exinfo: bool,
    /// Bytes of the largest 64-bit enclave.
    max_enclave_size: u64,
    /// The XFRM bits that an enclave may have.
    xfrm: u64,
    /// Bytes of all EPC sections.
    epc_size: u64,
}

/// Asks the processor that this runs on.
#[pyfunction]
pub(crate) fn sgx_processor() -> SgxProcessor {
    let cpuid = CpuId::new();
    let features = cpuid.get_extended_feature_info();
    let sgx = features.as_ref().is_some_and(|features| features.has_sgx());
    // Leaf 12H means nothing where leaf 7 does not announce it.
    let info = if sgx { cpuid.get_sgx_info() } else { None };
    SgxProcessor {
        vendor: cpuid.get_vendor_info().map_or_else(String::new, |vendor| vendor.as_str().to_owned()),
        brand: cpuid
            .get_processor_brand_string()
            .map_or_else(String::new, |brand| brand.as_str().trim().to_owned()),
        sgx,
        flexible_launch_control: features.is_some_and(|features| features.has_sgx_lc()),
        sgx1: info.as_ref().is_some_and(|info| info.has_sgx1()),
        sgx2: info.as_ref().is_some_and(|info| info.has_sgx2()),
        exinfo: info.as_ref().is_some_and(|info| info.miscselect() & 1 != 0),
        max_enclave_size: info
            .as_ref()
            .and_then(|info| 1u64.checked_shl(info.max_enclave_size_64bit().into()))
            .unwrap_or(0),
        xfrm: info.as_ref().map_or(0, |info| info.secs_attributes().1),
        epc_size: info.map_or(0, |info| {
            info.iter().map(|SgxSectionInfo::Epc(section)| section.size()).fold(0, u64::saturating_add)
        }),
    }
}
