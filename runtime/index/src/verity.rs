//! fs-verity's Merkle tree: SHA-256, 4 KiB blocks, no salt (Linux `Documentation/filesystems/fsverity.rst`).
//!
//! Used twice: for the content of every file, and for the index's own body.

use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};

/// Size of a data block and of a tree node, in bytes.
pub const BLOCK_SIZE: usize = 4096;
/// Size of a digest, in bytes.
pub const DIGEST_SIZE: usize = 32;
/// Digests in one tree node.
pub(crate) const FAN_OUT: usize = BLOCK_SIZE / DIGEST_SIZE;

/// A SHA-256 digest.
pub type Digest = [u8; DIGEST_SIZE];

/// Digest of one block; a shorter one counts as padded with zeros.
pub(crate) fn hash_block(data: &[u8]) -> Digest {
    static ZEROS: [u8; BLOCK_SIZE] = [0; BLOCK_SIZE];
    let mut hasher = Sha256::new();
    hasher.update(data);
    if data.len() < BLOCK_SIZE {
        hasher.update(&ZEROS[data.len()..]);
    }
    hasher.finalize().into()
}

/// The fs-verity digest of a file with this size and root hash: the hash of its `fsverity_descriptor`.
pub(crate) fn descriptor_digest(size: u64, root_hash: &Digest) -> Digest {
    let mut descriptor = [0; 256];
    descriptor[0] = 1; // version
    descriptor[1] = 1; // FS_VERITY_HASH_ALG_SHA256
    descriptor[2] = 12; // log2 of the block size; then salt size and signature size, 0
    descriptor[8..16].copy_from_slice(&size.to_le_bytes());
    descriptor[16..48].copy_from_slice(root_hash);
    Sha256::digest(descriptor).into()
}

/// Number of blocks that a content of `size` bytes has.
pub(crate) fn block_count(size: u64) -> u64 {
    size.div_ceil(BLOCK_SIZE as u64)
}

/// Number of bytes that block `number` of a content of `size` bytes has; `None` past its end.
pub(crate) fn block_length(size: u64, number: u64) -> Option<usize> {
    let rest = size.checked_sub(number.checked_mul(BLOCK_SIZE as u64)?)?;
    (rest > 0).then_some(rest.min(BLOCK_SIZE as u64) as usize)
}

/// The root hash over these block digests: zeros for an empty file, a single block's own digest, else the tree's top.
pub(crate) fn root_hash(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => [0; DIGEST_SIZE],
        [only] => *only,
        _ => root_hash(&parents(leaves)),
    }
}

/// One level up: the digest of each node that these digests fill.
pub(crate) fn parents(level: &[Digest]) -> Vec<Digest> {
    level.chunks(FAN_OUT).map(|node| hash_block(node.as_flattened())).collect()
}

/// The fs-verity digest of `data`: what `fsverity digest` prints for a file with that content.
pub fn verity_digest(data: &[u8]) -> Digest {
    let leaves: Vec<Digest> = data.chunks(BLOCK_SIZE).map(hash_block).collect();
    descriptor_digest(data.len() as u64, &root_hash(&leaves))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_has_the_kernels_digest() {
        // `: > empty; fsverity digest empty`
        let expected = "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95";
        let hex: String = verity_digest(b"").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }

    #[test]
    fn block_lengths_cover_the_content_and_nothing_past_it() {
        assert_eq!(block_length(0, 0), None);
        assert_eq!(block_length(1, 0), Some(1));
        assert_eq!(block_length(4096, 0), Some(4096));
        assert_eq!(block_length(4096, 1), None);
        assert_eq!(block_length(4097, 1), Some(1));
        assert_eq!(block_length(u64::MAX, u64::MAX), None);
    }
}
