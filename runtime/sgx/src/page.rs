//! The structures that ENCLS leaf functions take and pages hold: SECS, TCS, PAGEINFO, SECINFO.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::error::{ParseError, read_exact};
use crate::{Attributes, PAGE_SIZE};

/// SGX enclave control structure (SDM 35.7, table 35-2). One page, made by ECREATE.
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Secs {
    /// Size of the enclave in bytes, a power of two.
    pub size: u64,
    /// Linear base address, aligned to `size`.
    pub base: u64,
    /// Pages of one SSA frame.
    pub ssa_frame_size: u32,
    /// [`MiscSelect`](crate::MiscSelect).
    pub miscselect: u32,
    /// Reserved (CET fields on processors with CET, which Casemate does not use).
    pub reserved1: [u8; 24],
    /// Attributes.
    pub attributes: Attributes,
    /// Measurement, set by EINIT.
    pub mrenclave: [u8; 32],
    /// Reserved.
    pub reserved2: [u8; 32],
    /// Hash of the signer's key, set by EINIT.
    pub mrsigner: [u8; 32],
    /// Reserved.
    pub reserved3: [u8; 32],
    /// Configuration identity (KSS).
    pub config_id: [u8; 64],
    /// Product number, set by EINIT.
    pub isv_prod_id: u16,
    /// Security version, set by EINIT.
    pub isv_svn: u16,
    /// Security version of the configuration (KSS).
    pub config_svn: u16,
    /// Reserved.
    pub reserved4: [u8; 3834],
}

const _: () = assert!(size_of::<Secs>() == PAGE_SIZE);
const _: () = assert!(core::mem::offset_of!(Secs, attributes) == 48);
const _: () = assert!(core::mem::offset_of!(Secs, mrsigner) == 128);
const _: () = assert!(core::mem::offset_of!(Secs, config_id) == 192);
const _: () = assert!(core::mem::offset_of!(Secs, isv_prod_id) == 256);

impl Secs {
    /// All fields 0.
    #[must_use]
    pub fn zeroed() -> Self {
        zerocopy::FromZeros::new_zeroed()
    }

    /// Reads exactly one page.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        read_exact("SECS", bytes)
    }

    /// Whether every reserved byte is 0.
    #[must_use]
    pub fn reserved_is_zero(&self) -> bool {
        let parts: [&[u8]; 4] = [&self.reserved1, &self.reserved2, &self.reserved3, &self.reserved4];
        parts.iter().all(|part| part.iter().all(|byte| *byte == 0))
    }
}

/// Thread control structure (SDM 35.8, table 35-6). One page, opaque to all software once added.
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Tcs {
    /// Used by the processor; 0 when added.
    pub state: u64,
    /// [`TcsFlags`].
    pub flags: u64,
    /// Offset of the SSA stack from the enclave's base, page-aligned.
    pub ossa: u64,
    /// Current slot of the SSA stack.
    pub cssa: u32,
    /// Number of slots.
    pub nssa: u32,
    /// Offset of the entry point.
    pub oentry: u64,
    /// Asynchronous exit pointer, set at entry.
    pub aep: u64,
    /// Offset that becomes FS.base, page-aligned.
    pub ofsbase: u64,
    /// Offset that becomes GS.base, page-aligned.
    pub ogsbase: u64,
    /// FS.limit (32-bit mode).
    pub fslimit: u32,
    /// GS.limit (32-bit mode).
    pub gslimit: u32,
    /// Reserved; with CET its first 16 bytes would be OCETSSA and PREVSSP.
    pub reserved: [u8; 4024],
}

const _: () = assert!(size_of::<Tcs>() == PAGE_SIZE);
const _: () = assert!(core::mem::offset_of!(Tcs, oentry) == 32);
const _: () = assert!(core::mem::offset_of!(Tcs, reserved) == 72);

bitflags! {
    /// Flags of a TCS (SDM 35.8.1, table 35-7).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct TcsFlags: u64 {
        /// Debug features are on for this thread; only a debugger sets it.
        const DBGOPTIN = 1 << 0;
        /// The thread wants AEX notifications.
        const AEXNOTIFY = 1 << 1;
    }
}

