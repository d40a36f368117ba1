//! The custom claims: which key the quote is for, and how fresh it is.

use alloc::vec::Vec;

use minicbor::{Decoder, Encoder};
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::error::Error;

const PUBLIC_KEY_HASH: &str = "pubkey-hash";
const NONCE: &str = "nonce";
/// "There is no restriction as to how many bytes the nonce value should be": this is ours.
const MAX_NONCE_BYTES: usize = 256;

/// The hash algorithms that verifiers must support, by their numbers in IANA's registry "Named Information".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// `sha-256`
    Sha256 = 1,
    /// `sha-384`
    Sha384 = 7,
    /// `sha-512`
    Sha512 = 8,
}

/// Value of the claim "pubkey-hash".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKeyHash<'a> {
    /// How it was hashed.
    pub algorithm: HashAlgorithm,
    /// The hash of the DER SubjectPublicKeyInfo.
    pub value: &'a [u8],
}

impl PublicKeyHash<'_> {
    pub(crate) fn is_of(&self, public_key_info: &[u8]) -> bool {
        match self.algorithm {
            HashAlgorithm::Sha256 => Sha256::digest(public_key_info)[..] == *self.value,
            HashAlgorithm::Sha384 => Sha384::digest(public_key_info)[..] == *self.value,
            HashAlgorithm::Sha512 => Sha512::digest(public_key_info)[..] == *self.value,
        }
    }
}

/// The serialized claims about a public key (DER SubjectPublicKeyInfo), hashed with SHA-256.
pub fn claims(public_key_info: &[u8], nonce: Option<&[u8]>) -> Vec<u8> {
    let mut hash = Encoder::new(Vec::with_capacity(40));
    let mut map = Encoder::new(Vec::with_capacity(64));
    let written = hash
        .array(2)
        .and_then(|hash| hash.u8(HashAlgorithm::Sha256 as u8))
        .and_then(|hash| hash.bytes(&Sha256::digest(public_key_info)))
        .and_then(|hash| {
            map.map(1 + u64::from(nonce.is_some()))?.str(PUBLIC_KEY_HASH)?.bytes(hash.writer())?;
            nonce.map_or(Ok(()), |nonce| map.str(NONCE)?.bytes(nonce).map(|_| ()))
        });
    debug_assert!(written.is_ok(), "writing to memory does not fail");
    map.into_writer()
}

/// What the quote must be made over: the SHA-256 of the claims, then zeros.
pub fn report_data(claims: &[u8]) -> [u8; 64] {
    let mut data = [0; 64];
    data[..32].copy_from_slice(&Sha256::digest(claims));
    data
}

pub(crate) fn parse(bytes: &[u8]) -> Result<(PublicKeyHash<'_>, Option<&[u8]>), Error> {
    let mut decoder = Decoder::new(bytes);
    let entries = match decoder.map().map_err(|_| Error::Malformed("the claims are no map"))? {
        Some(entries @ 1..=2) => entries,
        _ => return Err(Error::Claim("one or two were expected")),
    };
    let (mut key, mut nonce) = (None, None);
    for _ in 0..entries {
        let name = decoder.str().map_err(|_| Error::Malformed("a claim's name is no text"))?;
        let value = decoder.bytes().map_err(|_| Error::Malformed("a claim's value is no byte string"))?;
        match name {
            PUBLIC_KEY_HASH if key.is_none() => key = Some(parse_hash(value)?),
            NONCE if nonce.is_none() && value.len() <= MAX_NONCE_BYTES => nonce = Some(value),
            NONCE if nonce.is_none() => return Err(Error::TooLong),
            PUBLIC_KEY_HASH | NONCE => return Err(Error::Claim("one is there twice")),
            _ => return Err(Error::Claim("one is neither 'pubkey-hash' nor 'nonce'")),
        }
    }
    if decoder.position() != bytes.len() {
        return Err(Error::Malformed("bytes follow the claims"));
    }
    Ok((key.ok_or(Error::Claim("'pubkey-hash' is missing"))?, nonce))
}

fn parse_hash(bytes: &[u8]) -> Result<PublicKeyHash<'_>, Error> {
    let wrong = |_| Error::Malformed("'pubkey-hash' is not an array of algorithm and hash");
    let mut decoder = Decoder::new(bytes);
    if decoder.array().map_err(wrong)? != Some(2) {
        return Err(Error::Malformed("'pubkey-hash' is not an array of algorithm and hash"));
    }
    let (algorithm, length) = match decoder.u64().map_err(wrong)? {
        1 => (HashAlgorithm::Sha256, 32),
        7 => (HashAlgorithm::Sha384, 48),
        8 => (HashAlgorithm::Sha512, 64),
        other => return Err(Error::UnknownHash(other)),
    };
    let value = decoder.bytes().map_err(wrong)?;
    if value.len() != length || decoder.position() != bytes.len() {
        return Err(Error::Malformed("the public key's hash has not its algorithm's length"));
    }
    Ok(PublicKeyHash { algorithm, value })
}
