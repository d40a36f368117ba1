//! The survey of ELF files, and the patterns found at run time.
#![no_main]

use casemate_index::{find_runtime_sites, survey_elf};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for site in survey_elf(data).into_iter().chain(find_runtime_sites(data)) {
        assert!(site.offset() as usize + site.code_length() <= data.len());
    }
});
