//! What the enclave can show others: reports for enclaves of the same machine, and keys that only it (or its signer's enclaves) get.

use alloc::vec::Vec;

use casemate_abi::Platform;
use casemate_sgx::quote::Quote;
use casemate_sgx::{Attributes, AttributesFlags, KeyName, KeyPolicy, KeyRequest, Report, TargetInfo};
use zerocopy::IntoBytes;

use crate::host::{self, HostError};

/// Size of a TARGETINFO in bytes.
pub const TARGET_INFO_SIZE: usize = 512;
/// Size of a REPORT in bytes.
pub const REPORT_SIZE: usize = 432;

/// Whether there is an SGX processor (of hardware or software) to ask.
pub fn is_available() -> bool {
    crate::host::leaves_by_gate()
}

/// Whether the host may learn what the program does: it sees everything anyway on `direct` and in a debug enclave.
pub fn may_be_watched() -> bool {
    if !is_available() {
        return true;
    }
    let own = report(&[0; TARGET_INFO_SIZE], &[0; 64]).and_then(|bytes| Report::parse(&bytes).ok());
    own.is_some_and(|own| own.body.attributes.has(AttributesFlags::DEBUG))
}

/// EREPORT: this enclave's report with `data`, for the enclave that `target` names. None on `direct`.
pub fn report(target: &[u8; TARGET_INFO_SIZE], data: &[u8; 64]) -> Option<[u8; REPORT_SIZE]> {
    is_available().then(|| crate::enclu::report(target, data))
}

/// The TARGETINFO by which others make reports for this enclave. None on `direct`.
pub fn own_target_info() -> Option<[u8; TARGET_INFO_SIZE]> {
    let report = Report::parse(&report(&[0; TARGET_INFO_SIZE], &[0; 64])?).ok()?;
    let target = TargetInfo::for_enclave(&report.body);
    let mut bytes = [0; TARGET_INFO_SIZE];
    bytes.copy_from_slice(target.as_bytes());
    Some(bytes)
}

/// A quote over this enclave and `data` by the machine's quoting enclave. Nobody has verified its signatures.
///
/// Errors: `EIO` where there is no enclave, and for an answer that is no quote over this enclave's report; else the host's.
pub fn quote(data: &[u8; 64]) -> Result<Vec<u8>, HostError> {
    if !is_available() {
        return Err(HostError::IO);
    }
    // Whoever the target is: a report shows nothing that the enclave does not show everybody.
    let target = host::quote_target()?;
    let report = report(&target, data).ok_or(HostError::IO)?;
    admit_quote(host::quote_make(&report)?, &report).ok_or(HostError::IO)
}

/// The quote, cut to its size, if it is one over this report.
fn admit_quote(mut quote: Vec<u8>, report: &[u8; REPORT_SIZE]) -> Option<Vec<u8>> {
    let parsed = Quote::parse(&quote).ok()?;
    if parsed.body != Report::parse(report).ok()?.body {
        return None;
    }
    let size = parsed.size;
    quote.truncate(size);
    Some(quote)
}

/// Which enclaves get the same sealing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealTo {
    /// This very enclave.
    Enclave,
    /// Every enclave of the same signer and product whose version is at least this one's.
    Signer,
}

/// EGETKEY: the sealing key of this machine under these masks. None on `direct`.
pub fn seal_key(to: SealTo, flags_mask: u64, xfrm_mask: u64, misc_mask: u32) -> Option<[u8; 16]> {
    let own = Report::parse(&report(&[0; TARGET_INFO_SIZE], &[0; 64])?).ok()?.body;
    let mut request: KeyRequest = zerocopy::FromZeros::new_zeroed();
    request.key_name = KeyName::Seal as u16;
    request.key_policy = match to {
        SealTo::Enclave => KeyPolicy::MRENCLAVE,
        SealTo::Signer => KeyPolicy::MRSIGNER,
    }
    .bits();
    request.isv_svn = own.isv_svn;
    request.cpusvn = own.cpusvn;
    request.attribute_mask = Attributes { flags: flags_mask, xfrm: xfrm_mask };
    request.misc_mask = misc_mask;
    let bytes: Vec<u8> = request.as_bytes().to_vec();
    crate::enclu::key(bytes.as_slice().try_into().ok()?).ok()
}

/// A platform's name where it is asked for attestation.
pub fn attestation_type(platform: Platform) -> &'static str {
    match platform {
        Platform::Direct => "none",
        Platform::SoftSgx | Platform::Sgx => "dcap",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report_with(byte: u8) -> [u8; REPORT_SIZE] {
        let mut report = [0; REPORT_SIZE];
        report[..384].fill(byte);
        report
    }

    /// A quote of version 3 over a report body, with signatures of zeros and a certification of type 5.
    fn quote_over(report: &[u8; REPORT_SIZE]) -> Vec<u8> {
        let chain = b"certificates";
        let mut signature = alloc::vec![0; 576];
        signature.extend([0, 0]); // no authentication data
        signature.extend(5u16.to_le_bytes());
        signature.extend((chain.len() as u32).to_le_bytes());
        signature.extend(chain);
        let mut quote = alloc::vec![0; 48];
        quote[..4].copy_from_slice(&[3, 0, 2, 0]);
        quote[12..28].copy_from_slice(&casemate_sgx::quote::INTEL_QE_VENDOR);
        quote.extend(&report[..384]);
        quote.extend((signature.len() as u32).to_le_bytes());
        quote.extend(signature);
        quote
    }

    #[test]
    fn only_a_quote_over_the_report_itself_is_admitted() {
        let report = report_with(0);
        let quote = quote_over(&report);
        assert_eq!(admit_quote(quote.clone(), &report).as_ref(), Some(&quote));
        assert_eq!(admit_quote([quote.as_slice(), &[0; 100]].concat(), &report).as_ref(), Some(&quote));
        for at in 48..48 + 384 {
            let mut other = quote.clone();
            other[at] ^= 1;
            assert_eq!(admit_quote(other, &report), None, "byte {at}");
        }
        for length in 0..quote.len() {
            assert_eq!(admit_quote(quote[..length].to_vec(), &report), None, "{length} bytes");
        }
        assert_eq!(admit_quote([quote.as_slice(), &[1]].concat(), &report), None);
    }
}
