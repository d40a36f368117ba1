//! The few things that the loader needs from the manifest.
//!
//! The enclave parses and checks the manifest itself (crate `casemate-manifest`); a loader that reads these wrongly only
//! makes an enclave that refuses to start. So unknown keys are skipped.

use casemate_sgx::Edmm;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// What the loader takes from the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Limits {
    /// Size of the enclave's address range in bytes.
    pub enclave_size: u64,
    /// Most threads at one time.
    pub max_threads: u32,
    /// Whether memory and threads are added on demand.
    #[serde(default = "automatic", deserialize_with = "read_edmm")]
    pub edmm: Edmm,
    /// How many threads serve exitless host calls.
    #[serde(default)]
    pub exitless_threads: u32,
}

fn automatic() -> Edmm {
    Edmm::Auto
}

fn read_edmm<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Edmm, D::Error> {
    Edmm::from_name(<&str>::deserialize(deserializer)?).ok_or(D::Error::custom("edmm"))
}

/// As `casemate-manifest` has it.
const MAX_EXITLESS_THREADS: u32 = 64;

impl Limits {
    /// Reads them; the error says what is wrong.
    pub fn read(manifest: &[u8]) -> Result<Limits, &'static str> {
        let limits: Limits = serde_json::from_slice(manifest)
            .map_err(|_| "it is not a manifest with enclave_size and max_threads")?;
        if !limits.enclave_size.is_power_of_two() || !(1 << 24..=1 << 46).contains(&limits.enclave_size) {
            return Err("enclave_size is not a power of two from 16 MiB to 64 TiB");
        }
        if limits.max_threads == 0 {
            return Err("max_threads is 0");
        }
        if limits.exitless_threads > MAX_EXITLESS_THREADS {
            return Err("exitless_threads is more than 64");
        }
        Ok(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_numbers_among_other_keys() {
        let expected = Limits { enclave_size: 1 << 30, max_threads: 8, edmm: Edmm::Off, exitless_threads: 0 };
        let flat = br#"{"enclave_size":1073741824,"env":{"max_threads":{"value":"\u0041"}},"edmm":"off","max_threads":8}"#;
        assert_eq!(Limits::read(flat), Ok(expected));
        let served = br#"{"enclave_size":1073741824,"exitless_threads":2,"edmm":"off","max_threads":8}"#;
        assert_eq!(Limits::read(served), Ok(Limits { exitless_threads: 2, ..expected }));
    }

    #[test]
    fn refuses_what_cannot_be_an_enclave() {
        for (text, reason) in [
            ("", "not a manifest"),
            ("{}", "not a manifest"),
            (r#"{"enclave_size":3000000000,"max_threads":1}"#, "power of two"),
            (r#"{"enclave_size":4096,"max_threads":1}"#, "power of two"),
            (r#"{"enclave_size":1073741824,"max_threads":0}"#, "max_threads is 0"),
            (
                r#"{"enclave_size":1073741824,"exitless_threads":65,"max_threads":1}"#,
                "exitless_threads is more",
            ),
            (r#"{"enclave_size":-1,"max_threads":0}"#, "not a manifest"),
        ] {
            let refusal = Limits::read(text.as_bytes()).unwrap_err();
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
    }
}
