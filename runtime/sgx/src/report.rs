//! REPORT, TARGETINFO and EINITTOKEN: how enclaves prove themselves to each other on one machine.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Attributes;
use crate::error::{ParseError, read_exact};
use crate::keys::{cmac, keys_equal};

/// The part of a REPORT that is authenticated and that quotes carry (SDM 35.15, table 35-21, bytes 0 to 383).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ReportBody {
    /// Security version of the processor.
    pub cpusvn: [u8; 16],
    /// MISCSELECT of the enclave.
    pub miscselect: u32,
    /// CET attributes.
    pub cet_attributes: u8,
    /// Reserved.
    pub reserved1: [u8; 11],
    /// Extended product number (KSS).
    pub isv_ext_prod_id: [u8; 16],
    /// Attributes.
    pub attributes: Attributes,
    /// Measurement.
    pub mrenclave: [u8; 32],
    /// Reserved.
    pub reserved2: [u8; 32],
    /// Hash of the signer's key.
    pub mrsigner: [u8; 32],
    /// Reserved.
    pub reserved3: [u8; 32],
    /// Configuration identity (KSS).
    pub config_id: [u8; 64],
    /// Product number.
    pub isv_prod_id: u16,
    /// Security version.
    pub isv_svn: u16,
    /// Security version of the configuration (KSS).
    pub config_svn: u16,
    /// Reserved.
    pub reserved4: [u8; 42],
    /// Family number (KSS).
    pub isv_family_id: [u8; 16],
    /// 64 bytes of the enclave's choice.
    pub report_data: [u8; 64],
}

const _: () = assert!(size_of::<ReportBody>() == 384);
const _: () = assert!(core::mem::offset_of!(ReportBody, report_data) == 320);

/// REPORT, the output of EREPORT (SDM 35.15, table 35-21). 512-byte aligned in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Report {
    /// What the report says.
    pub body: ReportBody,
    /// Input to the report key.
    pub key_id: [u8; 32],
    /// AES-CMAC of `body` under the target's report key.
    pub mac: [u8; 16],
}

const _: () = assert!(size_of::<Report>() == 432);

impl ReportBody {
    /// Reads exactly 384 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        read_exact("report body", bytes)
    }
}

impl Report {
    /// Reads exactly 432 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        read_exact("REPORT", bytes)
    }

    /// Whether the MAC is the one that `report_key` (from EGETKEY, with this report's KEYID) makes.
    #[must_use]
    pub fn verify(&self, report_key: &[u8; 16]) -> bool {
        keys_equal(&self.mac, &cmac(report_key, self.body.as_bytes()))
    }
}

/// TARGETINFO, an input of EREPORT (SDM 35.16, table 35-22). 512-byte aligned in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TargetInfo {
    /// MRENCLAVE of the target.
    pub measurement: [u8; 32],
    /// Attributes of the target.
    pub attributes: Attributes,
    /// CET attributes of the target.
    pub cet_attributes: u8,
    /// Reserved.
    pub reserved1: u8,
    /// CONFIGSVN of the target.
    pub config_svn: u16,
    /// MISCSELECT of the target.
    pub miscselect: u32,
    /// Reserved.
    pub reserved2: [u8; 8],
    /// CONFIGID of the target.
    pub config_id: [u8; 64],
    /// Reserved.
    pub reserved3: [u8; 384],
}

const _: () = assert!(size_of::<TargetInfo>() == 512);
const _: () = assert!(core::mem::offset_of!(TargetInfo, config_id) == 64);

impl TargetInfo {
    /// Reads exactly 512 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        read_exact("TARGETINFO", bytes)
    }

    /// The target that is the enclave which made `body`.
    #[must_use]
    pub fn for_enclave(body: &ReportBody) -> Self {
        Self {
            measurement: body.mrenclave,
            attributes: body.attributes,
            cet_attributes: body.cet_attributes,
            reserved1: 0,
            config_svn: body.config_svn,
            miscselect: body.miscselect,
            reserved2: [0; 8],
            config_id: body.config_id,
            reserved3: [0; 384],
        }
    }
}

/// EINITTOKEN (SDM 35.14, table 35-20). 512-byte aligned in memory. With flexible launch control it is all 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EinitToken {
    /// Bit 0: the token is valid.
    pub valid: u32,
    /// Reserved.
    pub reserved1: [u8; 44],
    /// Attributes of the enclave to launch.
    pub attributes: Attributes,
    /// Its measurement.
    pub mrenclave: [u8; 32],
    /// Reserved.
    pub reserved2: [u8; 32],
    /// Its signer.
    pub mrsigner: [u8; 32],
    /// Reserved.
    pub reserved3: [u8; 32],
    /// CPUSVN of the launch enclave.
    pub cpusvn_le: [u8; 16],
    /// Product number of the launch enclave.
    pub isv_prod_id_le: u16,
    /// Security version of the launch enclave.
    pub isv_svn_le: u16,
    /// Reserved.
    pub reserved4: [u8; 24],
    /// MISCSELECT of the launch enclave, masked.
    pub masked_miscselect_le: u32,
    /// Attributes of the launch enclave, masked.
    pub masked_attributes_le: Attributes,
    /// Input to the launch key.
    pub key_id: [u8; 32],
    /// AES-CMAC of bytes 0 to 191.
    pub mac: [u8; 16],
}

const _: () = assert!(size_of::<EinitToken>() == 304);
const _: () = assert!(core::mem::offset_of!(EinitToken, cpusvn_le) == 192);

impl EinitToken {
    /// The token that processors with flexible launch control take: VALID is 0.
    #[must_use]
    pub fn none() -> Self {
        zerocopy::FromZeros::new_zeroed()
    }

    /// Whether the reserved fields and the upper bits of VALID are 0.
    #[must_use]
    pub fn reserved_is_zero(&self) -> bool {
        let parts: [&[u8]; 4] = [&self.reserved1, &self.reserved2, &self.reserved3, &self.reserved4];
        self.valid & !1 == 0 && parts.iter().all(|part| part.iter().all(|byte| *byte == 0))
    }
}