impl Tcs {
    /// All fields 0.
    #[must_use]
    pub fn zeroed() -> Self {
        zerocopy::FromZeros::new_zeroed()
    }

    /// Reads exactly one page.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        read_exact("TCS", bytes)
    }

    /// Whether the reserved bytes are 0, as EADD and EACCEPT demand.
    #[must_use]
    pub fn reserved_is_zero(&self) -> bool {
        self.reserved.iter().all(|byte| *byte == 0)
    }
}

/// Page information, the operand of ECREATE, EADD and EAUG (SDM 35.12, table 35-11). 32-byte aligned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(32))]
pub struct PageInfo {
    /// Linear address of the page in the enclave.
    pub linaddr: u64,
    /// Address of the page's content outside.
    pub srcpge: u64,
    /// Address of the [`SecInfo`].
    pub secinfo: u64,
    /// Address of the SECS.
    pub secs: u64,
}

const _: () = assert!(size_of::<PageInfo>() == 32);

/// Security information of a page (SDM 35.13, table 35-12). 64-byte aligned in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
pub struct SecInfo {
    /// [`SecInfoFlags`].
    pub flags: u64,
    /// Reserved.
    pub reserved: [u64; 7],
}

const _: () = assert!(size_of::<SecInfo>() == 64);

bitflags! {
    /// SECINFO.FLAGS (SDM 35.13.1, table 35-13); the page type is in bits 8 to 15.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SecInfoFlags: u64 {
        /// Readable from inside.
        const R = 1 << 0;
        /// Writable from inside.
        const W = 1 << 1;
        /// Executable from inside.
        const X = 1 << 2;
        /// Waits for EACCEPT or EACCEPTCOPY.
        const PENDING = 1 << 3;
        /// Its type was changed and waits for EACCEPT.
        const MODIFIED = 1 << 4;
        /// Its permissions were restricted and wait for EACCEPT.
        const PR = 1 << 5;
        /// All bits of the page type.
        const PAGE_TYPE = 0xff << 8;
    }
}

/// Page types (SDM 35.13.2, table 35-14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PageType {
    /// An SECS.
    Secs = 0,
    /// A TCS.
    Tcs = 1,
    /// An ordinary page.
    Reg = 2,
    /// A version array.
    Va = 3,
    /// A page being removed.
    Trim = 4,
    /// First page of a shadow stack.
    SsFirst = 5,
    /// Another page of a shadow stack.
    SsRest = 6,
}

impl PageType {
    /// The type with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Secs,
            1 => Self::Tcs,
            2 => Self::Reg,
            3 => Self::Va,
            4 => Self::Trim,
            5 => Self::SsFirst,
            6 => Self::SsRest,
            _ => return None,
        })
    }

    /// The type as SECINFO.FLAGS holds it.
    #[must_use]
    pub const fn flags(self) -> SecInfoFlags {
        SecInfoFlags::from_bits_retain((self as u64) << 8)
    }
}

impl SecInfoFlags {
    /// R and W.
    pub const RW: Self = Self::R.union(Self::W);
    /// R and X.
    pub const RX: Self = Self::R.union(Self::X);
    /// R, W and X.
    pub const RWX: Self = Self::R.union(Self::W).union(Self::X);

    /// The page type, if it is one.
    #[must_use]
    pub fn page_type(self) -> Option<PageType> {
        PageType::from_number((self.bits() >> 8) as u8)
    }

    /// R, W and X alone.
    #[must_use]
    pub fn permissions(self) -> Self {
        self.intersection(Self::RWX)
    }
}

impl SecInfo {
    /// With these flags and nothing reserved.
    #[must_use]
    pub fn new(flags: SecInfoFlags) -> Self {
        Self { flags: flags.bits(), reserved: [0; 7] }
    }

    /// The flags, unless a reserved bit or byte is set (what every leaf calls "misconfigured SECINFO").
    #[must_use]
    pub fn checked_flags(&self) -> Option<SecInfoFlags> {
        if self.reserved != [0; 7] {
            return None;
        }
        SecInfoFlags::from_bits(self.flags)
    }

    /// Reads exactly 64 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        read_exact("SECINFO", bytes)
    }
}
