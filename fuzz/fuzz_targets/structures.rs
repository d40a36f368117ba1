//! Every parser on any bytes: no panic, and what parses survives its own accessors.
#![no_main]

use casemate_sgx::layout::{Features, Layout, LayoutBlock, Parameters};
use casemate_sgx::{
    Image, KeyRequest, PAGE_SIZE, Report, SecInfo, Secs, SigStruct, TargetInfo, Tcs, quote::Quote,
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Quote::parse(bytes).map(|quote| quote.certification.kind());
    let _ = SigStruct::parse(bytes).map(|sigstruct| sigstruct.verify());
    let _ = Secs::parse(bytes).map(|secs| secs.reserved_is_zero());
    let _ = Tcs::parse(bytes).map(|tcs| tcs.reserved_is_zero());
    let _ = SecInfo::parse(bytes).map(|secinfo| secinfo.checked_flags());
    let _ = KeyRequest::parse(bytes).map(|request| request.reserved_is_zero());
    let _ = TargetInfo::parse(bytes);
    let _ = Report::parse(bytes).map(|report| report.verify(&[0; 16]));
    if let Ok(page) = <&[u8; PAGE_SIZE]>::try_from(bytes) {
        let _ = LayoutBlock::read(page).map(|block| block.thread(0));
    }
    if let Ok(image) = Image::parse(bytes) {
        let parameters = Parameters {
            enclave_size: 1 << 28,
            heap_size: None,
            max_threads: 2,
            edmm: true,
            exinfo: true,
            features: Features::default(),
            measured: [0; 64],
        };
        let _ = Layout::new(&image, &parameters).map(|layout| layout.measure(&image));
    }
});
