//! The enclave page cache map (SDM 35.20, table 35-27).

use bitflags::bitflags;
use casemate_sgx::{PageType, SecInfoFlags};

bitflags! {
    /// Bits of an EPCM entry. R, W, X, PENDING, MODIFIED and PR are where SECINFO.FLAGS has them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct EpcmFlags: u8 {
        /// Readable.
        const R = 1 << 0;
        /// Writable.
        const W = 1 << 1;
        /// Executable.
        const X = 1 << 2;
        /// Augmented and not yet accepted.
        const PENDING = 1 << 3;
        /// Type changed and not yet accepted.
        const MODIFIED = 1 << 4;
        /// Permissions restricted and not yet accepted.
        const PR = 1 << 5;
    }
}

/// A valid entry. An invalid one does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpcmEntry {
    /// Page type.
    pub page_type: PageType,
    /// Bits.
    pub flags: EpcmFlags,
    /// The linear address at which the page may be used.
    pub enclave_address: u64,
    /// EPC address of the SECS that the page belongs to.
    pub secs: u64,
    /// The tracking epoch in which it was last changed by EMODPR or EMODT.
    pub epoch: u64,
}

impl EpcmEntry {
    /// What code inside may do with the page now.
    #[must_use]
    pub fn access(&self) -> SecInfoFlags {
        let usable = self.page_type == PageType::Reg
            && !self.flags.intersects(EpcmFlags::PENDING | EpcmFlags::MODIFIED);
        if usable { permissions(self.flags) } else { SecInfoFlags::empty() }
    }
}

/// R, W and X as SECINFO has them.
pub(crate) fn permissions(flags: EpcmFlags) -> SecInfoFlags {
    SecInfoFlags::from_bits_truncate(flags.bits().into()).permissions()
}

/// R, W and X of a SECINFO as the EPCM has them.
pub(crate) fn from_permissions(flags: SecInfoFlags) -> EpcmFlags {
    EpcmFlags::from_bits_truncate(flags.permissions().bits() as u8)
}
