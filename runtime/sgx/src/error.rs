//! How a leaf function ends when it does not succeed: a fault, or a code in RAX.

use core::fmt;

/// Faults that ENCLS and ENCLU leaf functions raise (SDM 38.3, 38.4, "64-Bit Mode Exceptions" of each).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `#UD`: the leaf does not exist, or not in this mode.
    InvalidOpcode,
    /// `#GP(0)`, with the check that failed.
    GeneralProtection(&'static str),
    /// `#PF` at this linear (or, for EPC operands of ENCLS, EPC) address, with the check that failed.
    Page(u64, &'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidOpcode => f.write_str("#UD"),
            Self::GeneralProtection(why) => write!(f, "#GP(0): {why}"),
            Self::Page(address, why) => write!(f, "#PF({address:#x}): {why}"),
        }
    }
}

/// Codes that leaf functions return in RAX with RFLAGS.ZF set (SDM table 38-4, "Error or Information Codes for Intel SGX Instructions").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
#[allow(missing_docs)] // the names are the manual's
pub enum LeafError {
    InvalidSigStruct = 1,
    InvalidAttribute = 2,
    BlkState = 3,
    InvalidMeasurement = 4,
    NotBlockable = 5,
    PgInvld = 6,
    EpcPageConflict = 7,
    InvalidSignature = 8,
    MacCompareFail = 9,
    PageNotBlocked = 10,
    NotTracked = 11,
    VaSlotOccupied = 12,
    ChildPresent = 13,
    EnclaveAct = 14,
    EntryEpochLocked = 15,
    InvalidEinitToken = 16,
    PrevTrkIncmpl = 17,
    PgIsSecs = 18,
    PageAttributesMismatch = 19,
    PageNotModifiable = 20,
    PageNotDebuggable = 21,
    InvalidCpusvn = 32,
    InvalidIsvsvn = 64,
    UnmaskedEvent = 128,
    InvalidKeyname = 256,
}

impl LeafError {
    /// Every code, in the manual's order.
    pub const ALL: [Self; 25] = [
        Self::InvalidSigStruct,
        Self::InvalidAttribute,
        Self::BlkState,
        Self::InvalidMeasurement,
        Self::NotBlockable,
        Self::PgInvld,
        Self::EpcPageConflict,
        Self::InvalidSignature,
        Self::MacCompareFail,
        Self::PageNotBlocked,
        Self::NotTracked,
        Self::VaSlotOccupied,
        Self::ChildPresent,
        Self::EnclaveAct,
        Self::EntryEpochLocked,
        Self::InvalidEinitToken,
        Self::PrevTrkIncmpl,
        Self::PgIsSecs,
        Self::PageAttributesMismatch,
        Self::PageNotModifiable,
        Self::PageNotDebuggable,
        Self::InvalidCpusvn,
        Self::InvalidIsvsvn,
        Self::UnmaskedEvent,
        Self::InvalidKeyname,
    ];

    /// The code's meaning, or `None` for a number the manual does not list.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|error| *error as u64 == code)
    }

    /// The manual's name of the code.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidSigStruct => "SGX_INVALID_SIG_STRUCT",
            Self::InvalidAttribute => "SGX_INVALID_ATTRIBUTE",
            Self::BlkState => "SGX_BLKSTATE",
            Self::InvalidMeasurement => "SGX_INVALID_MEASUREMENT",
            Self::NotBlockable => "SGX_NOTBLOCKABLE",
            Self::PgInvld => "SGX_PG_INVLD",
            Self::EpcPageConflict => "SGX_EPC_PAGE_CONFLICT",
            Self::InvalidSignature => "SGX_INVALID_SIGNATURE",
            Self::MacCompareFail => "SGX_MAC_COMPARE_FAIL",
            Self::PageNotBlocked => "SGX_PAGE_NOT_BLOCKED",
            Self::NotTracked => "SGX_NOT_TRACKED",
            Self::VaSlotOccupied => "SGX_VA_SLOT_OCCUPIED",
            Self::ChildPresent => "SGX_CHILD_PRESENT",
            Self::EnclaveAct => "SGX_ENCLAVE_ACT",
            Self::EntryEpochLocked => "SGX_ENTRYEPOCH_LOCKED",
            Self::InvalidEinitToken => "SGX_INVALID_EINITTOKEN",
            Self::PrevTrkIncmpl => "SGX_PREV_TRK_INCMPL",
            Self::PgIsSecs => "SGX_PG_IS_SECS",
            Self::PageAttributesMismatch => "SGX_PAGE_ATTRIBUTES_MISMATCH",
            Self::PageNotModifiable => "SGX_PAGE_NOT_MODIFIABLE",
            Self::PageNotDebuggable => "SGX_PAGE_NOT_DEBUGGABLE",
            Self::InvalidCpusvn => "SGX_INVALID_CPUSVN",
            Self::InvalidIsvsvn => "SGX_INVALID_ISVSVN",
            Self::UnmaskedEvent => "SGX_UNMASKED_EVENT",
            Self::InvalidKeyname => "SGX_INVALID_KEYNAME",
        }
    }
}

impl fmt::Display for LeafError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), *self as u32)
    }
}

/// Either way in which a leaf function can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SgxError {
    /// The instruction faults and has no effect.
    Fault(Fault),
    /// The instruction completes with this code in RAX and RFLAGS.ZF = 1.
    Code(LeafError),
}

impl From<Fault> for SgxError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<LeafError> for SgxError {
    fn from(code: LeafError) -> Self {
        Self::Code(code)
    }
}

impl fmt::Display for SgxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Code(code) => code.fmt(f),
        }
    }
}

/// Bytes that are not the structure they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Fewer or more bytes than the structure has.
    Length {
        /// What is being read.
        what: &'static str,
        /// How many bytes it needs.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A field holds a value that has no meaning here.
    Field {
        /// The field, as the specification names it.
        what: &'static str,
        /// Its value.
        value: u64,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { what, expected, found } => {
                write!(f, "{what} needs {expected} bytes, {found} are there")
            }
            Self::Field { what, value } => {
                write!(f, "{what} is {value} ({value:#x}), which has no meaning here")
            }
        }
    }
}

/// Reads one structure that must fill `bytes` exactly.
pub(crate) fn read_exact<T: zerocopy::FromBytes>(what: &'static str, bytes: &[u8]) -> Result<T, ParseError> {
    T::read_from_bytes(bytes).map_err(|_| ParseError::Length {
        what,
        expected: size_of::<T>(),
        found: bytes.len(),
    })
}
