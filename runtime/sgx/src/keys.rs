//! EGETKEY: requests, what keys depend on, and how the software device derives them.

use aes::Aes128;
use bitflags::bitflags;
use cmac::{Cmac, KeyInit, Mac};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Attributes;
use crate::error::{ParseError, read_exact};

/// KEYREQUEST, the operand of EGETKEY (SDM 35.18, table 35-24). 512-byte aligned in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct KeyRequest {
    /// [`KeyName`] as a number.
    pub key_name: u16,
    /// [`KeyPolicy`].
    pub key_policy: u16,
    /// Security version of the enclave that the key is for.
    pub isv_svn: u16,
    /// CET attributes to include.
    pub cet_attributes_mask: u8,
    /// Reserved.
    pub reserved1: u8,
    /// Security version of the processor that the key is for.
    pub cpusvn: [u8; 16],
    /// Attributes to include.
    pub attribute_mask: Attributes,
    /// Value for wear-out protection.
    pub key_id: [u8; 32],
    /// MISCSELECT bits to include.
    pub misc_mask: u32,
    /// Security version of the configuration that the key is for.
    pub config_svn: u16,
    /// Reserved.
    pub reserved2: [u8; 434],
}

const _: () = assert!(size_of::<KeyRequest>() == 512);
const _: () = assert!(core::mem::offset_of!(KeyRequest, misc_mask) == 72);

/// Key names (SDM 35.18.1, table 35-25).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum KeyName {
    /// Authenticates EINITTOKENs.
    EinitToken = 0,
    /// Known to Intel's provisioning service.
    Provision = 1,
    /// Seals what provisioning produced.
    ProvisionSeal = 2,
    /// Authenticates REPORTs for this enclave.
    Report = 3,
    /// Seals the enclave's own data.
    Seal = 4,
}

impl KeyName {
    /// The key with this number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            0 => Self::EinitToken,
            1 => Self::Provision,
            2 => Self::ProvisionSeal,
            3 => Self::Report,
            4 => Self::Seal,
            _ => return None,
        })
    }
}

bitflags! {
    /// KEYPOLICY (SDM 35.18.2, table 35-26).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct KeyPolicy: u16 {
        /// Include MRENCLAVE.
        const MRENCLAVE = 1 << 0;
        /// Include MRSIGNER.
        const MRSIGNER = 1 << 1;
        /// Leave ISVPRODID out.
        const NOISVPRODID = 1 << 2;
        /// Include CONFIGID and CONFIGSVN.
        const CONFIGID = 1 << 3;
        /// Include ISVFAMILYID.
        const ISVFAMILYID = 1 << 4;
        /// Include ISVEXTPRODID.
        const ISVEXTPRODID = 1 << 5;
    }
}

impl KeyPolicy {
    /// The bits that exist only with ATTRIBUTES.KSS (EGETKEY checks `KEYPOLICY & 003CH`).
    pub const NEEDS_KSS: Self =
        Self::NOISVPRODID.union(Self::CONFIGID).union(Self::ISVFAMILYID).union(Self::ISVEXTPRODID);
}

impl KeyRequest {
    /// All fields 0 but the name.
    #[must_use]
    pub fn new(name: KeyName) -> Self {
        let mut request: Self = zerocopy::FromZeros::new_zeroed();
        request.key_name = name as u16;
        request
    }

    /// Reads exactly 512 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        read_exact("KEYREQUEST", bytes)
    }

    /// Whether the reserved bytes and policy bits are 0.
    #[must_use]
    pub fn reserved_is_zero(&self) -> bool {
        self.reserved1 == 0
            && self.reserved2.iter().all(|byte| *byte == 0)
            && KeyPolicy::from_bits(self.key_policy).is_some()
    }
}

/// What a key depends on: the manual's `TMP_KEYDEPENDENCIES` (SDM 38.4, EGETKEY and EREPORT "Operation").
///
/// The manual leaves the derivation itself to the processor. The software device's is our own:
/// `AES-CMAC(root, 01H ‖ "casemate softsgx" ‖ 00H ‖ this structure ‖ 0080H)`, the counter mode of NIST SP 800-108
/// with one block. The root key stands for the fused and the processor-internal keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
#[allow(missing_docs)] // the manual's own names
pub struct KeyDependencies {
    pub key_name: u16,
    pub isv_prod_id: u16,
    pub isv_svn: u16,
    pub config_svn: u16,
    pub isv_family_id: [u8; 16],
    pub isv_ext_prod_id: [u8; 16],
    pub sgx_owner_epoch: [u8; 16],
    pub attributes: Attributes,
    pub attribute_mask: Attributes,
    pub mrenclave: [u8; 32],
    pub mrsigner: [u8; 32],
    pub key_id: [u8; 32],
    pub seal_key_fuses: [u8; 16],
    pub cpusvn: [u8; 16],
    pub miscselect: u32,
    pub misc_mask: u32,
    pub key_policy: u16,
    pub cet_attributes: u8,
    pub cet_attributes_mask: u8,
    pub reserved: u32,
    pub config_id: [u8; 64],
    pub padding: [u8; 352],
}

const _: () = assert!(size_of::<KeyDependencies>() == 648);

impl KeyDependencies {
    /// Everything 0, for this key.
    #[must_use]
    pub fn new(name: KeyName) -> Self {
        Self {
            key_name: name as u16,
            isv_prod_id: 0,
            isv_svn: 0,
            config_svn: 0,
            isv_family_id: [0; 16],
            isv_ext_prod_id: [0; 16],
            sgx_owner_epoch: [0; 16],
            attributes: Attributes::default(),
            attribute_mask: Attributes::default(),
            mrenclave: [0; 32],
            mrsigner: [0; 32],
            key_id: [0; 32],
            seal_key_fuses: [0; 16],
            cpusvn: [0; 16],
            miscselect: 0,
            misc_mask: 0,
            key_policy: 0,
            cet_attributes: 0,
            cet_attributes_mask: 0,
            reserved: 0,
            config_id: [0; 64],
            padding: hardcoded_padding(),
        }
    }

    /// The key, from the device's root key.
    #[must_use]
    pub fn derive(&self, root: &[u8; 16]) -> [u8; 16] {
        let mut mac = new_cmac(root);
        mac.update(&[1]);
        mac.update(b"casemate softsgx\0");
        mac.update(self.as_bytes());
        mac.update(&[0x00, 0x80]);
        mac.finalize().into_bytes().into()
    }
}

/// `HARDCODED_PKCS1_5_PADDING` (SDM 38.4, EGETKEY): the first 352 bytes of every PKCS #1 v1.5 SHA-256 message of
/// 384 bytes: 00H, 01H, 330 times FFH, 00H, then the DigestInfo without the hash.
#[must_use]
pub fn hardcoded_padding() -> [u8; 352] {
    let mut padding = [0; 352];
    padding.copy_from_slice(&crate::rsa::message_representative(&[0; 32])[..352]);
    padding
}

fn new_cmac(key: &[u8; 16]) -> Cmac<Aes128> {
    <Cmac<Aes128> as KeyInit>::new(key.into())
}

/// AES-128-CMAC (NIST SP 800-38B).
#[must_use]
pub fn cmac(key: &[u8; 16], message: &[u8]) -> [u8; 16] {
    let mut mac = new_cmac(key);
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Compares two keys or MACs without telling by time where they differ.
#[must_use]
pub fn keys_equal(left: &[u8; 16], right: &[u8; 16]) -> bool {
    let difference = left.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b));
    core::hint::black_box(difference) == 0
}
