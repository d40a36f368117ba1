//! Files that Gramine's own tool made.

use std::path::{Path, PathBuf};

use crate::memory::{Failure, File, Memory, contents};
use casemate_protected_files::{FileKey, NODE_SIZE, ProtectedFile, nodes_of};
use sha2::{Digest, Sha256};

const SIZES: [usize; 10] = [0, 1, 3071, 3072, 3073, 7168, 396_288, 396_289, 400_384, 1_182_737];

fn vectors() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/protected-files");
    if !path.is_dir() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn plain(size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut index = 0;
    while bytes.len() < size {
        bytes.extend_from_slice(&Sha256::digest(format!("casemate-vector-{index}")));
        index += 1;
    }
    bytes.truncate(size);
    bytes
}

fn load(vectors: &Path, size: usize) -> (Memory, FileKey, String) {
    let name = format!("enc-{size}");
    let bytes = std::fs::read(vectors.join(&name)).unwrap();
    assert_eq!(bytes.len() as u64, nodes_of(size as u64) * NODE_SIZE as u64);
    let memory = Memory::default();
    memory.0.borrow_mut().nodes = bytes.as_chunks().0.to_vec();
    let key = std::fs::read(vectors.join("wrap.key")).unwrap();
    (memory, FileKey(key.try_into().unwrap()), name)
}

#[test]
fn gramines_files_open_and_hold_what_was_put_in() {
    let Some(vectors) = vectors() else { return };
    for size in SIZES {
        let (memory, key, name) = load(&vectors, size);
        let mut file: File = ProtectedFile::open(memory, key, Some(name.as_bytes())).unwrap();
        assert_eq!(contents(&mut file).unwrap(), plain(size), "{size}");
    }
}

#[test]
fn gramines_files_can_be_written_on() {
    let Some(vectors) = vectors() else { return };
    for size in SIZES {
        let (memory, key, name) = load(&vectors, size);
        let mut file: File = ProtectedFile::open(memory.clone(), key, None).unwrap();
        file.write(size as u64 + 5000, b"end").unwrap();
        file.flush().unwrap();
        let mut expected = plain(size);
        expected.extend([0; 5000]);
        expected.extend(b"end");
        let mut again: File = ProtectedFile::open(memory, key, Some(name.as_bytes())).unwrap();
        assert_eq!(contents(&mut again).unwrap(), expected, "{size}");
    }
}

#[test]
fn gramines_files_do_not_open_with_another_key_or_under_another_path() {
    let Some(vectors) = vectors() else { return };
    let (memory, key, _) = load(&vectors, 3073);
    let open = |key, path: &[u8]| ProtectedFile::open(memory.clone(), key, Some(path)).map(|_: File| ());
    assert_eq!(open(FileKey([1; 16]), b"enc-3073"), Err(Failure::KeyOrMetadata));
    assert_eq!(open(key, b"enc-3072"), Err(Failure::OtherPath));
    assert_eq!(open(key, b"enc-3073"), Ok(()));
}
