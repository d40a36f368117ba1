//! Rewritten system calls: where the displaced code of a mapping lies.

use super::address_space::AddressSpace;
use super::span::Span;

/// Code near an executable mapping that its rewritten system calls jump to.
pub struct Trampoline {
    /// Its addresses.
    pub span: Span,
}

impl AddressSpace {
    /// Where a system call that ended at `pc` is made again.
    pub fn restart_pc(&self, pc: u64) -> u64 {
        pc.wrapping_sub(2)
    }

    /// The place in the program's own code that `pc` stands for: itself, unless it lies in a trampoline.
    pub fn original_pc(&self, pc: u64) -> u64 {
        pc
    }

    /// The reverse: where to resume for a pc that a signal frame shows.
    pub fn resumable_pc(&self, pc: u64) -> u64 {
        pc
    }
}
