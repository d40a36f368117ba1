//! The quoting enclave.

use alloc::vec::Vec;

use casemate_sgx::quote::{ECDSA_P256, EcdsaSignature, INTEL_QE_VENDOR, QuoteHeader};
use casemate_sgx::{Report, ReportBody, TargetInfo};
use p256::ecdsa::SigningKey;
use sha2::{Digest, Sha256};
use zerocopy::{FromBytes, IntoBytes};

use crate::instructions::{Instructions, identity, is_for_us, seal_key};
use crate::message::{Fields, Status};
use crate::pce::{public_point, sign};
use crate::seal::{open, seal};

/// Authentication data in every quote: Intel's quoting enclave has the same 32 bytes, and verifiers expect so many.
pub const AUTH_DATA: [u8; 32] = {
    let mut data = [0; 32];
    let mut index = 0;
    while index < 32 {
        data[index] = index as u8;
        index += 1;
    }
    data
};

/// Certification data of type 5: the PCK certificate chain.
const PCK_CHAIN: u16 = 5;

/// What a quote is made from, besides the enclave's own secrets.
pub(crate) struct QuoteRequest<'a> {
    sealed: &'a [u8],
    certified: &'a [u8; 384],
    certification: &'a [u8; 64],
    chain: &'a [u8],
    report: Report,
    about: Option<(TargetInfo, &'a [u8; 16])>,
}

impl<'a> QuoteRequest<'a> {
    pub(crate) fn read(fields: &mut Fields<'a>) -> Result<Self, Status> {
        let (sealed, certified, certification, chain) =
            (fields.take()?, fields.array()?, fields.array()?, fields.take()?);
        let report = Report::parse(fields.take()?).map_err(|_| Status::Malformed)?;
        let (target, nonce) = (fields.take()?, fields.take()?);
        fields.end()?;
        let about = if target.is_empty() && nonce.is_empty() {
            None
        } else {
            let target = TargetInfo::parse(target).map_err(|_| Status::Malformed)?;
            Some((target, nonce.try_into().map_err(|_| Status::Malformed)?))
        };
        Ok(Self { sealed, certified, certification, chain, report, about })
    }
}

/// A new attestation key, sealed, and the report by which the PCE certifies it.
pub(crate) fn new_key(cpu: &mut impl Instructions, pce: &[u8; 512]) -> Result<(Vec<u8>, Report), Status> {
    let pce = TargetInfo::parse(pce).map_err(|_| Status::Malformed)?;
    let key = loop {
        let mut secret = [0; 32];
        cpu.random(&mut secret);
        if let Ok(key) = SigningKey::from_slice(&secret) {
            break key;
        }
    };
    let own = identity(cpu);
    let sealed = seal(cpu, &own, &key)?;
    Ok((sealed, cpu.report(&pce, &key_hash(&public_point(&key)))))
}

/// REPORTDATA that binds an attestation key to this enclave (A.4, table 4 of the quote format).
fn key_hash(point: &[u8; 64]) -> [u8; 64] {
    let mut data = [0; 64];
    data[..32].copy_from_slice(&Sha256::new().chain_update(point).chain_update(AUTH_DATA).finalize());
    data
}

/// A quote over a report that was made for this enclave, and a report about the quote if one is wanted.
pub(crate) fn quote(
    cpu: &mut impl Instructions,
    request: &QuoteRequest<'_>,
) -> Result<(Vec<u8>, Option<Report>), Status> {
    if !is_for_us(cpu, &request.report) {
        return Err(Status::NotForUs);
    }
    let key = open(cpu, request.sealed)?;
    let point = public_point(&key);
    let own = identity(cpu);
    let certified = ReportBody::read_from_bytes(request.certified).map_err(|_| Status::Malformed)?;
    if certified.report_data != key_hash(&point) || certified.mrsigner != own.mrsigner {
        return Err(Status::NotCertified);
    }
    let header = QuoteHeader {
        version: 3,
        attestation_key_type: ECDSA_P256,
        reserved: 0,
        qe_svn: certified.isv_svn,
        pce_svn: 0,
        qe_vendor_id: INTEL_QE_VENDOR,
        user_data: platform_id(cpu)?,
    };
    let mut quote = Vec::with_capacity(2048 + request.chain.len());
    quote.extend_from_slice(header.as_bytes());
    quote.extend_from_slice(request.report.body.as_bytes());
    let signature = EcdsaSignature {
        signature: sign(&key, &quote),
        attestation_key: point,
        qe_report: certified,
        qe_report_signature: *request.certification,
    };
    let data_size = size_of::<EcdsaSignature>() + 2 + AUTH_DATA.len() + 2 + 4 + request.chain.len() + 1;
    quote.extend_from_slice(&(data_size as u32).to_le_bytes());
    quote.extend_from_slice(signature.as_bytes());
    quote.extend_from_slice(&(AUTH_DATA.len() as u16).to_le_bytes());
    quote.extend_from_slice(&AUTH_DATA);
    quote.extend_from_slice(&PCK_CHAIN.to_le_bytes());
    quote.extend_from_slice(&(request.chain.len() as u32 + 1).to_le_bytes());
    quote.extend_from_slice(request.chain);
    quote.push(0);
    let about = request.about.as_ref().map(|(target, nonce)| {
        let mut data = [0; 64];
        data[..32].copy_from_slice(&Sha256::new().chain_update(nonce).chain_update(&quote).finalize());
        cpu.report(target, &data)
    });
    Ok((quote, about))
}

/// The quote header's user data: 16 bytes that name this platform to its vendor, the same in every quote of it.
fn platform_id(cpu: &mut impl Instructions) -> Result<[u8; 20], Status> {
    let key = seal_key(cpu, [0; 16], 0, [0; 32])?;
    let mut data = [0; 20];
    data[..16]
        .copy_from_slice(&Sha256::new().chain_update(b"casemate QE ID").chain_update(key).finalize()[..16]);
    Ok(data)
}
