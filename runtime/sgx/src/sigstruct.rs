//! SIGSTRUCT: what the owner of an enclave signs, and how EINIT judges it.

use core::fmt;

use sha2::{Digest, Sha256};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::error::{ParseError, read_exact};
use crate::rsa::{self, KEY_SIZE};
use crate::{Attributes, AttributesFlags};

/// Enclave signature structure (SDM 35.14, table 35-19). 1808 bytes; page-aligned for EINIT.
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SigStruct {
    /// [`SigStruct::HEADER`].
    pub header: [u8; 16],
    /// 0, or 8086H for Intel's enclaves.
    pub vendor: u32,
    /// Date of signing, BCD: `yyyymmdd` in hexadecimal digits.
    pub date: u32,
    /// [`SigStruct::HEADER2`].
    pub header2: [u8; 16],
    /// For the signer's own use.
    pub swdefined: u32,
    /// Reserved.
    pub reserved1: [u8; 84],
    /// The public key's modulus, little-endian.
    pub modulus: [u8; KEY_SIZE],
    /// The public exponent: 3.
    pub exponent: u32,
    /// The signature over bytes 0–127 and 900–1027, little-endian.
    pub signature: [u8; KEY_SIZE],
    /// MISCSELECT that the enclave must have.
    pub miscselect: u32,
    /// Which bits of it must match.
    pub miscmask: u32,
    /// CET attributes that the enclave must have.
    pub cet_attributes: u8,
    /// Which bits of them must match.
    pub cet_attributes_mask: u8,
    /// Reserved.
    pub reserved2: [u8; 2],
    /// Family number (KSS).
    pub isv_family_id: [u8; 16],
    /// Attributes that the enclave must have.
    pub attributes: Attributes,
    /// Which bits of them must match.
    pub attribute_mask: Attributes,
    /// The measurement.
    pub enclave_hash: [u8; 32],
    /// Reserved.
    pub reserved3: [u8; 16],
    /// Extended product number (KSS).
    pub isv_ext_prod_id: [u8; 16],
    /// Product number.
    pub isv_prod_id: u16,
    /// Security version.
    pub isv_svn: u16,
    /// Reserved.
    pub reserved4: [u8; 12],
    /// First quotient of the verification.
    pub q1: [u8; KEY_SIZE],
    /// Second quotient.
    pub q2: [u8; KEY_SIZE],
}

const _: () = assert!(size_of::<SigStruct>() == 1808);
const _: () = assert!(core::mem::offset_of!(SigStruct, modulus) == 128);
const _: () = assert!(core::mem::offset_of!(SigStruct, signature) == 516);
const _: () = assert!(core::mem::offset_of!(SigStruct, miscselect) == 900);
const _: () = assert!(core::mem::offset_of!(SigStruct, attributes) == 928);
const _: () = assert!(core::mem::offset_of!(SigStruct, reserved4) == 1028);
const _: () = assert!(core::mem::offset_of!(SigStruct, q1) == 1040);

/// What a SIGSTRUCT says, before it is signed.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// Date, BCD (`0x2026_1124`).
    pub date: u32,
    /// For the signer's own use.
    pub swdefined: u32,
    /// MISCSELECT and its mask.
    pub miscselect: (u32, u32),
    /// Attributes and their mask.
    pub attributes: (Attributes, Attributes),
    /// The measurement.
    pub enclave_hash: [u8; 32],
    /// Product number.
    pub isv_prod_id: u16,
    /// Security version.
    pub isv_svn: u16,
}

/// Why a SIGSTRUCT is not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigStructError {
    /// A fixed field has another value, or a reserved byte is set (EINIT: SGX_INVALID_SIG_STRUCT).
    Format(&'static str),
    /// The signature is not the key's over these bytes (EINIT: SGX_INVALID_SIGNATURE).
    Signature,
}

impl fmt::Display for SigStructError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(field) => write!(f, "the field {field} does not have the value that it must have"),
            Self::Signature => {
                f.write_str("the signature does not belong to these contents and this public key")
            }
        }
    }
}

impl SigStruct {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
    /// Bytes that are signed.
    pub const SIGNED_SIZE: usize = 256;
    /// The first field's only value (SDM table 35-19).
    pub const HEADER: [u8; 16] = [6, 0, 0, 0, 0xe1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0];
    /// HEADER2's only value.
    pub const HEADER2: [u8; 16] = [1, 1, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 1, 0, 0, 0];
    /// VENDOR of Intel's own enclaves.
    pub const VENDOR_INTEL: u32 = 0x8086;

