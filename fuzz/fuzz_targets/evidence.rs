//! Evidence extensions of any bytes: no panic, and what is read is written the same or in fewer bytes.
#![no_main]

use casemate_ratls::{Evidence, extension};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(evidence) = Evidence::parse(bytes) {
        let again = extension(evidence.quote, evidence.claims);
        assert!(again.len() <= bytes.len());
        assert_eq!(Evidence::parse(&again), Ok(evidence));
    }
});
