//! What CPUID says, gathered for the enclave, where the instruction is not allowed.

use core::arch::x86_64::{__cpuid, __cpuid_count};

use alloc::vec::Vec;
use casemate_abi::{Blob, CpuidEntry};

use crate::sys::{self, Errno};

/// Leaves with sub-leaves, and the most of them that are asked for (SDM volume 2, CPUID).
const SUBLEAVES: [(u32, u32); 9] =
    [(0x4, 8), (0x7, 3), (0xb, 4), (0xd, 20), (0x14, 2), (0x18, 8), (0x1d, 2), (0x1f, 6), (0x8000_001d, 8)];
/// Leaves beyond these are not asked for.
const LAST: [u32; 2] = [0x24, 0x8000_0028];

/// All leaves.
pub fn gather() -> Vec<CpuidEntry> {
    let mut entries = Vec::new();
    for (first, last) in [0, 0x8000_0000].into_iter().zip(LAST) {
        for leaf in first..=__cpuid(first).eax.min(last) {
            let count = SUBLEAVES.iter().find(|(with, _)| *with == leaf).map_or(1, |(_, count)| *count);
            for subleaf in 0..count {
                let answer = __cpuid_count(leaf, subleaf);
                let registers = [answer.eax, answer.ebx, answer.ecx, answer.edx];
                entries.push(CpuidEntry { leaf, subleaf, registers });
            }
        }
    }
    entries
}

/// Puts the table where the enclave can read it.
pub fn table() -> Result<Blob, Errno> {
    let entries = gather();
    let length = size_of_val(entries.as_slice()) as u64;
    let address = sys::map_anonymous(length, sys::READ_WRITE)?;
    // SAFETY: the mapping is new and large enough.
    unsafe { (address as *mut CpuidEntry).copy_from_nonoverlapping(entries.as_ptr(), entries.len()) };
    Ok(Blob { address, length })
}

/// Whether the processor has what both binaries are built for (runtime/freestanding.toml), and random numbers.
pub fn has_required_features() -> bool {
    // CPUID.1:ECX: SSE3, PCLMULQDQ, SSSE3, SSE4.1, AESNI, RDRAND; CPUID.7.0:EBX: SHA.
    const ECX: u32 = 1 | 1 << 1 | 1 << 9 | 1 << 19 | 1 << 25 | 1 << 30;
    const EBX: u32 = 1 << 29;
    __cpuid(0).eax >= 7 && __cpuid(1).ecx & ECX == ECX && __cpuid_count(7, 0).ebx & EBX == EBX
}

/// XCR0.
pub fn xcr0() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: OSXSAVE is set on every 64-bit Linux whose processor has FSGSBASE; XGETBV(0) only reads.
    unsafe {
        core::arch::asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nostack, nomem));
    }
    u64::from(high) << 32 | u64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_leaves_that_the_enclave_insists_on() {
        let entries = gather();
        for wanted in [(0, 0), (1, 0), (7, 0), (0xd, 0), (0xd, 2), (0x8000_0000, 0)] {
            assert!(entries.iter().any(|entry| (entry.leaf, entry.subleaf) == wanted), "{wanted:x?}");
        }
        assert!(entries.len() < 200);
        assert_eq!(xcr0() & 3, 3);
    }
}
