//! The index reader: the input as an index file, and as the body of one that authenticates; then as a layer table.
#![no_main]

#[path = "../../runtime/index/tests/exercise/mod.rs"]
mod exercise;

use casemate_index::{Index, LayerTable, merge};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = Index::open(data.to_vec(), &[0; 32]);
    let (file, digest) = exercise::seal(data);
    if let Ok(index) = Index::open(file, &digest) {
        exercise::exercise(&index);
    }
    if let Ok(table) = LayerTable::from_bytes(data) {
        let _ = merge(&[table]);
    }
});
