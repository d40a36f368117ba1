//! The provisioning certification enclave.

use alloc::vec::Vec;

use casemate_sgx::{AttributesFlags, Report, ReportBody, cmac};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest, Sha256};
use zerocopy::IntoBytes;

use crate::instructions::{Instructions, identity, is_for_us, provisioning_key};
use crate::message::Status;
use crate::registration::Registration;

/// PCEID of this enclave.
pub const PCE_ID: u16 = 0;

/// ISVPRODID of the vendor's quoting enclave.
const QE_PROD_ID: u16 = 1;

/// The platform's certified key for the present security versions: it changes when the processor's or this enclave's does.
fn pck(cpu: &mut impl Instructions, own: &ReportBody) -> Result<SigningKey, Status> {
    let root = provisioning_key(cpu, own.cpusvn, own.isv_svn)?;
    (0..=u8::MAX)
        .find_map(|counter| {
            let seed = Sha256::new().chain_update(b"casemate PCK").chain_update([counter]).chain_update(root);
            SigningKey::from_slice(&seed.finalize()).ok()
        })
        .ok_or(Status::NoKey)
}

/// The platform's name, which is the same for all its security versions.
fn ppid(cpu: &mut impl Instructions) -> Result<[u8; 16], Status> {
    Ok(cmac(&provisioning_key(cpu, [0; 16], 0)?, &[0; 16]))
}

/// What the vendor's registration service takes.
pub(crate) fn register(cpu: &mut impl Instructions) -> Result<Vec<u8>, Status> {
    let own = identity(cpu);
    let key = pck(cpu, &own)?;
    let registration = Registration {
        pce_id: PCE_ID,
        pce_svn: own.isv_svn,
        ppid: ppid(cpu)?,
        cpusvn: own.cpusvn,
        public_key: public_point(&key),
    };
    Ok(registration.sign(&key))
}

/// Signs the report body of the vendor's quoting enclave, which stands behind its attestation key with it.
pub(crate) fn certify(cpu: &mut impl Instructions, report: &[u8; 432]) -> Result<[u8; 64], Status> {
    let report = Report::parse(report).map_err(|_| Status::Malformed)?;
    if !is_for_us(cpu, &report) {
        return Err(Status::NotForUs);
    }
    let own = identity(cpu);
    let flags = report.body.attributes.flags;
    let trusted = report.body.mrsigner == own.mrsigner
        && report.body.isv_prod_id == QE_PROD_ID
        && flags & AttributesFlags::PROVISION_KEY.bits() != 0
        && flags & AttributesFlags::DEBUG.bits() == 0;
    if !trusted {
        return Err(Status::NotQuotingEnclave);
    }
    Ok(sign(&pck(cpu, &own)?, report.body.as_bytes()))
}

/// r and s, big-endian.
pub(crate) fn sign(key: &SigningKey, message: &[u8]) -> [u8; 64] {
    let signature: Signature = key.sign(message);
    signature.to_bytes().into()
}

/// x and y, big-endian.
pub(crate) fn public_point(key: &SigningKey) -> [u8; 64] {
    let mut point = [0; 64];
    point.copy_from_slice(&key.verifying_key().to_sec1_point(false).as_bytes()[1..]);
    point
}
