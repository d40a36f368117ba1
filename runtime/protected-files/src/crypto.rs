//! Keys and the encryption of nodes: AES-128-GCM (NIST SP 800-38D) with an IV of zeros and no associated data. No key
//! is used twice, which is what makes that safe.

use aes::Aes128;
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, KeyInit, Nonce, Tag};
use cmac::{Cmac, Mac};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const LABEL: &[u8] = b"SGX-PROTECTED-FS-METADATA-KEY";
const LABEL_SIZE: usize = 64;

/// The user's key of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FileKey(pub [u8; 16]);

/// What a parent keeps of a node: its key and its MAC.
#[derive(Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Seal {
    /// The node's key.
    pub(crate) key: [u8; 16],
    /// The GCM tag.
    pub(crate) mac: [u8; 16],
}

impl FileKey {
    /// The key of the metadata node: one block of the key derivation in counter mode (NIST SP 800-108), with AES-CMAC
    /// (SP 800-38B).
    pub(crate) fn metadata_key(&self, nonce: &[u8; 32]) -> [u8; 16] {
        let mut label = [0; LABEL_SIZE];
        label[..LABEL.len()].copy_from_slice(LABEL);
        let mut mac = <Cmac<Aes128> as KeyInit>::new(&self.0.into());
        mac.update(&1_u32.to_le_bytes());
        mac.update(&label);
        mac.update(nonce);
        mac.update(&128_u32.to_le_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// Encrypts in place with a key that was never used; the tag.
pub(crate) fn encrypt(key: &[u8; 16], bytes: &mut [u8]) -> [u8; 16] {
    Aes128Gcm::new(&(*key).into())
        .encrypt_inout_detached(&Nonce::default(), &[], bytes.into())
        .expect("a node is far shorter than GCM allows")
        .into()
}

/// Decrypts in place; `false`, and nothing of use in `bytes`, when the tag is another one.
#[must_use]
pub(crate) fn decrypt(seal: &Seal, bytes: &mut [u8]) -> bool {
    Aes128Gcm::new(&seal.key.into())
        .decrypt_inout_detached(&Nonce::default(), &[], bytes.into(), &Tag::from(seal.mac))
        .is_ok()
}
