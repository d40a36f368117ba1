//! Digests equal to those of Debian's `fsverity digest`, and streaming equal to hashing at once.

use std::path::PathBuf;
use std::process::Command;

use casemate_index::{Attributes, FileHasher, HasherError, LayerTable, merge, verity_digest};
use proptest::prelude::*;

/// What the tool prints for this content; `None` where there is no tool.
fn tool_digest(content: &[u8], name: &str) -> Option<String> {
    let path: PathBuf = std::env::temp_dir().join(format!("casemate-verity-{}-{name}", std::process::id()));
    std::fs::write(&path, content).unwrap();
    let output =
        Command::new("fsverity").args(["digest", "--hash-alg=sha256", "--compact"]).arg(&path).output();
    std::fs::remove_file(&path).unwrap();
    match output {
        Ok(output) => Some(String::from_utf8(output.stdout).unwrap().trim().to_string()),
        Err(error) => {
            println!("skipped: fsverity does not run here ({error})");
            None
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn content(size: usize) -> Vec<u8> {
    (0..size as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn stream(content: &[u8], step: usize) -> [u8; 32] {
    let mut hasher = FileHasher::new(content.len() as u64);
    content.chunks(step).for_each(|piece| hasher.update(piece).unwrap());
    hasher.finish().unwrap().digest()
}

#[test]
fn digests_are_those_of_the_tool() {
    let block = 4096;
    for size in [0, 1, 4095, block, block + 1, 2 * block, 128 * block, 128 * block + 1, 128 * 129 * block + 7]
    {
        let content = content(size);
        let Some(expected) = tool_digest(&content, &size.to_string()) else { return };
        assert_eq!(hex(&verity_digest(&content)), expected, "{size} bytes");
        assert_eq!(hex(&stream(&content, 100_000)), expected, "{size} bytes, streamed");
    }
}

#[test]
fn the_root_digest_is_the_tools_digest_of_the_body() {
    let mut layer = LayerTable::new("");
    for i in 0..5000 {
        layer.add_directory(format!("d{i}").as_bytes(), Attributes::default()).unwrap();
    }
    let merged = merge(&[layer]).unwrap();
    let blocks = u64::from_le_bytes(merged.bytes[16..24].try_into().unwrap()) as usize;
    assert!(blocks > 128, "more than one level");
    let Some(expected) = tool_digest(&merged.bytes[..blocks * 4096], "body") else { return };
    assert_eq!(hex(&merged.root_digest), expected);
}

#[test]
fn sizes_that_do_not_match_are_refused() {
    let mut hasher = FileHasher::new(5);
    assert_eq!(hasher.update(b"123456"), Err(HasherError::TooLong { size: 5 }));
    hasher.update(b"123").unwrap();
    assert_eq!(hasher.finish(), Err(HasherError::TooShort { size: 5, received: 3 }));
}

proptest! {
    #[test]
    fn streaming_in_any_pieces_gives_the_same_digest(size in 0..40_000usize, step in 1..9000usize) {
        let content = content(size);
        prop_assert_eq!(stream(&content, step), verity_digest(&content));
    }
}
