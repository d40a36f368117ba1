//! ATTRIBUTES, XFRM and MISCSELECT: what an enclave may do and what is saved when it is interrupted.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// ATTRIBUTES (SDM 35.7.1, table 35-3): 64 bits of flags, then 64 bits of XFRM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Attributes {
    /// Flags; bits without a name are kept as they are.
    pub flags: u64,
    /// XSAVE feature request mask (SDM 35.7.2).
    pub xfrm: u64,
}

const _: () = assert!(size_of::<Attributes>() == 16);

bitflags! {
    /// Flags of ATTRIBUTES (SDM table 35-3).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct AttributesFlags: u64 {
        /// The enclave has been initialised by EINIT.
        const INIT = 1 << 0;
        /// A debugger may read and write the enclave.
        const DEBUG = 1 << 1;
        /// The enclave runs in 64-bit mode.
        const MODE64BIT = 1 << 2;
        /// The provisioning keys are available from EGETKEY.
        const PROVISION_KEY = 1 << 4;
        /// The EINITTOKEN key is available from EGETKEY.
        const EINITTOKEN_KEY = 1 << 5;
        /// Control-flow enforcement is enabled.
        const CET = 1 << 6;
        /// Key separation and sharing: CONFIGID, ISVFAMILYID … are available.
        const KSS = 1 << 7;
        /// Threads may be notified of asynchronous exits.
        const AEXNOTIFY = 1 << 10;
    }

    /// Components of the XSAVE feature set (SDM volume 1, 13.1) that XFRM can name.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Xfrm: u64 {
        /// x87 state; always set.
        const X87 = 1 << 0;
        /// XMM registers and MXCSR; always set.
        const SSE = 1 << 1;
        /// Upper halves of the YMM registers.
        const AVX = 1 << 2;
        /// MPX bound registers.
        const BNDREGS = 1 << 3;
        /// MPX configuration.
        const BNDCSR = 1 << 4;
        /// AVX-512 mask registers.
        const OPMASK = 1 << 5;
        /// Upper halves of ZMM0 to ZMM15.
        const ZMM_HI256 = 1 << 6;
        /// ZMM16 to ZMM31.
        const HI16_ZMM = 1 << 7;
        /// Protection keys.
        const PKRU = 1 << 9;
        /// AMX tile configuration.
        const TILECFG = 1 << 17;
        /// AMX tile data.
        const TILEDATA = 1 << 18;
    }

    /// MISCSELECT (SDM 35.7.3, table 35-5): what the MISC region of an SSA frame holds.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MiscSelect: u32 {
        /// Page faults and general protection faults are reported inside, with EXINFO.
        const EXINFO = 1 << 0;
        /// Control protection exceptions are reported inside.
        const CPINFO = 1 << 1;
    }
}

impl Attributes {
    /// The named flags; the others are dropped.
    #[must_use]
    pub fn flags(self) -> AttributesFlags {
        AttributesFlags::from_bits_truncate(self.flags)
    }

    /// Whether all of `flags` are set.
    #[must_use]
    pub fn has(self, flags: AttributesFlags) -> bool {
        self.flags & flags.bits() == flags.bits()
    }

    /// Bitwise AND with a mask, as EINIT and EGETKEY do.
    #[must_use]
    pub fn masked(self, mask: Self) -> Self {
        Self { flags: self.flags & mask.flags, xfrm: self.xfrm & mask.xfrm }
    }
}

impl Xfrm {
    /// x87 and SSE: what every enclave has.
    pub const LEGACY: Self = Self::X87.union(Self::SSE);
    /// Both halves of MPX.
    pub const MPX: Self = Self::BNDREGS.union(Self::BNDCSR);
    /// The three components of AVX-512.
    pub const AVX512: Self = Self::OPMASK.union(Self::ZMM_HI256).union(Self::HI16_ZMM);
    /// Both components of AMX.
    pub const AMX: Self = Self::TILECFG.union(Self::TILEDATA);

    /// Whether XCR0 (and so XFRM) may hold exactly these bits: SDM volume 1, 13.3 "Enabling the XSAVE feature set",
    /// and SDM 35.7.2: bits 0 and 1 are always set in XFRM.
    #[must_use]
    pub fn is_legal(bits: u64) -> bool {
        let Some(xfrm) = Self::from_bits(bits) else { return false };
        let together = |group: Self| xfrm.intersection(group).is_empty() || xfrm.contains(group);
        xfrm.contains(Self::LEGACY)
            && together(Self::MPX)
            && together(Self::AVX512)
            && together(Self::AMX)
            && (!xfrm.contains(Self::AVX512) || xfrm.contains(Self::AVX))
    }
}
