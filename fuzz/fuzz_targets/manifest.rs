//! Any bytes as a manifest: no panic, and what is accepted is canonical and answers everything asked of it.
#![no_main]

use casemate_manifest::Manifest;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::parse(bytes) {
        assert_eq!(manifest.to_bytes(), bytes);
        let host = [b"NAME=value".to_vec(), bytes.to_vec()];
        let _ = (
            manifest.insecure(),
            manifest.arguments(&host),
            manifest.environment(&host),
            manifest.host_mount("/"),
        );
    }
});
