//! What an enclave can ask of the processor.

use casemate_sgx::{KeyName, KeyPolicy, KeyRequest, Report, ReportBody, TargetInfo};

use crate::message::Status;

/// EREPORT, EGETKEY and RDRAND.
pub trait Instructions {
    /// A report for `target` with this REPORTDATA.
    fn report(&mut self, target: &TargetInfo, data: &[u8; 64]) -> Report;

    /// A key, or `None` where the processor refuses.
    fn key(&mut self, request: &KeyRequest) -> Option<[u8; 16]>;

    /// Fills with random bytes.
    fn random(&mut self, bytes: &mut [u8]);
}

/// A target that no enclave is: for reports of which only the body matters.
fn nobody() -> TargetInfo {
    zerocopy::FromZeros::new_zeroed()
}

/// The enclave's own identity.
pub(crate) fn identity(cpu: &mut impl Instructions) -> ReportBody {
    cpu.report(&nobody(), &[0; 64]).body
}

/// Whether another enclave on this machine made this report for us.
pub(crate) fn is_for_us(cpu: &mut impl Instructions, report: &Report) -> bool {
    let mut request = KeyRequest::new(KeyName::Report);
    request.key_id = report.key_id;
    cpu.key(&request).is_some_and(|key| report.verify(&key))
}

/// The provisioning key for a processor's and an enclave's security version.
pub(crate) fn provisioning_key(
    cpu: &mut impl Instructions,
    cpusvn: [u8; 16],
    isv_svn: u16,
) -> Result<[u8; 16], Status> {
    let mut request = KeyRequest::new(KeyName::Provision);
    request.cpusvn = cpusvn;
    request.isv_svn = isv_svn;
    cpu.key(&request).ok_or(Status::NoKey)
}

/// The sealing key of this enclave's signer and product, for this version and key id.
pub(crate) fn seal_key(
    cpu: &mut impl Instructions,
    cpusvn: [u8; 16],
    isv_svn: u16,
    key_id: [u8; 32],
) -> Result<[u8; 16], Status> {
    let mut request = KeyRequest::new(KeyName::Seal);
    request.key_policy = KeyPolicy::MRSIGNER.bits();
    request.cpusvn = cpusvn;
    request.isv_svn = isv_svn;
    request.key_id = key_id;
    request.misc_mask = u32::MAX;
    cpu.key(&request).ok_or(Status::NoKey)
}
