//! From bytes to the model and back: the JSON shapes of members that are enums in the model, and the check
//! that the bytes are the canonical ones.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::error::ManifestError;
use crate::model::*;

impl Manifest {
    /// Reads and checks a canonical manifest.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(|error| explain(bytes, &error))?;
        if manifest.version != VERSION {
            return Err(ManifestError::Version(manifest.version.into()));
        }
        crate::check::check(&manifest)?;
        if manifest.to_bytes() != bytes {
            return Err(ManifestError::NotCanonical);
        }
        Ok(manifest)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // The model holds no floats, no maps with other keys than strings and writes to memory: it cannot fail.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// A manifest of another version most likely has other members: then the version is what to complain about.
fn explain(bytes: &[u8], error: &serde_json::Error) -> ManifestError {
    #[derive(Deserialize)]
    struct Probe {
        version: u64,
    }
    match serde_json::from_slice::<Probe>(bytes) {
        Ok(probe) if probe.version != u64::from(VERSION) => ManifestError::Version(probe.version),
        _ => ManifestError::Syntax(error.to_string()),
    }
}

/// `{"name", "value"}` or `{"from_host": true, "name"}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireEnvVar {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from_host: Option<bool>,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

impl TryFrom<WireEnvVar> for EnvVar {
    type Error = &'static str;

    fn try_from(wire: WireEnvVar) -> Result<EnvVar, &'static str> {
        let value = match (wire.from_host, wire.value) {
            (None, Some(value)) => EnvValue::Fixed(value),
            (Some(true), None) => EnvValue::FromHost,
            _ => return Err("an environment variable has either 'value' or 'from_host': true"),
        };
        Ok(EnvVar { name: wire.name, value })
    }
}

impl From<EnvVar> for WireEnvVar {
    fn from(var: EnvVar) -> WireEnvVar {
        match var.value {
            EnvValue::Fixed(value) => WireEnvVar { from_host: None, name: var.name, value: Some(value) },
            EnvValue::FromHost => WireEnvVar { from_host: Some(true), name: var.name, value: None },
        }
    }
}

/// `type` says which of the optional members are there: all of that type's and no others.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireMount {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_name: Option<String>,
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read_only: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
}

impl TryFrom<WireMount> for Mount {
    type Error = &'static str;

    fn try_from(wire: WireMount) -> Result<Mount, &'static str> {
        let members = (wire.source, wire.read_only, wire.uri, wire.key_name);
        let kind = match (wire.kind.as_str(), members) {
            ("tmpfs", (None, None, None, None)) => MountKind::Tmpfs,
            ("host", (Some(source), Some(read_only), None, None)) => MountKind::Host { source, read_only },
            ("encrypted", (None, None, Some(uri), Some(key_name))) => MountKind::Encrypted { uri, key_name },
            ("tmpfs" | "host" | "encrypted", _) => {
                return Err("a mount has members that its type does not have");
            }
            _ => return Err("a mount has an unknown type"),
        };
        Ok(Mount { path: wire.path, kind })
    }
}

impl From<Mount> for WireMount {
    fn from(mount: Mount) -> WireMount {
        let wire = WireMount { path: mount.path, ..WireMount::default() };
        match mount.kind {
            MountKind::Tmpfs => WireMount { kind: "tmpfs".into(), ..wire },
            MountKind::Host { source, read_only } => {
                WireMount { kind: "host".into(), source: Some(source), read_only: Some(read_only), ..wire }
            }
            MountKind::Encrypted { uri, key_name } => {
                WireMount { kind: "encrypted".into(), uri: Some(uri), key_name: Some(key_name), ..wire }
            }
        }
    }
}

impl TryFrom<String> for RootDigest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<RootDigest, &'static str> {
        const PROBLEM: &str = "a digest is 64 lowercase hexadecimal digits";
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(PROBLEM);
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_digit(pair[0]).ok_or(PROBLEM)? << 4 | hex_digit(pair[1]).ok_or(PROBLEM)?;
        }
        Ok(RootDigest(digest))
    }
}

impl From<RootDigest> for String {
    fn from(digest: RootDigest) -> String {
        let digits = |byte: &u8| {
            [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        };
        digest.0.iter().flat_map(digits).collect()
    }
}

/// Lowercase only.
pub(crate) fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
