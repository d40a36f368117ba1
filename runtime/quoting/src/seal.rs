//! The sealed attestation key: AES-128-GCM under a sealing key of the vendor's quoting enclave on this machine.
//!
//! 182 bytes: `"CSMTQKEY"`, CPUSVN 16, ISVSVN u16, KEYID 32, nonce 12, public key 64, all of them authenticated; the private
//! key 32, encrypted; tag 16. A fresh KEYID makes a fresh sealing key each time, so no nonce repeats.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Nonce, Tag};
use alloc::vec::Vec;
use casemate_sgx::ReportBody;
use p256::ecdsa::SigningKey;

use crate::instructions::{Instructions, seal_key};
use crate::message::Status;
use crate::pce::public_point;

const MAGIC: &[u8; 8] = b"CSMTQKEY";
const HEADER: usize = 8 + 16 + 2 + 32 + 12 + 64;

/// Bytes of a sealed key.
pub(crate) const SEALED_SIZE: usize = HEADER + 32 + 16;

/// Seals a key for later runs of the same enclave, or of a newer version of it.
pub(crate) fn seal(
    cpu: &mut impl Instructions,
    own: &ReportBody,
    key: &SigningKey,
) -> Result<Vec<u8>, Status> {
    let mut key_id = [0; 32];
    cpu.random(&mut key_id);
    let mut nonce = [0; 12];
    cpu.random(&mut nonce);
    let mut sealed = Vec::with_capacity(SEALED_SIZE);
    sealed.extend_from_slice(MAGIC);
    sealed.extend_from_slice(&own.cpusvn);
    sealed.extend_from_slice(&own.isv_svn.to_le_bytes());
    sealed.extend_from_slice(&key_id);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&public_point(key));
    let cipher = Aes128Gcm::new(&seal_key(cpu, own.cpusvn, own.isv_svn, key_id)?.into());
    let mut secret: [u8; 32] = key.to_bytes().into();
    let tag = cipher
        .encrypt_inout_detached(&Nonce::from(nonce), &sealed, secret.as_mut_slice().into())
        .map_err(|_| Status::NoKey)?;
    sealed.extend_from_slice(&secret);
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// The key that [`seal`] sealed.
pub(crate) fn open(cpu: &mut impl Instructions, sealed: &[u8]) -> Result<SigningKey, Status> {
    let sealed: &[u8; SEALED_SIZE] = sealed.try_into().map_err(|_| Status::NotSealedHere)?;
    let (header, rest) = sealed.split_at(HEADER);
    if &header[..8] != MAGIC {
        return Err(Status::NotSealedHere);
    }
    let take = |from: usize, to: usize| &header[from..to];
    let (mut cpusvn, mut isv_svn, mut key_id, mut nonce) = ([0; 16], [0; 2], [0; 32], [0; 12]);
    cpusvn.copy_from_slice(take(8, 24));
    isv_svn.copy_from_slice(take(24, 26));
    key_id.copy_from_slice(take(26, 58));
    nonce.copy_from_slice(take(58, 70));
    let key =
        seal_key(cpu, cpusvn, u16::from_le_bytes(isv_svn), key_id).map_err(|_| Status::NotSealedHere)?;
    let (mut secret, mut tag) = ([0; 32], [0; 16]);
    secret.copy_from_slice(&rest[..32]);
    tag.copy_from_slice(&rest[32..]);
    Aes128Gcm::new(&key.into())
        .decrypt_inout_detached(&Nonce::from(nonce), header, secret.as_mut_slice().into(), &Tag::from(tag))
        .map_err(|_| Status::NotSealedHere)?;
    SigningKey::from_slice(&secret).map_err(|_| Status::NotSealedHere)
}
