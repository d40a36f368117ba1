//! The XSAVE area of an SSA frame (SDM volume 1, 13.4 and 13.8).

use casemate_sgx::Xfrm;

/// Bytes of the largest XSAVE area that XFRM can ask for (with AMX).
pub const MAX_XSAVE: usize = 2816 + 8192;
/// Pages of the largest SSA frame of whose pages the processor keeps track: XSAVE area, MISC and GPRSGX.
pub(crate) const MAX_FRAME_PAGES: usize = 3;

/// Extended state in the standard format.
pub type XsaveArea = [u8; MAX_XSAVE];

const HEADER: usize = 512;
const MXCSR: usize = 24;
/// Bits of MXCSR that may be set (MXCSR_MASK of every processor with SGX).
const MXCSR_MASK: u32 = 0xffff;

/// Whether XRSTOR of this area with XCR0 = `xfrm` would raise #GP (SDM volume 1, 13.8.1).
pub(crate) fn is_restorable(area: &XsaveArea, xfrm: Xfrm) -> bool {
    let word = |at: usize| u64::from_le_bytes(area[at..at + 8].try_into().unwrap_or([0xff; 8]));
    let xstate_bv = word(HEADER);
    let mxcsr = u32::from_le_bytes([area[MXCSR], area[MXCSR + 1], area[MXCSR + 2], area[MXCSR + 3]]);
    // XCOMP_BV and the reserved bytes of the header are 0 in the standard format.
    xstate_bv & !xfrm.bits() == 0
        && area[HEADER + 8..HEADER + 64].iter().all(|byte| *byte == 0)
        && mxcsr & !MXCSR_MASK == 0
}

/// What XSAVE stores of `state`, which may hold more than XFRM names: its first `size` bytes, XSTATE_BV reduced
/// to XFRM, and a clean header.
pub(crate) fn saved(state: &[u8], size: usize, xfrm: Xfrm) -> XsaveArea {
    let mut area = [0; MAX_XSAVE];
    let length = state.len().min(size);
    area[..length].copy_from_slice(&state[..length]);
    let mut xstate_bv = [0; 8];
    xstate_bv.copy_from_slice(&area[HEADER..HEADER + 8]);
    let xstate_bv = u64::from_le_bytes(xstate_bv) & xfrm.bits();
    area[HEADER..HEADER + 64].fill(0);
    area[HEADER..HEADER + 8].copy_from_slice(&xstate_bv.to_le_bytes());
    area
}
