//! What can be wrong with an extension.

use core::fmt;

/// Why evidence is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not the CBOR that it should be.
    Malformed(&'static str),
    /// A tag that is not that of an Intel quote.
    UnknownEvidence(u64),
    /// A claim that the specification does not know, or one that is there twice.
    Claim(&'static str),
    /// A hash algorithm that verifiers need not support (IANA "Named Information Hash Algorithm").
    UnknownHash(u64),
    /// More bytes than quotes and claims have.
    TooLong,
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(out, "the evidence is malformed: {what}"),
            Self::UnknownEvidence(tag) => {
                write!(out, "the evidence has the CBOR tag {tag}, not 60000 of a quote")
            }
            Self::Claim(what) => write!(out, "the evidence's claims are wrong: {what}"),
            Self::UnknownHash(id) => {
                write!(out, "the public key's hash uses algorithm {id}, not 1, 7 or 8 (SHA-256, -384, -512)")
            }
            Self::TooLong => write!(out, "the evidence has more bytes than a quote and its claims"),
        }
    }
}

impl core::error::Error for Error {}
