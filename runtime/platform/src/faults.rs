//! Faults of the library OS's own making, for tests.

/// Reads an address that belongs to nobody.
pub fn read(address: u64) -> u8 {
    // SAFETY: there is none: this faults, which is what it is for.
    unsafe { (address as *const u8).read_volatile() }
}

/// Executes an instruction that is none.
pub fn undefined_instruction() {
    // SAFETY: this faults, which is what it is for.
    unsafe { core::arch::asm!("ud2") }
}
