//! The evidence extension of RA-TLS certificates (`docs/formats/ra-tls.md`), written and strictly read.
//!
//! Source: "Interoperable RA-TLS X.509 Cert and Evidence Formats" and "Interoperable RA-TLS SGX / TDX Evidence Tags and
//! Formats" (Confidential Computing Consortium, Attestation SIG). Nothing here verifies a quote: `Evidence` says what a
//! certificate claims, `binds` whether the claims are about that certificate's key.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod claims;
mod error;

use alloc::vec::Vec;

use minicbor::data::Tag;
use minicbor::{Decoder, Encoder};

pub use claims::{HashAlgorithm, PublicKeyHash, claims, report_data};
pub use error::Error;

/// `tcg-dice-tagged-evidence`, the extension that carries the evidence.
pub const EVIDENCE_OID: &str = "2.23.133.5.4.9";

/// The contents of the object identifier of Gramine's older extension. Its bytes are an encoded identifier, tag and
/// length included, where only the value should be; read as written they spell this one.
pub const LEGACY_OID: &str = "0.6.9.42.840.113741.1337.6";

/// CBOR tag of a quote by Intel's trusted execution environments (IANA registry "CBOR Tags").
const INTEL_TEE_QUOTE: u64 = 60000;

/// A quote of version 3 with three certificates has under 5 KB; Gramine's buffer has 8 KB.
pub const MAX_QUOTE_BYTES: usize = 64 << 10;
/// Both claims, with a nonce of 64 bytes, have under 200 bytes.
pub const MAX_CLAIMS_BYTES: usize = 1 << 10;

/// What an evidence extension says. Nothing of it is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence<'a> {
    /// The quote, whose report data starts with the SHA-256 of `claims`.
    pub quote: &'a [u8],
    /// The serialized claims.
    pub claims: &'a [u8],
    /// The claim "pubkey-hash".
    pub public_key: PublicKeyHash<'a>,
    /// The claim "nonce".
    pub nonce: Option<&'a [u8]>,
}

impl<'a> Evidence<'a> {
    /// Reads an extension's value. Nothing may follow, lengths are definite, claims are known and occur once.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_QUOTE_BYTES + MAX_CLAIMS_BYTES + 32 {
            return Err(Error::TooLong);
        }
        let mut decoder = Decoder::new(bytes);
        let tag = decoder.tag().map_err(|_| Error::Malformed("no tag"))?;
        if tag != Tag::new(INTEL_TEE_QUOTE) {
            return Err(Error::UnknownEvidence(tag.as_u64()));
        }
        if decoder.array().map_err(|_| Error::Malformed("no array"))? != Some(2) {
            return Err(Error::Malformed("not an array of quote and claims"));
        }
        let quote = decoder.bytes().map_err(|_| Error::Malformed("the quote is no byte string"))?;
        let claims = decoder.bytes().map_err(|_| Error::Malformed("the claims are no byte string"))?;
        if decoder.position() != bytes.len() {
            return Err(Error::Malformed("bytes follow the evidence"));
        }
        if quote.len() > MAX_QUOTE_BYTES || claims.len() > MAX_CLAIMS_BYTES {
            return Err(Error::TooLong);
        }
        let (public_key, nonce) = claims::parse(claims)?;
        Ok(Self { quote, claims, public_key, nonce })
    }

    /// Whether the claims are about this public key (DER SubjectPublicKeyInfo).
    pub fn binds(&self, public_key_info: &[u8]) -> bool {
        self.public_key.is_of(public_key_info)
    }

    /// What the first 32 bytes of the quote's report data must be.
    pub fn report_data(&self) -> [u8; 64] {
        report_data(self.claims)
    }
}

/// An extension's value.
pub fn extension(quote: &[u8], claims: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::with_capacity(quote.len() + claims.len() + 16));
    let written = encoder
        .tag(Tag::new(INTEL_TEE_QUOTE))
        .and_then(|encoder| encoder.array(2))
        .and_then(|encoder| encoder.bytes(quote))
        .and_then(|encoder| encoder.bytes(claims));
    debug_assert!(written.is_ok(), "writing to memory does not fail");
    encoder.into_writer()
}
