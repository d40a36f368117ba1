//! Why a manifest is refused.

use alloc::string::{String, ToString};
use core::fmt;

/// Why bytes are not an acceptable canonical manifest. `Display` is one sentence for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestError {
    /// More than [`MAX_MANIFEST_BYTES`](crate::MAX_MANIFEST_BYTES) bytes: this many.
    TooLarge(usize),
    /// No JSON, or a member is missing, unknown or of the wrong type; the text says where.
    Syntax(String),
    /// The format's version is not this crate's.
    Version(u64),
    /// A member's value makes no sense.
    Value {
        /// The member.
        member: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The content is acceptable but not written in the canonical form.
    NotCanonical,
}

impl ManifestError {
    pub(crate) fn value(member: &'static str, problem: impl ToString) -> ManifestError {
        ManifestError::Value { member, problem: problem.to_string() }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ManifestError::TooLarge(size) => {
                write!(f, "the manifest has {size} bytes, more than {}", crate::MAX_MANIFEST_BYTES)
            }
            ManifestError::Syntax(text) => write!(f, "the manifest cannot be read: {text}"),
            ManifestError::Version(found) => {
                write!(f, "the manifest has version {found}, this runtime reads version {}", crate::VERSION)
            }
            ManifestError::Value { member, problem } => write!(f, "manifest member '{member}': {problem}"),
            ManifestError::NotCanonical => f.write_str("the manifest is not in canonical form"),
        }
    }
}

impl core::error::Error for ManifestError {}
