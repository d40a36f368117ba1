//! The manifest's `secrets`, as the library OS hands them over (`casemate_manifest::Secrets::to_text`).

pub use casemate_manifest::Secrets as Settings;

use crate::failure::Failure;

/// Reads the member's canonical text. The library OS checked it with the rest of the measured manifest.
pub fn parse(text: &str) -> Result<Settings, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::Settings(error.to_string()))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub const EXAMPLE: &str = r#"{"args":[],"broker":["broker.example:8443"],"broker_key":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","env":{"PASSWORD":"db"},"files":{},"keys":{},"optional":[],"required":["db"],"results":[],"timeout_s":60}"#;

    #[test]
    fn the_manifests_member_is_read() {
        let settings = parse(EXAMPLE).unwrap();
        assert_eq!(settings.env["PASSWORD"], "db");
        assert_eq!(settings.broker_key.0[..4], [0x01, 0x23, 0x45, 0x67]);
    }

    #[test]
    fn unknown_members_and_wrong_pins_are_refused() {
        assert!(parse(&EXAMPLE.replace("timeout_s", "patience")).is_err());
        for wrong in ["", "zz", "é"] {
            let text = EXAMPLE.replacen("01", wrong, 1);
            assert!(parse(&text).is_err(), "{wrong}");
        }
    }
}
