//! A logical processor: the registers that leaf functions change, and the control registers of the pseudo-code.

/// General registers, RIP, RFLAGS and the bases of FS and GS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the registers' own names
pub struct Registers {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    /// At a leaf function: the address of the ENCLU instruction.
    pub rip: u64,
    pub rflags: u64,
    pub fs_base: u64,
    pub gs_base: u64,
}

pub(crate) const CF: u64 = 1 << 0;
pub(crate) const PF: u64 = 1 << 2;
pub(crate) const AF: u64 = 1 << 4;
pub(crate) const ZF: u64 = 1 << 6;
pub(crate) const SF: u64 = 1 << 7;
pub(crate) const TF: u64 = 1 << 8;
pub(crate) const IF: u64 = 1 << 9;
pub(crate) const DF: u64 = 1 << 10;
pub(crate) const OF: u64 = 1 << 11;
pub(crate) const NT: u64 = 1 << 14;
pub(crate) const RF: u64 = 1 << 16;
pub(crate) const AC: u64 = 1 << 18;
pub(crate) const ID: u64 = 1 << 21;

/// State of one host thread as a logical processor. Starts outside any enclave.
#[derive(Clone, Debug, Default)]
pub struct LogicalProcessor {
    /// Present while CR_ENCLAVE_MODE is 1.
    pub(crate) inside: Option<Inside>,
}

/// CR_ACTIVE_SECS and so on: valid in enclave mode only.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    /// CR_ACTIVE_SECS.
    pub secs: u64,
    /// CR_ELRANGE.
    pub base: u64,
    pub size: u64,
    /// CR_TCS_LA and CR_TCS_PA.
    pub tcs_linear: u64,
    pub tcs: u64,
    /// CR_GPR_PA.
    pub gpr: u64,
    /// CR_XSAVE_PAGE_n: the EPC pages of the frame, and how many the XSAVE area needs.
    pub frame: [u64; crate::xsave::MAX_FRAME_PAGES],
    /// CR_SAVE_FS_base, CR_SAVE_GS_base.
    pub saved_fs_base: u64,
    pub saved_gs_base: u64,
    /// CR_DBGOPTIN.
    pub debug_opt_in: bool,
    /// CR_SAVE_TF, as a bit of RFLAGS.
    pub saved_tf: u64,
}

impl LogicalProcessor {
    /// CR_ENCLAVE_MODE.
    #[must_use]
    pub fn in_enclave(&self) -> bool {
        self.inside.is_some()
    }

    /// The linear address of the TCS in use.
    #[must_use]
    pub fn tcs(&self) -> Option<u64> {
        self.inside.as_ref().map(|inside| inside.tcs_linear)
    }
}

/// Whether an address is canonical (48 bits, as the device's CPUID reports).
pub(crate) fn is_canonical(address: u64) -> bool {
    let upper = address >> 47;
    upper == 0 || upper == 0x1_ffff
}
