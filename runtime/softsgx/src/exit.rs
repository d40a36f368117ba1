//! Leaving: EEXIT (SDM 38.4) and asynchronous exits (SDM 37.4).

use casemate_sgx::{ExInfo, ExitInfo, Fault, GprSgx, MiscSelect, xsave_size};
use zerocopy::IntoBytes;

use crate::accept::inside;
use crate::check::{kept, require};
use crate::entry::read_gpr;
use crate::logical::{AF, CF, LogicalProcessor, OF, PF, RF, Registers, SF, TF, ZF, is_canonical};
use crate::memory::Memory;
use crate::processor::{PAGE, Processor};
use crate::xsave::saved;

/// What interrupts an enclave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An interrupt, a signal of the host: nothing that the enclave is told about.
    Interrupt,
    /// An exception.
    Exception {
        /// Its vector.
        vector: u8,
        /// Its error code, or 0.
        error_code: u32,
        /// Where: CR2 of a page fault.
        address: u64,
    },
}

const PAGE_FAULT: u8 = 14;

impl Processor {
    /// ENCLU[EEXIT]: RBX is where to go.
    pub fn eexit(&mut self, logical: &mut LogicalProcessor, registers: &mut Registers) -> Result<(), Fault> {
        let inside = inside(logical)?;
        require(is_canonical(registers.rbx), "EEXIT: RBX is not canonical")?;
        let thread = self.threads.get_mut(&inside.tcs);
        registers.rcx = thread.as_ref().map_or(0, |thread| thread.tcs.aep);
        registers.rip = registers.rbx;
        registers.fs_base = inside.saved_fs_base;
        registers.gs_base = inside.saved_gs_base;
        if !inside.debug_opt_in {
            registers.rflags = registers.rflags & !TF | inside.saved_tf;
        }
        if let Some(thread) = thread {
            thread.active = false;
        }
        logical.inside = None;
        Ok(())
    }

    /// An asynchronous exit: saves everything in the current SSA frame and puts synthetic state in its place (SDM 37.3,
    /// table 37-1), so that the handler's return leads to the AEP. `extended` is the XSAVE area as it was inside; that the
    /// processor's own is then in its initial state is the caller's to see to.
    ///
    /// Returns the address that the operating system sees of a page fault: without its low 12 bits.
    pub fn asynchronous_exit(
        &mut self,
        memory: &mut impl Memory,
        logical: &mut LogicalProcessor,
        registers: &mut Registers,
        event: Event,
        extended: &[u8],
    ) -> Result<u64, Fault> {
        let inside = inside(logical)?;
        let enclave = self.secs_entry(inside.secs)?;
        let miscselect = MiscSelect::from_bits_truncate(enclave.secs.miscselect);
        let xfrm = enclave.xfrm();
        let size = xsave_size(xfrm);
        let area = saved(extended, size, xfrm);
        for (page, part) in inside.frame.iter().zip(area[..size].chunks(PAGE as usize)) {
            memory.write(*page, part);
        }
        let outside = read_gpr(memory, inside.gpr);
        let exitinfo = match event {
            Event::Interrupt => ExitInfo(0),
            Event::Exception { vector, .. } => ExitInfo::for_vector(vector, miscselect),
        };
        memory.write(inside.gpr, frame_of(registers, &outside, exitinfo).as_bytes());
        if exitinfo.is_valid() && miscselect.contains(MiscSelect::EXINFO) {
            write_exinfo(memory, inside.gpr, event);
        }
        let thread = kept(self.threads.get_mut(&inside.tcs), inside.tcs)?;
        thread.tcs.cssa += 1;
        thread.active = false;
        // The flags that are cleared; the others stay.
        let rflags = registers.rflags & !(CF | PF | AF | ZF | SF | OF | RF);
        let rflags = if inside.debug_opt_in { rflags } else { rflags & !TF | inside.saved_tf };
        *registers = Registers {
            rax: 3,
            rbx: inside.tcs_linear,
            rcx: thread.tcs.aep,
            rsp: outside.ursp,
            rbp: outside.urbp,
            rip: thread.tcs.aep,
            rflags,
            fs_base: inside.saved_fs_base,
            gs_base: inside.saved_gs_base,
            ..Registers::default()
        };
        logical.inside = None;
        Ok(match event {
            Event::Exception { vector: PAGE_FAULT, address, .. } => address & !(PAGE - 1),
            _ => 0,
        })
    }
}

/// GPRSGX of an interrupted thread.
fn frame_of(registers: &Registers, outside: &GprSgx, exitinfo: ExitInfo) -> GprSgx {
    GprSgx {
        rax: registers.rax,
        rcx: registers.rcx,
        rdx: registers.rdx,
        rbx: registers.rbx,
        rsp: registers.rsp,
        rbp: registers.rbp,
        rsi: registers.rsi,
        rdi: registers.rdi,
        r8: registers.r8,
        r9: registers.r9,
        r10: registers.r10,
        r11: registers.r11,
        r12: registers.r12,
        r13: registers.r13,
        r14: registers.r14,
        r15: registers.r15,
        rflags: registers.rflags,
        rip: registers.rip,
        ursp: outside.ursp,
        urbp: outside.urbp,
        exitinfo,
        reserved: [0; 3],
        aexnotify: outside.aexnotify,
        fsbase: registers.fs_base,
        gsbase: registers.gs_base,
    }
}

/// EXINFO, for page faults and general protection faults (SDM 35.9.2.1): just below GPRSGX.
fn write_exinfo(memory: &mut impl Memory, gpr: u64, event: Event) {
    let Event::Exception { vector, error_code, address } = event else { return };
    if !matches!(vector, 13 | PAGE_FAULT) {
        return;
    }
    let maddr = if vector == PAGE_FAULT { address } else { 0 };
    let exinfo = ExInfo { maddr, errcd: error_code, reserved: 0 };
    memory.write(gpr - size_of::<ExInfo>() as u64, exinfo.as_bytes());
}
