//! The machine's quoting service.

use alloc::vec::Vec;

use casemate_abi::HostCall;

use super::file::admit_count;
use super::{HostError, TRANSFER_LIMIT, buffer, call_done, call_raw, put};
use crate::attest::{REPORT_SIZE, TARGET_INFO_SIZE};

/// The TARGETINFO of an enclave that the host says makes quotes.
pub fn quote_target() -> Result<[u8; TARGET_INFO_SIZE], HostError> {
    let range = buffer();
    call_done(HostCall::QuoteTarget, [range.address(), 0, 0, 0, 0, 0])?;
    let mut target = [0; TARGET_INFO_SIZE];
    if range.read(0, &mut target) { Ok(target) } else { Err(HostError::IO) }
}

/// What the host says is a quote over this report.
pub fn quote_make(report: &[u8; REPORT_SIZE]) -> Result<Vec<u8>, HostError> {
    let range = buffer();
    put(range, 0, report)?;
    let length = call_raw(HostCall::QuoteMake, [range.address(), TRANSFER_LIMIT as u64, 0, 0, 0, 0])?;
    let mut quote = alloc::vec![0; admit_count(length, TRANSFER_LIMIT)?];
    if range.read(0, &mut quote) { Ok(quote) } else { Err(HostError::IO) }
}
