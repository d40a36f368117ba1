//! Shared by the mutation test here and the fuzz target: seals a body, sound or not, into an index file that
//! authenticates, then asks it everything. Whatever the body, answers and errors are fine; panics and hanging are not.

use casemate_index::{Digest, FileKind, Follow, Index, InodeNumber, verity_digest};

const BLOCK: usize = 4096;

/// The index file with this body, padded to whole blocks, and its root digest. The tree is built here once more, apart
/// from the crate's own writer.
pub fn seal(body: &[u8]) -> (Vec<u8>, Digest) {
    let mut file = body.to_vec();
    file.resize(body.len().next_multiple_of(BLOCK).max(2 * BLOCK), 0);
    // The body's size, as far as it has a header.
    let blocks = (file.len() / BLOCK) as u64;
    file[16..24].copy_from_slice(&blocks.to_le_bytes());
    let digest = verity_digest(&file);
    let mut levels = vec![node_level(&file)];
    while levels.last().is_some_and(|level| level.len() > BLOCK) {
        let next = node_level(&levels[levels.len() - 1]);
        levels.push(next);
    }
    for level in levels.iter().rev() {
        file.extend_from_slice(level);
    }
    (file, digest)
}

/// The digests of the blocks of `bytes`, padded to whole blocks.
fn node_level(bytes: &[u8]) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    let mut level: Vec<u8> = bytes.chunks(BLOCK).flat_map(Sha256::digest).collect();
    level.resize(level.len().next_multiple_of(BLOCK), 0);
    level
}

/// Asks an index everything that it can be asked, within bounds.
pub fn exercise(index: &Index) {
    for number in (0..=index.inode_count().saturating_add(1).min(2000)).map(InodeNumber) {
        let Ok(inode) = index.inode(number) else { continue };
        let _ = (inode.mode(), index.xattrs(number), index.symlink_target(number), index.parent(number));
        let _ = index.lookup(number, b"name");
        for position in 0..300 {
            match index.read_dir(number, position) {
                Ok(Some(entry)) => {
                    let _ = index.lookup(number, entry.name);
                    assert!(
                        entry.kind != FileKind::Directory || entry.inode > number,
                        "going down always ends"
                    );
                }
                _ => break,
            }
        }
        if let Ok(verifier) = index.file_verifier(number) {
            for block in [0, 1, inode.size / 4096, u64::MAX] {
                let data = vec![0; verifier.block_length(block).unwrap_or(4096)];
                let _ = verifier.verify_block(index, block, &data);
            }
        }
        if let Ok(sites) = index.syscall_sites(number) {
            for site in sites.in_range(index, 0..u64::MAX).take(100).flatten() {
                let mut stub = [0; casemate_index::MAX_STUB];
                let mut patch = [0; casemate_index::MAX_CODE];
                let mut code = [0x90; casemate_index::MAX_CODE];
                let syscall = (site.syscall_offset() - site.offset()) as usize;
                code[syscall..syscall + 2].copy_from_slice(&[0x0f, 0x05]);
                if casemate_index::encode_stub(&site, &code, 0x1000, 0x9000, &mut stub).is_ok() {
                    casemate_index::encode_patch(&site, 0x1000, 0x9000, &mut patch).unwrap();
                }
                (0..=70).for_each(|at| {
                    assert!(site.code_offset(at).or(site.stub_offset(at)).is_none_or(|to| to < 64))
                });
            }
            let _ = sites.in_range(index, 1000..2000).count();
        }
    }
    for path in ["", "/", "a/b/c", "../x", "bin/sh", "loop"] {
        let _ = index.resolve(path.as_bytes(), Follow::Last);
    }
}
