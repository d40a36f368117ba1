//! Entering: EENTER and ERESUME (SDM 38.4).

use casemate_sgx::{AttributesFlags, Fault, GprSgx, PageType, Tcs, TcsFlags, Xfrm};
use zerocopy::{FromBytes, IntoBytes};

use crate::check::{kept, present_page, require, require_page};
use crate::enclu::ENCLU_LENGTH;
use crate::epcm::EpcmFlags;
use crate::logical::{
    AC, AF, CF, DF, ID, IF, Inside, LogicalProcessor, NT, OF, PF, RF, Registers, SF, TF, ZF, is_canonical,
};
use crate::memory::Memory;
use crate::processor::{Enclave, PAGE, Processor, is_page_aligned};
use crate::xsave::{MAX_FRAME_PAGES, XsaveArea, is_restorable};

/// What the checks that EENTER and ERESUME share found.
struct Found {
    tcs_page: u64,
    secs_page: u64,
    frame: [u64; MAX_FRAME_PAGES],
    gpr: u64,
}

impl Processor {
    /// ENCLU[EENTER]: RBX is the TCS, RCX the AEP.
    pub fn eenter(
        &mut self,
        memory: &mut impl Memory,
        logical: &mut LogicalProcessor,
        registers: &mut Registers,
    ) -> Result<(), Fault> {
        require(!logical.in_enclave(), "EENTER: executed in enclave mode")?;
        let (tcs_page, secs_page) = self.check_tcs_page(memory, registers)?;
        let (tcs, enclave) = self.check_tcs(tcs_page, secs_page)?;
        let (fs_base, gs_base) = segment_bases(tcs, enclave);
        require(is_canonical(fs_base), "EENTER: FS base is not canonical")?;
        require(is_canonical(gs_base), "EENTER: GS base is not canonical")?;
        check_mode(tcs, enclave, self.configuration.xcr0)?;
        require(tcs.cssa < tcs.nssa, "EENTER: TCS.CSSA is not below TCS.NSSA")?;
        let ssa = frame_address(tcs, enclave, tcs.cssa);
        let (frame, gpr) = self.ssa_frame(memory, secs_page, enclave, ssa)?;
        let target = enclave.secs.base.wrapping_add(tcs.oentry);
        require(is_canonical(target), "EENTER: the target is not canonical")?;
        let cssa = tcs.cssa;
        let found = Found { tcs_page, secs_page, frame, gpr };
        // Save the outside RSP and RBP for AEXs.
        let mut saved = read_gpr(memory, gpr);
        saved.ursp = registers.rsp;
        saved.urbp = registers.rbp;
        self.activate(logical, registers, &found)?;
        memory.write(gpr, saved.as_bytes());
        registers.rcx = registers.rip.wrapping_add(ENCLU_LENGTH);
        registers.rip = target;
        registers.rax = cssa.into();
        registers.fs_base = fs_base;
        registers.gs_base = gs_base;
        clear_trap_flag(logical, registers);
        Ok(())
    }

    /// ENCLU[ERESUME]: RBX is the TCS, RCX the AEP. The frame's XSAVE area goes to `extended` (XRSTOR).
    pub fn eresume(
        &mut self,
        memory: &mut impl Memory,
        logical: &mut LogicalProcessor,
        registers: &mut Registers,
        extended: &mut XsaveArea,
    ) -> Result<(), Fault> {
        require(!logical.in_enclave(), "ERESUME: executed in enclave mode")?;
        let (tcs_page, secs_page) = self.check_tcs_page(memory, registers)?;
        let (tcs, enclave) = self.check_tcs(tcs_page, secs_page)?;
        check_mode(tcs, enclave, self.configuration.xcr0)?;
        require(tcs.cssa != 0, "ERESUME: TCS.CSSA is 0")?;
        let ssa = frame_address(tcs, enclave, tcs.cssa - 1);
        let (frame, gpr) = self.ssa_frame(memory, secs_page, enclave, ssa)?;
        let saved = read_gpr(memory, gpr);
        require(is_canonical(saved.rip), "ERESUME: the target is not canonical")?;
        require(is_canonical(saved.fsbase), "ERESUME: FS base is not canonical")?;
        require(is_canonical(saved.gsbase), "ERESUME: GS base is not canonical")?;
        let active = self.threads.get(&tcs_page).is_none_or(|thread| thread.active);
        require(!active, "ERESUME: TCS.STATE is ACTIVE")?;
        extended.fill(0);
        let size = casemate_sgx::xsave_size(enclave.xfrm());
        read_frame(memory, &frame, &mut extended[..size]);
        require(is_restorable(extended, enclave.xfrm()), "ERESUME: XRSTOR failed")?;
        self.activate(logical, registers, &Found { tcs_page, secs_page, frame, gpr })?;
        restore(registers, &saved);
        if let Some(thread) = self.threads.get_mut(&tcs_page) {
            thread.tcs.cssa -= 1;
        }
        clear_trap_flag(logical, registers);
        Ok(())
    }

    /// The checks of RBX and RCX and of the TCS's EPCM entry.
    fn check_tcs_page(&self, memory: &impl Memory, registers: &Registers) -> Result<(u64, u64), Fault> {
        let linear = registers.rbx;
        require(is_page_aligned(linear), "TCS: RBX is not 4 KiB aligned")?;
        let page = present_page(memory.resolve(linear), linear, "TCS: RBX does not resolve to the EPC")?;
        require(is_canonical(registers.rcx), "TCS: AEP is not canonical")?;
        let entry = present_page(self.epcm.get(page), linear, "TCS: EPCM.VALID = 0")?;
        require_page(entry.enclave_address == linear, linear, "TCS: EPCM.ENCLAVEADDRESS is not RBX")?;
        require_page(entry.page_type == PageType::Tcs, linear, "TCS: EPCM.PT is not PT_TCS")?;
        // "EPCM(DS:RBX).PENDING = 1": only EAUG makes pending pages, of PT_REG; a TCS is never one.
        require_page(!entry.flags.contains(EpcmFlags::MODIFIED), linear, "TCS: EPCM.MODIFIED = 1")?;
        Ok((page, entry.secs))
    }

