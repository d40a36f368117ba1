//! The manifest's `secrets`, as the library OS hands them over.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::failure::Failure;

/// `secrets` of the canonical manifest (`docs/manifest.md`).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Arguments that follow the program's own: names of secrets.
    pub args: Vec<String>,
    /// `HOST:PORT` of brokers, asked in this order.
    pub broker: Vec<String>,
    /// SHA-256 of the broker's public key (DER SubjectPublicKeyInfo), hexadecimal.
    pub broker_key: String,
    /// Variables: names of secrets by the variable's name.
    pub env: BTreeMap<String, String>,
    /// Files: names of secrets by absolute path.
    pub files: BTreeMap<String, String>,
    /// File keys: names of secrets by the key's name.
    pub keys: BTreeMap<String, String>,
    /// Secrets whose absence is no reason not to start.
    pub optional: Vec<String>,
    /// Secrets without which the program does not start.
    pub required: Vec<String>,
    /// What goes back when the program has ended: files, and all files in directories.
    pub results: Vec<String>,
    /// How long to ask before giving up.
    pub timeout_s: u32,
}

impl Settings {
    pub fn parse(text: &str) -> Result<Self, Failure> {
        serde_json::from_str(text).map_err(|error| Failure::Settings(error.to_string()))
    }

    /// The broker's pin.
    pub fn pin(&self) -> Result<[u8; 32], Failure> {
        let wrong = || Failure::Settings("broker_key is not 64 hexadecimal digits".into());
        if self.broker_key.len() != 64 || !self.broker_key.is_ascii() {
            return Err(wrong());
        }
        let mut pin = [0; 32];
        for (byte, at) in pin.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&self.broker_key[at..at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(pin)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub const EXAMPLE: &str = r#"{"args":[],"broker":["broker.example:8443"],"broker_key":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","env":{"PASSWORD":"db"},"files":{},"keys":{},"optional":[],"required":["db"],"results":[],"timeout_s":60}"#;

    #[test]
    fn the_manifests_member_is_read() {
        let settings = Settings::parse(EXAMPLE).unwrap();
        assert_eq!(settings.env["PASSWORD"], "db");
        assert_eq!(settings.pin().unwrap()[..4], [0x01, 0x23, 0x45, 0x67]);
    }

    #[test]
    fn unknown_members_and_wrong_pins_are_refused() {
        assert!(Settings::parse(&EXAMPLE.replace("timeout_s", "patience")).is_err());
        for wrong in ["", "zz", "é"] {
            let text = EXAMPLE.replacen("01", wrong, 1);
            assert!(Settings::parse(&text).unwrap().pin().is_err(), "{wrong}");
        }
    }
}
