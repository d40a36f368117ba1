//! A process's address space.

use crate::user_space::Access;

/// What became of a page fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultOutcome {
    /// The access can be made again.
    Resolved,
    /// Nothing is mapped there (SEGV_MAPERR).
    NotMapped,
    /// The mapping forbids the access (SEGV_ACCERR).
    AccessError,
    /// Beyond the end of the file, or its contents cannot be vouched for (SIGBUS).
    BusError,
}

/// A process's mappings.
pub struct AddressSpace {}

impl AddressSpace {
    /// No mappings.
    pub fn new() -> AddressSpace {
        AddressSpace {}
    }

    /// Handles a page fault of the program.
    pub fn handle_fault(&self, _address: u64, _access: Access) -> FaultOutcome {
        FaultOutcome::NotMapped
    }

    /// Where a system call that ended at `pc` is made again.
    pub fn restart_pc(&self, pc: u64) -> u64 {
        pc - 2
    }

    /// The place in the program's own code that `pc` stands for: itself, unless it lies in a trampoline.
    pub fn original_pc(&self, pc: u64) -> u64 {
        pc
    }

    /// The reverse: where to resume for a pc that a signal frame shows.
    pub fn resumable_pc(&self, pc: u64) -> u64 {
        pc
    }

    /// Makes the page at `address` present if it is mapped with that right; false when it is not the process's to access so.
    pub fn make_present(&self, _address: u64, _access: Access) -> bool {
        false
    }

    /// Whether the page at `address` can be written now; makes it present if it is only not loaded yet.
    pub fn is_present_for_write(&self, _address: u64) -> bool {
        false
    }
}

impl Default for AddressSpace {
    fn default() -> Self {
        Self::new()
    }
}
