//! MRENCLAVE: the records that ECREATE, EADD and EEXTEND feed to SHA-256 (SDM 34.4.1.1, 38.3).

use sha2::{Digest, Sha256};

use crate::{PAGE_SIZE, SecInfo};

/// Bytes that one EEXTEND measures.
pub const EXTEND_SIZE: usize = 256;

/// "ECREATE\0", "EADD\0\0\0\0", "EEXTEND\0" as the manual's little-endian constants.
const ECREATE: u64 = 0x0045_5441_4552_4345;
const EADD: u64 = 0x0000_0000_4444_4145;
const EEXTEND: u64 = 0x0044_4e45_5458_4545;

/// Bytes of a record, one block of SHA-256.
const RECORD_SIZE: usize = 64;

/// A measurement under way.
#[derive(Clone)]
pub struct Measurement {
    hash: Sha256,
}

impl Measurement {
    /// ECREATE: SSAFRAMESIZE in pages, SIZE in bytes.
    #[must_use]
    pub fn create(ssa_frame_size: u32, size: u64) -> Self {
        let mut record = [0; RECORD_SIZE];
        record[..8].copy_from_slice(&ECREATE.to_le_bytes());
        record[8..12].copy_from_slice(&ssa_frame_size.to_le_bytes());
        record[12..20].copy_from_slice(&size.to_le_bytes());
        let mut hash = Sha256::new();
        hash.update(record);
        Self { hash }
    }

    /// EADD: the page's offset from the base, and its SECINFO as EADD leaves it (a TCS without R, W, X).
    pub fn add(&mut self, offset: u64, secinfo: &SecInfo) {
        self.hash.update(add_record(offset, secinfo));
    }

    /// EADD of many pages that are not EEXTENDed: the records go to SHA-256 in batches, which halves the time.
    pub fn add_run(&mut self, offset: u64, pages: u64, secinfo: &SecInfo) {
        const BATCH: usize = 64;
        let mut batch = [add_record(offset, secinfo); BATCH];
        for first in (0..pages).step_by(BATCH) {
            let count = BATCH.min((pages - first) as usize);
            for (index, record) in batch[..count].iter_mut().enumerate() {
                let at = offset + (first + index as u64) * PAGE_SIZE as u64;
                record[8..16].copy_from_slice(&at.to_le_bytes());
            }
            self.hash.update(batch[..count].as_flattened());
        }
    }

    /// EEXTEND of 256 bytes at this offset from the base.
    pub fn extend(&mut self, offset: u64, chunk: &[u8; EXTEND_SIZE]) {
        self.hash.update(extend_record(offset));
        self.hash.update(chunk);
    }

    /// EEXTEND of a whole page: 16 times, in ascending order, as the kernel's driver does.
    pub fn extend_page(&mut self, offset: u64, page: &[u8; PAGE_SIZE]) {
        let chunks: &[[u8; EXTEND_SIZE]; PAGE_SIZE / EXTEND_SIZE] = zerocopy::transmute_ref!(page);
        let mut records = [[0; RECORD_SIZE + EXTEND_SIZE]; PAGE_SIZE / EXTEND_SIZE];
        for (index, (record, chunk)) in records.iter_mut().zip(chunks).enumerate() {
            record[..RECORD_SIZE].copy_from_slice(&extend_record(offset + (index * EXTEND_SIZE) as u64));
            record[RECORD_SIZE..].copy_from_slice(chunk);
        }
        self.hash.update(records.as_flattened());
    }

    /// The final value, as EINIT computes it. The measurement itself can go on.
    #[must_use]
    pub fn value(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }
}

fn add_record(offset: u64, secinfo: &SecInfo) -> [u8; RECORD_SIZE] {
    let mut record = [0; RECORD_SIZE];
    record[..8].copy_from_slice(&EADD.to_le_bytes());
    record[8..16].copy_from_slice(&offset.to_le_bytes());
    record[16..].copy_from_slice(&zerocopy::IntoBytes::as_bytes(secinfo)[..48]);
    record
}

fn extend_record(offset: u64) -> [u8; RECORD_SIZE] {
    let mut record = [0; RECORD_SIZE];
    record[..8].copy_from_slice(&EEXTEND.to_le_bytes());
    record[8..16].copy_from_slice(&offset.to_le_bytes());
    record
}
