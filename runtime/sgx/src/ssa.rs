//! The state save area: what an asynchronous exit writes and ERESUME reads back.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{MiscSelect, PAGE_SIZE, Xfrm};

/// General registers at the end of an SSA frame (SDM 35.9.1, table 35-9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[allow(missing_docs)] // the registers' own names
pub struct GprSgx {
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rbx: u64,
    pub rsp: u64,
    pub rbp: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rflags: u64,
    pub rip: u64,
    /// RSP outside, restored at exits.
    pub ursp: u64,
    /// RBP outside, restored at exits.
    pub urbp: u64,
    /// Why the enclave was left.
    pub exitinfo: ExitInfo,
    /// Reserved.
    pub reserved: [u8; 3],
    /// Bit 0: notify this thread of asynchronous exits.
    pub aexnotify: u8,
    pub fsbase: u64,
    pub gsbase: u64,
}

const _: () = assert!(size_of::<GprSgx>() == 184);
const _: () = assert!(core::mem::offset_of!(GprSgx, exitinfo) == 160);
const _: () = assert!(core::mem::offset_of!(GprSgx, fsbase) == 168);

/// EXITINFO (SDM 35.9.1.1, table 35-10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct ExitInfo(pub u32);

/// EXITINFO.EXIT_TYPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitType {
    /// A hardware exception.
    Hardware = 3,
    /// A software exception (#BP, #DB by instruction).
    Software = 6,
}

/// Exception vectors that EXITINFO can report (SDM table 35-10 and 37.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // the exceptions' own names
pub enum Vector {
    DivideError = 0,
    Debug = 1,
    Breakpoint = 3,
    BoundRange = 5,
    InvalidOpcode = 6,
    GeneralProtection = 13,
    PageFault = 14,
    FloatingPoint = 16,
    AlignmentCheck = 17,
    SimdFloatingPoint = 19,
    ControlProtection = 21,
}

impl ExitInfo {
    /// What an asynchronous exit for this vector reports, given MISCSELECT. Vectors that are not reported
    /// (interrupts, and #GP and #PF without EXINFO) give 0, with VALID clear: the enclave learns nothing.
    #[must_use]
    pub fn for_vector(vector: u8, miscselect: MiscSelect) -> Self {
        let kind = match vector {
            0 | 1 | 5 | 6 | 16 | 17 | 19 => ExitType::Hardware,
            3 => ExitType::Software,
            13 | 14 if miscselect.contains(MiscSelect::EXINFO) => ExitType::Hardware,
            21 if miscselect.contains(MiscSelect::CPINFO) => ExitType::Hardware,
            _ => return Self(0),
        };
        Self(u32::from(vector) | (kind as u32) << 8 | 1 << 31)
    }

    /// Whether the other fields mean something.
    #[must_use]
    pub fn is_valid(self) -> bool {
        self.0 & 1 << 31 != 0
    }

    /// The exception's vector.
    #[must_use]
    pub fn vector(self) -> u8 {
        self.0 as u8
    }

    /// EXIT_TYPE as a number.
    #[must_use]
    pub fn exit_type(self) -> u8 {
        (self.0 >> 8) as u8 & 7
    }
}

/// The EXINFO structure of the MISC region (SDM 35.9.2.1, table 35-11 "Layout of EXINFO"): just below GPRSGX.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ExInfo {
    /// Faulting address of #PF; 0 for #GP.
    pub maddr: u64,
    /// Error code of #PF or #GP.
    pub errcd: u32,
    /// Reserved.
    pub reserved: u32,
}

const _: () = assert!(size_of::<ExInfo>() == 16);

/// GPRSGX and the largest MISC region: what a frame holds beside the XSAVE area.
pub const FRAME_EXTRA_SIZE: usize = size_of::<GprSgx>() + size_of::<ExInfo>();

/// A component of the XSAVE area behind the legacy region and the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XsaveComponent {
    /// Its number, a bit of XCR0.
    pub number: u32,
    /// Where it lies in the standard format, bytes.
    pub offset: usize,
    /// How large it is, bytes.
    pub size: usize,
    /// Whether it begins at a multiple of 64 bytes in the compacted format.
    pub is_aligned: bool,
}

/// The components, as CPUID.0DH reports them on every processor with SGX (SDM volume 1, 13.4).
pub fn xsave_components(xfrm: Xfrm) -> impl Iterator<Item = XsaveComponent> {
    const ALL: [(Xfrm, usize, usize); 9] = [
        (Xfrm::AVX, 576, 256),
        (Xfrm::BNDREGS, 960, 64),
        (Xfrm::BNDCSR, 1024, 64),
        (Xfrm::OPMASK, 1088, 64),
        (Xfrm::ZMM_HI256, 1152, 512),
        (Xfrm::HI16_ZMM, 1664, 1024),
        (Xfrm::PKRU, 2688, 8),
        (Xfrm::TILECFG, 2752, 64),
        (Xfrm::TILEDATA, 2816, 8192),
    ];
    ALL.into_iter().filter(move |(component, ..)| xfrm.contains(*component)).map(
        |(component, offset, size)| XsaveComponent {
            number: component.bits().trailing_zeros(),
            offset,
            size,
            is_aligned: component == Xfrm::TILECFG || component == Xfrm::TILEDATA,
        },
    )
}

/// Bytes of the legacy region and the header.
const XSAVE_HEADER_END: usize = 512 + 64;

/// Bytes of the XSAVE area in the standard format for this XFRM: the processor's `compute_xsave_size`.
#[must_use]
pub fn xsave_size(xfrm: Xfrm) -> usize {
    xsave_components(xfrm).map(|part| part.offset + part.size).max().unwrap_or(XSAVE_HEADER_END)
}

/// Bytes of the XSAVE area in the compacted format (SDM volume 1, 13.4.3).
#[must_use]
pub fn compacted_xsave_size(xfrm: Xfrm) -> usize {
    xsave_components(xfrm).fold(XSAVE_HEADER_END, |end, part| {
        (if part.is_aligned { end.next_multiple_of(64) } else { end }) + part.size
    })
}

/// SSAFRAMESIZE: pages that one frame needs for this XFRM with any MISCSELECT (SDM 35.9).
#[must_use]
pub fn frame_pages(xfrm: Xfrm) -> u32 {
    (xsave_size(xfrm) + FRAME_EXTRA_SIZE).div_ceil(PAGE_SIZE) as u32
}
