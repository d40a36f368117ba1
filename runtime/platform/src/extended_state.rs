//! The program's whole vector and x87 state, for signal frames and new threads: XSAVE over what the entry code
//! leaves in the processor, with xmm0–15 taken from the saved context.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering::*};

use casemate_sgx::{Xfrm, xsave_size};

use crate::context::UserContext;

/// State components handled: x87, SSE, AVX, opmask, ZMM_Hi256, Hi16_ZMM, PKRU. AMX needs a permission that is never asked for.
pub(crate) const COMPONENTS: u64 = 0x2e7;
/// Of them, those that an enclave can have: protection keys are none (`casemate_sgx::layout::Features`).
pub(crate) const IN_ENCLAVE: u64 = COMPONENTS & !(1 << 9);
/// Size of the legacy region and the XSAVE header (SDM vol. 1, 13.4).
const HEADER_END: usize = 576;
/// Offset of xmm0 in the legacy region.
const XMM_OFFSET: usize = 160;
/// Offset of XSTATE_BV.
const XSTATE_BV: usize = 512;

#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Block([u8; 64]);

/// An XSAVE image in the standard format.
#[derive(Clone)]
pub struct ExtendedState {
    blocks: Box<[Block]>,
    size: usize,
}

/// The exceptions that are flagged and not masked, bits as in MXCSR (IE DE ZE OE UE PE): of x87 after #MF, of SSE after #XM.
pub fn floating_point_exceptions(x87: bool) -> u32 {
    if x87 {
        let (mut status, mut control) = (0u16, 0u16);
        // SAFETY: both store a word without looking for exceptions that wait.
        unsafe {
            core::arch::asm!("fnstsw word ptr [{}]", "fnstcw word ptr [{}]", in(reg) &mut status, in(reg) &mut control, options(nostack))
        };
        return u32::from(status & !control & 0x3f);
    }
    let mut mxcsr = 0u32;
    // SAFETY: stores a double word.
    unsafe { core::arch::asm!("stmxcsr dword ptr [{}]", in(reg) &mut mxcsr, options(nostack)) };
    mxcsr & !(mxcsr >> 7) & 0x3f
}

/// XCR0; in an enclave the processor answers XFRM.
pub(crate) fn xcr0() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: OSXSAVE is set on every 64-bit Linux that has FSGSBASE processors; XGETBV(0) only reads.
    unsafe {
        core::arch::asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nostack, nomem))
    };
    (high as u64) << 32 | low as u64
}

/// The components that are on, of those handled.
pub fn enabled_components() -> u64 {
    xcr0() & if crate::host::leaves_by_gate() { IN_ENCLAVE } else { COMPONENTS }
}

/// Size in bytes of an image with the enabled components. In an enclave the architecture's, as XSAVE writes that much
/// whatever the host's CPUID table says (or leaves out); on `direct` CPUID's (leaf 0DH).
pub fn image_size() -> usize {
    // It never changes, and under a hypervisor each CPUID takes microseconds.
    static KNOWN: AtomicUsize = AtomicUsize::new(0);
    let known = KNOWN.load(Relaxed);
    if known != 0 {
        return known;
    }
    let size = find_image_size();
    KNOWN.store(size, Relaxed);
    size
}

fn find_image_size() -> usize {
    let enabled = enabled_components();
    if crate::host::leaves_by_gate() {
        return xsave_size(Xfrm::from_bits_truncate(enabled));
    }
    let mut size = HEADER_END;
    for component in 2..63 {
        if enabled >> component & 1 == 1 {
            let [length, offset, ..] = crate::cpuid::cpuid(0xd, component);
            size = size.max((length as usize).saturating_add(offset as usize));
        }
    }
    size
}

impl ExtendedState {
    /// The state of a fresh program: everything in its initial configuration.
    pub fn initial() -> ExtendedState {
        let size = image_size();
        let mut state =
            ExtendedState { blocks: alloc::vec![Block([0; 64]); size.div_ceil(64)].into_boxed_slice(), size };
        // FCW and MXCSR are taken from the image even when their component is in its initial state.
        state.bytes_mut()[0..2].copy_from_slice(&0x037fu16.to_le_bytes());
        state.bytes_mut()[24..28].copy_from_slice(&0x1f80u32.to_le_bytes());
        state
    }

    /// The state of the program that runs on this thread, whose other registers are `context`.
    pub fn save(context: &UserContext) -> ExtendedState {
        let mut state = ExtendedState::initial();
        let mask = enabled_components();
        // SAFETY: the buffer is 64-byte aligned and as large as these components need (`image_size`).
        unsafe {
            core::arch::asm!("xsave64 [{}]", in(reg) state.blocks.as_mut_ptr(), in("eax") mask as u32, in("edx") (mask >> 32) as u32, options(nostack));
        }
        for (number, value) in context.xmm.iter().enumerate() {
            let at = XMM_OFFSET + 16 * number;
            state.bytes_mut()[at..at + 16].copy_from_slice(&value.to_le_bytes());
        }
        // The xmm registers are live whatever XSAVE thought of the library OS's own.
        state.bytes_mut()[XSTATE_BV] |= 2;
        state
    }

    /// Makes this the program's state on this thread.
    pub fn restore(&self, context: &mut UserContext) {
        let mask = enabled_components();
        // SAFETY: the image is aligned, large enough, and its header and MXCSR were sanitised when it was made.
        unsafe {
            core::arch::asm!("xrstor64 [{}]", in(reg) self.blocks.as_ptr(), in("eax") mask as u32, in("edx") (mask >> 32) as u32, options(nostack));
        }
        let sse = self.bytes()[XSTATE_BV] & 2 != 0;
        for (number, value) in context.xmm.iter_mut().enumerate() {
            let at = XMM_OFFSET + 16 * number;
            let mut bytes = [0; 16];
            if sse {
                bytes.copy_from_slice(&self.bytes()[at..at + 16]);
            }
            *value = u128::from_le_bytes(bytes);
        }
    }

    /// Takes an image that a program edited; anything that XRSTOR would refuse is put right, as Linux does.
    pub fn from_program(bytes: &[u8]) -> Option<ExtendedState> {
        let mut state = ExtendedState::initial();
        if bytes.len() < 512 {
            return None;
        }
        let length = bytes.len().min(state.size);
        state.bytes_mut()[..length].copy_from_slice(&bytes[..length]);
        let mask = enabled_components();
        let components = if length >= HEADER_END {
            let mut field = [0; 8];
            field.copy_from_slice(&bytes[XSTATE_BV..XSTATE_BV + 8]);
            u64::from_le_bytes(field) & mask
        } else {
            3
        };
        let mut mxcsr = [0; 4];
        mxcsr.copy_from_slice(&bytes[24..28]);
        let mxcsr = u32::from_le_bytes(mxcsr) & 0xffff;
        let size = state.size;
        let out = state.bytes_mut();
        out[24..28].copy_from_slice(&mxcsr.to_le_bytes());
        out[XSTATE_BV..HEADER_END].fill(0);
        out[XSTATE_BV..XSTATE_BV + 8].copy_from_slice(&components.to_le_bytes());
        if length < HEADER_END {
            out[HEADER_END..size].fill(0);
        }
        Some(state)
    }

    /// The image's bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        self.bytes().to_vec()
    }

    /// The image's bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the blocks are plain bytes, contiguous, and at least `size` long.
        unsafe { core::slice::from_raw_parts(self.blocks.as_ptr().cast(), self.size) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, exclusively borrowed.
        unsafe { core::slice::from_raw_parts_mut(self.blocks.as_mut_ptr().cast(), self.size) }
    }
}
