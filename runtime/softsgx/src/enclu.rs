//! ENCLU itself (SDM 38.4): which leaf, in which mode, and how results reach RAX and RFLAGS.

use casemate_sgx::{Fault, SgxError};

use crate::check::present;
use crate::logical::{AF, CF, LogicalProcessor, OF, PF, Registers, SF, ZF};
use crate::memory::Memory;
use crate::processor::Processor;
use crate::xsave::XsaveArea;

/// The instruction.
pub(crate) const ENCLU: [u8; 3] = [0x0f, 0x01, 0xd7];
/// Bytes of it.
pub const ENCLU_LENGTH: u64 = ENCLU.len() as u64;

/// Leaf functions of ENCLU, by EAX (SDM table 34-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)] // the leaves' own names
pub enum Leaf {
    Ereport = 0,
    Egetkey = 1,
    Eenter = 2,
    Eresume = 3,
    Eexit = 4,
    Eaccept = 5,
    Emodpe = 6,
    Eacceptcopy = 7,
}

impl Leaf {
    /// The leaf with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Ereport,
            1 => Self::Egetkey,
            2 => Self::Eenter,
            3 => Self::Eresume,
            4 => Self::Eexit,
            5 => Self::Eaccept,
            6 => Self::Emodpe,
            7 => Self::Eacceptcopy,
            _ => return None,
        })
    }
}

/// How execution goes on after ENCLU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// After the instruction.
    Next,
    /// Inside, at the entry point.
    Entered,
    /// Inside, where it was interrupted; the extended state is to be restored.
    Resumed,
    /// Outside.
    Exited,
}

/// Brings a leaf's outcome to RAX and RFLAGS, or says that it faults.
fn finish(registers: &mut Registers, outcome: Result<(), SgxError>) -> Result<(), Fault> {
    let code = match outcome {
        Ok(()) => 0,
        Err(SgxError::Code(code)) => code as u64,
        Err(SgxError::Fault(fault)) => return Err(fault),
    };
    registers.rax = code;
    registers.rflags &= !(CF | PF | AF | OF | SF | ZF);
    if code != 0 {
        registers.rflags |= ZF;
    }
    Ok(())
}

impl Processor {
    /// Executes ENCLU with these registers, whose RIP is the instruction's address. A fault changes nothing.
    pub fn enclu(
        &mut self,
        memory: &mut impl Memory,
        logical: &mut LogicalProcessor,
        registers: &mut Registers,
        extended: &mut XsaveArea,
    ) -> Result<Flow, Fault> {
        let leaf = Leaf::from_number(registers.rax as u32);
        let leaf = present(leaf, "ENCLU: EAX is no leaf function of this processor")?;
        let (rbx, rcx, rdx) = (registers.rbx, registers.rcx, registers.rdx);
        let outcome = match leaf {
            Leaf::Eenter => return self.eenter(memory, logical, registers).map(|()| Flow::Entered),
            Leaf::Eresume => {
                return self.eresume(memory, logical, registers, extended).map(|()| Flow::Resumed);
            }
            Leaf::Eexit => return self.eexit(logical, registers).map(|()| Flow::Exited),
            // These two affect no flags.
            Leaf::Ereport => {
                self.ereport(memory, logical, rbx, rcx, rdx)?;
                registers.rip = registers.rip.wrapping_add(ENCLU_LENGTH);
                return Ok(Flow::Next);
            }
            Leaf::Emodpe => {
                self.emodpe(memory, logical, rbx, rcx)?;
                registers.rip = registers.rip.wrapping_add(ENCLU_LENGTH);
                return Ok(Flow::Next);
            }
            Leaf::Egetkey => self.egetkey(memory, logical, rbx, rcx),
            Leaf::Eaccept => self.eaccept(memory, logical, rbx, rcx),
            Leaf::Eacceptcopy => self.eacceptcopy(memory, logical, rbx, rcx, rdx),
        };
        finish(registers, outcome)?;
        registers.rip = registers.rip.wrapping_add(ENCLU_LENGTH);
        Ok(Flow::Next)
    }

    /// EACCEPT, EMODPE or EACCEPTCOPY over `length` bytes of pages, which have the same linear as EPC addresses. It makes
    /// every check of ENCLU in a loop over the pages, but once for pages that are alike; it ends as the first leaf would that does not
    /// succeed. RCX and RDX are afterwards those of the page that it ended with.
    pub(crate) fn enclu_range(
        &mut self,
        memory: &mut impl Memory,
        logical: &LogicalProcessor,
        registers: &mut Registers,
        length: u64,
    ) -> Result<(), Fault> {
        let leaf = Leaf::from_number(registers.rax as u32);
        let end = registers.rcx.wrapping_add(length);
        loop {
            let (secinfo, page, left) = (registers.rbx, registers.rcx, end.wrapping_sub(registers.rcx));
            let outcome = match leaf {
                Some(Leaf::Eaccept) => self.eaccept_like(memory, logical, secinfo, page, left),
                Some(Leaf::Emodpe) => {
                    self.emodpe_like(memory, logical, secinfo, page, left).map_err(SgxError::from)
                }
                Some(Leaf::Eacceptcopy) => {
                    self.eacceptcopy_like(memory, logical, secinfo, page, registers.rdx, left)
                }
                _ => return present(None, "ENCLU: this leaf takes no range"),
            };
            finish(registers, outcome.map(drop))?;
            let Ok(done) = outcome else { return Ok(()) };
            registers.rcx = page.wrapping_add(done);
            registers.rdx = registers.rdx.wrapping_add(done);
            if registers.rcx == end {
                return Ok(());
            }
        }
    }
}