    /// The checks of the TCS's fields up to FS and GS.
    fn check_tcs(&self, tcs_page: u64, secs_page: u64) -> Result<(&Tcs, &Enclave), Fault> {
        let thread = kept(self.threads.get(&tcs_page), tcs_page)?;
        let tcs = &*thread.tcs;
        require(is_page_aligned(tcs.ossa), "TCS: OSSA is not 4 KiB aligned")?;
        require(is_page_aligned(tcs.ofsbase), "TCS: OFSBASE is not 4 KiB aligned")?;
        require(is_page_aligned(tcs.ogsbase), "TCS: OGSBASE is not 4 KiB aligned")?;
        Ok((tcs, self.secs_entry(secs_page)?))
    }

    /// "Ensure the enclave is not already active and this thread is the only one using the TCS", then enclave mode.
    fn activate(
        &mut self,
        logical: &mut LogicalProcessor,
        registers: &Registers,
        found: &Found,
    ) -> Result<(), Fault> {
        let enclave = self.secs_entry(found.secs_page)?;
        let (base, size, epoch) = (enclave.secs.base, enclave.secs.size, enclave.epoch);
        let thread = kept(self.threads.get_mut(&found.tcs_page), found.tcs_page)?;
        require(!thread.active, "TCS: STATE is ACTIVE")?;
        thread.active = true;
        thread.entry_epoch = epoch;
        thread.tcs.aep = registers.rcx;
        logical.inside = Some(Inside {
            secs: found.secs_page,
            base,
            size,
            tcs_linear: registers.rbx,
            tcs: found.tcs_page,
            gpr: found.gpr,
            frame: found.frame,
            saved_fs_base: registers.fs_base,
            saved_gs_base: registers.gs_base,
            debug_opt_in: thread.tcs.flags & TcsFlags::DBGOPTIN.bits() != 0,
            saved_tf: registers.rflags & TF,
        });
        Ok(())
    }
}

fn segment_bases(tcs: &Tcs, enclave: &Enclave) -> (u64, u64) {
    (enclave.secs.base.wrapping_add(tcs.ofsbase), enclave.secs.base.wrapping_add(tcs.ogsbase))
}

/// From TCS.FLAGS to XFRM. CR4.OSFXSR and CR4.OSXSAVE are 1, and the processor is in 64-bit mode.
fn check_mode(tcs: &Tcs, enclave: &Enclave, xcr0: Xfrm) -> Result<(), Fault> {
    require(tcs.flags & !TcsFlags::DBGOPTIN.bits() == 0, "TCS: a reserved bit of FLAGS is not 0")?;
    require(enclave.initialised, "TCS: the enclave is not initialised")?;
    let is_64_bit = enclave.secs.attributes.has(AttributesFlags::MODE64BIT);
    require(is_64_bit, "TCS: the enclave is not for 64-bit mode")?;
    require(xcr0.contains(enclave.xfrm()), "TCS: SECS.ATTRIBUTES.XFRM is not a subset of XCR0")
}

/// TMP_SSA.
fn frame_address(tcs: &Tcs, enclave: &Enclave, slot: u32) -> u64 {
    let frame = PAGE.wrapping_mul(enclave.secs.ssa_frame_size.into());
    enclave.secs.base.wrapping_add(tcs.ossa).wrapping_add(frame.wrapping_mul(slot.into()))
}

pub(crate) fn read_gpr(memory: &impl Memory, address: u64) -> GprSgx {
    let mut bytes = [0; size_of::<GprSgx>()];
    memory.read(address, &mut bytes);
    GprSgx::read_from_bytes(&bytes).unwrap_or_default()
}

/// Reads the XSAVE area from the pages of a frame.
fn read_frame(memory: &impl Memory, frame: &[u64; MAX_FRAME_PAGES], area: &mut [u8]) {
    for (page, part) in frame.iter().zip(area.chunks_mut(PAGE as usize)) {
        memory.read(*page, part);
    }
}

/// "Restore_GPRs from DS:TMP_GPR" and the flags that ERESUME takes from there.
fn restore(registers: &mut Registers, saved: &GprSgx) {
    const RESTORED: u64 = CF | PF | AF | ZF | SF | DF | OF | NT | AC | ID | RF | TF;
    // IF follows the frame only with IOPL = 3, which Linux does not give.
    let rflags = registers.rflags & !RESTORED | saved.rflags & RESTORED;
    *registers = Registers {
        rax: saved.rax,
        rbx: saved.rbx,
        rcx: saved.rcx,
        rdx: saved.rdx,
        rsi: saved.rsi,
        rdi: saved.rdi,
        rbp: saved.rbp,
        rsp: saved.rsp,
        r8: saved.r8,
        r9: saved.r9,
        r10: saved.r10,
        r11: saved.r11,
        r12: saved.r12,
        r13: saved.r13,
        r14: saved.r14,
        r15: saved.r15,
        rip: saved.rip,
        rflags: rflags & !IF | registers.rflags & IF,
        fs_base: saved.fsbase,
        gs_base: saved.gsbase,
    };
}

/// "IF (CR_DBGOPTIN = 0) RFLAGS.TF ← 0".
fn clear_trap_flag(logical: &LogicalProcessor, registers: &mut Registers) {
    if logical.inside.as_ref().is_some_and(|inside| !inside.debug_opt_in) {
        registers.rflags &= !TF;
    }
}
