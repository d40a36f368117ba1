//! Quotes, collateral and platform certificates of any bytes, judged with sound ones of the rest (`fuzz/sound`): no panic, and
//! never another enclave than the sound quote's. What judges is dcap-qvl, as `casemate._core` calls it.
#![no_main]

use casemate_sgx::quote::Quote;
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::{QuoteCollateralV3, QuotePolicy};

const ROOT: &[u8] = include_bytes!("../sound/root.der");
const QUOTE: &[u8] = include_bytes!("../sound/quote.bin");
const COLLATERAL: &[u8] = include_bytes!("../sound/collateral.json");
/// 2026-03-01T12:00:00Z, when all of it was made.
const AT: u64 = 1_772_366_400;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 3 {
        0 => judge(bytes, &serde_json::from_slice(COLLATERAL).expect("sound collateral")),
        1 => {
            if let Ok(collateral) = serde_json::from_slice(bytes) {
                judge(QUOTE, &collateral);
            }
        }
        _ => {
            let _ = dcap_qvl::intel::parse_pck_extension(bytes);
            let _ = dcap_qvl::intel::pck_ca(bytes);
        }
    }
});

fn judge(quote: &[u8], collateral: &QuoteCollateralV3) {
    let verifier = QuoteVerifier::new(ROOT.to_vec()).allow_debug(true);
    let verified = verifier.verify_with_policy(quote, collateral, AT, &QuotePolicy::claims_only(AT)).is_ok();
    // dcap-qvl lets anything follow a quote; Casemate asks its own parser first.
    if let (true, Ok(found)) = (verified, Quote::parse(quote)) {
        assert_eq!(found.body, Quote::parse(QUOTE).expect("a sound quote").body);
    }
}
