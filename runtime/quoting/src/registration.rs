//! What a platform sends to be registered; `src/casemate/attestation/simulated/registration.py` reads it.

use alloc::vec::Vec;

use p256::ecdsa::SigningKey;

use crate::pce::sign;

const MAGIC: &[u8; 8] = b"CSMTPLAT";
const VERSION: u32 = 1;

/// Bytes of a signed registration.
pub const REGISTRATION_SIZE: usize = 196;

/// A platform's identity and the public half of the key that is to be certified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// PCEID.
    pub pce_id: u16,
    /// ISVSVN of the PCE.
    pub pce_svn: u16,
    /// PPID.
    pub ppid: [u8; 16],
    /// CPUSVN.
    pub cpusvn: [u8; 16],
    /// x, y, big-endian.
    pub public_key: [u8; 64],
}

impl Registration {
    /// The registration with the signature that proves that the enclave has the key.
    pub(crate) fn sign(&self, key: &SigningKey) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(REGISTRATION_SIZE);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.pce_id.to_le_bytes());
        bytes.extend_from_slice(&self.pce_svn.to_le_bytes());
        bytes.extend_from_slice(&self.ppid);
        bytes.extend_from_slice(&self.cpusvn);
        bytes.extend_from_slice(&self.public_key);
        bytes.extend_from_slice(&[0; 20]);
        let signature = sign(key, &bytes);
        bytes.extend_from_slice(&signature);
        bytes
    }
}