    /// Reads exactly 1808 bytes; checks nothing else.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        read_exact("SIGSTRUCT", bytes)
    }

    /// With everything that is signed, and key and signature 0.
    #[must_use]
    pub fn unsigned(template: &Template) -> Self {
        let mut it: Self = zerocopy::FromZeros::new_zeroed();
        it.header = Self::HEADER;
        it.date = template.date;
        it.header2 = Self::HEADER2;
        it.swdefined = template.swdefined;
        (it.miscselect, it.miscmask) = template.miscselect;
        (it.attributes, it.attribute_mask) = template.attributes;
        it.enclave_hash = template.enclave_hash;
        it.isv_prod_id = template.isv_prod_id;
        it.isv_svn = template.isv_svn;
        it
    }

    /// The bytes that are signed: 0–127 and 900–1027 (SDM 35.14).
    #[must_use]
    pub fn to_be_signed(&self) -> [u8; Self::SIGNED_SIZE] {
        let bytes = self.as_bytes();
        let mut signed = [0; Self::SIGNED_SIZE];
        signed[..128].copy_from_slice(&bytes[..128]);
        signed[128..].copy_from_slice(&bytes[900..1028]);
        signed
    }

    /// The inverse of [`to_be_signed`](Self::to_be_signed): key and signature are 0. Checks the fixed fields.
    pub fn from_to_be_signed(signed: &[u8; Self::SIGNED_SIZE]) -> Result<Self, SigStructError> {
        let mut bytes = [0; Self::SIZE];
        bytes[..128].copy_from_slice(&signed[..128]);
        bytes[900..1028].copy_from_slice(&signed[128..]);
        let it: Self = zerocopy::transmute!(bytes);
        it.check_fields()?;
        Ok(it)
    }

    /// Adds the public key and a signature made elsewhere (both little-endian), computes q1 and q2, and
    /// verifies the result as EINIT would.
    pub fn attach(
        mut self,
        modulus: &[u8; KEY_SIZE],
        signature: &[u8; KEY_SIZE],
    ) -> Result<Self, SigStructError> {
        self.modulus = *modulus;
        self.exponent = 3;
        self.signature = *signature;
        (self.q1, self.q2) = rsa::quotients(signature, modulus).ok_or(SigStructError::Signature)?;
        self.verify()?;
        Ok(self)
    }

    /// EINIT's first two checks (SDM 38.3, EINIT, "Verify SIGSTRUCT Header" and "Verify signature").
    pub fn verify(&self) -> Result<(), SigStructError> {
        self.check_format()?;
        self.check_signature()
    }

    /// HEADER, VENDOR, HEADER2, EXPONENT and the reserved bytes.
    pub fn check_format(&self) -> Result<(), SigStructError> {
        self.check_fields()?;
        if self.exponent != 3 {
            return Err(SigStructError::Format("EXPONENT"));
        }
        if self.reserved4 != [0; 12] {
            return Err(SigStructError::Format("RESERVED (offset 1028)"));
        }
        Ok(())
    }

    fn check_fields(&self) -> Result<(), SigStructError> {
        let checks = [
            (self.header == Self::HEADER, "HEADER"),
            (self.vendor == 0 || self.vendor == Self::VENDOR_INTEL, "VENDOR"),
            (self.header2 == Self::HEADER2, "HEADER2"),
            (self.reserved1 == [0; 84], "RESERVED (offset 44)"),
            (self.reserved2 == [0; 2], "RESERVED (offset 910)"),
            (self.reserved3 == [0; 16], "RESERVED (offset 992)"),
        ];
        match checks.iter().find(|(good, _)| !good) {
            Some((_, field)) => Err(SigStructError::Format(field)),
            None => Ok(()),
        }
    }

    /// The signature, through q1 and q2.
    pub fn check_signature(&self) -> Result<(), SigStructError> {
        let hash: [u8; 32] = Sha256::digest(self.to_be_signed()).into();
        if rsa::verify(&self.modulus, &self.signature, &self.q1, &self.q2, &hash) {
            Ok(())
        } else {
            Err(SigStructError::Signature)
        }
    }

    /// MRSIGNER: SHA-256 of the little-endian modulus (SDM 34.4.1.2, "MRSIGNER").
    #[must_use]
    pub fn mr_signer(&self) -> [u8; 32] {
        mr_signer(&self.modulus)
    }

    /// Whether the enclave may be debugged.
    #[must_use]
    pub fn is_debug(&self) -> bool {
        self.attributes.has(AttributesFlags::DEBUG)
    }

    /// The attributes of an SECS that EINIT accepts with this SIGSTRUCT on a processor whose XCR0 is `xcr0`: the
    /// signed ones, plus the XFRM bits that the mask leaves free and the processor has.
    #[must_use]
    pub fn attributes_for(&self, xcr0: u64) -> Attributes {
        let free = !self.attribute_mask.xfrm;
        Attributes { flags: self.attributes.flags, xfrm: self.attributes.xfrm | (xcr0 & free) }
    }
}

/// SHA-256 of a little-endian modulus.
#[must_use]
pub fn mr_signer(modulus: &[u8; KEY_SIZE]) -> [u8; 32] {
    Sha256::digest(modulus).into()
}
