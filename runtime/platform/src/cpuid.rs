//! CPUID. On `direct` it is the instruction; in an enclave, where that is not allowed, a table that the host gave at start.
//!
//! The table is the host's word, and no memory safety hangs on it: the platform layer takes the XSAVE area's size from the
//! architecture and XCR0, which the processor itself tells (`extended_state`). What programs size theirs by must agree with
//! those, to the byte: a dynamic linker saves the vector registers on the program's stack, in so much room as this table says.
//! Features whose registers the enclave does not have are taken away. The
//! rest can make a program slow or crash, which the host can do anyway.

use alloc::vec::Vec;
use core::mem::size_of;

use casemate_abi::CpuidEntry;
use casemate_sgx::{Xfrm, compacted_xsave_size, xsave_components, xsave_size};

use crate::boundary::HostRange;
use crate::sync::Once;

static TABLE: Once<Vec<CpuidEntry>> = Once::new();

/// Most entries accepted.
const LIMIT: u64 = 512;
/// Leaves with sub-leaves (SDM volume 2, CPUID).
const WITH_SUBLEAVES: [u32; 15] =
    [0x4, 0x7, 0xb, 0xd, 0xf, 0x10, 0x12, 0x14, 0x17, 0x18, 0x1d, 0x1e, 0x1f, 0x24, 0x8000_001d];
const XSAVE_LEAF: u32 = 0xd;
/// The component of the XSAVE area with PKRU.
const PROTECTION_KEYS: u32 = 9;

/// EAX, EBX, ECX, EDX of a leaf.
pub fn cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
    if !crate::host::leaves_by_gate() {
        let answer = core::arch::x86_64::__cpuid_count(leaf, subleaf);
        return [answer.eax, answer.ebx, answer.ecx, answer.edx];
    }
    let subleaf = if WITH_SUBLEAVES.contains(&leaf) { subleaf } else { 0 };
    let table = TABLE.get().map_or(&[][..], Vec::as_slice);
    let found = table.iter().find(|entry| (entry.leaf, entry.subleaf) == (leaf, subleaf));
    found.map_or([0; 4], |entry| entry.registers)
}

/// As [`cpuid`], without any feature that needs VEX or EVEX encodings: for the enclave's own code.
pub(crate) fn without_wide_registers(leaf: u32, subleaf: u32) -> [u32; 4] {
    let mut entry = CpuidEntry { leaf, subleaf, registers: cpuid(leaf, subleaf) };
    // What remains of a processor that has only SSE is fit; its sizes do not matter here.
    match leaf {
        1 | 7 => check(&mut entry, Xfrm::LEGACY).map_or([0; 4], |()| entry.registers),
        _ => entry.registers,
    }
}

/// Takes the host's table, once, at start; what is wrong with it.
pub(crate) fn adopt(blob: HostRange, xcr0: u64) -> Result<(), &'static str> {
    const SIZE: usize = size_of::<CpuidEntry>();
    let bytes = blob.to_vec(LIMIT * SIZE as u64).ok_or("the CPUID table is not readable")?;
    let mut table = Vec::with_capacity(bytes.len() / SIZE);
    for entry in bytes.chunks_exact(SIZE) {
        let word = |index: usize| {
            let at = 4 * index;
            u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]])
        };
        let registers = [word(2), word(3), word(4), word(5)];
        table.push(CpuidEntry { leaf: word(0), subleaf: word(1), registers });
    }
    table.retain(|entry| entry.leaf != 0x12);
    for entry in &mut table {
        check(entry, Xfrm::from_bits_truncate(xcr0))?;
    }
    is_complete(&table, xcr0)?;
    TABLE.set(table).map_err(|_| "the CPUID table came twice")
}

/// Whether everything is there that programs size and choose by.
fn is_complete(table: &[CpuidEntry], xcr0: u64) -> Result<(), &'static str> {
    let present = |leaf, subleaf| table.iter().any(|entry| (entry.leaf, entry.subleaf) == (leaf, subleaf));
    if ![(0, 0), (1, 0), (7, 0), (XSAVE_LEAF, 0), (0x8000_0000, 0)].iter().all(|&(a, b)| present(a, b)) {
        return Err("the CPUID table lacks a leaf that every processor has");
    }
    if !(2..63).all(|component| xcr0 >> component & 1 == 0 || present(XSAVE_LEAF, component)) {
        return Err("the CPUID table lacks a part of the XSAVE area");
    }
    Ok(())
}

/// Bits of leaf 1 ECX, leaf 7 EBX, ECX and EDX that go with a component of the vector state (SDM volume 2, CPUID).
const AVX_1_ECX: u32 = 1 << 12 | 1 << 28 | 1 << 29;
const AVX_7_EBX: u32 = 1 << 5;
const AVX_7_ECX: u32 = 1 << 9 | 1 << 10;
const AVX512_7_EBX: u32 = 1 << 16 | 1 << 17 | 1 << 21 | 1 << 26 | 1 << 27 | 1 << 28 | 1 << 30 | 1 << 31;
const AVX512_7_ECX: u32 = 1 << 1 | 1 << 6 | 1 << 11 | 1 << 12 | 1 << 14;
const AVX512_7_EDX: u32 = 1 << 2 | 1 << 3 | 1 << 8 | 1 << 23;
const AMX_7_EDX: u32 = 1 << 22 | 1 << 24 | 1 << 25;

fn check(entry: &mut CpuidEntry, xcr0: Xfrm) -> Result<(), &'static str> {
    let [eax, ebx, ecx, edx] = &mut entry.registers;
    match (entry.leaf, entry.subleaf) {
        (1, _) => {
            if *ecx >> 27 & 1 == 0 || *edx >> 26 & 1 == 0 {
                return Err("the CPUID table says that there is no XSAVE or SSE2");
            }
            // MONITOR, VMX, SMX: never in an enclave.
            *ecx &= !(1 << 3 | 1 << 5 | 1 << 6);
            if !xcr0.contains(Xfrm::AVX) {
                *ecx &= !AVX_1_ECX;
            }
        }
        (7, 0) => {
            // SGX itself; protection keys and AMX, which no enclave has (`casemate_sgx::layout::Features`).
            *ebx &= !(1 << 2);
            *ecx &= !(1 << 3 | 1 << 4);
            *edx &= !AMX_7_EDX;
            if !xcr0.contains(Xfrm::AVX) {
                (*ebx, *ecx) = (*ebx & !AVX_7_EBX, *ecx & !AVX_7_ECX);
            }
            if !xcr0.contains(Xfrm::AVX512) {
                (*ebx, *ecx, *edx) = (*ebx & !AVX512_7_EBX, *ecx & !AVX512_7_ECX, *edx & !AVX512_7_EDX);
            }
        }
        (XSAVE_LEAF, 0) => {
            let size = xsave_size(xcr0) as u32;
            (*eax, *ebx, *ecx, *edx) = (xcr0.bits() as u32, size, size, (xcr0.bits() >> 32) as u32);
        }
        (XSAVE_LEAF, 1) => {
            // XSAVEOPT, XSAVEC and XGETBV with ECX = 1; what is above the program's privilege is not shown.
            let size = compacted_xsave_size(xcr0) as u32;
            (*eax, *ebx, *ecx, *edx) = (*eax & 7, size, 0, 0);
        }
        (XSAVE_LEAF, number) => match xsave_components(xcr0).find(|part| part.number == number) {
            // A component that is not there has no size, as sums are made of all.
            None => entry.registers = [0; 4],
            Some(part) => {
                // Protection keys lie elsewhere on other makers' processors, and no enclave has them.
                let elsewhere = number == PROTECTION_KEYS && (*ebx as usize) < part.offset;
                if *eax as usize != part.size || *ebx as usize != part.offset && !elsewhere {
                    return Err("the CPUID table contradicts the architecture about the XSAVE area");
                }
                (*ecx, *edx) = (u32::from(part.is_aligned) << 1, 0);
            }
        },
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u64 = 0x602e7;

    fn entry(leaf: u32, subleaf: u32, registers: [u32; 4]) -> CpuidEntry {
        CpuidEntry { leaf, subleaf, registers }
    }

    #[test]
    fn features_without_their_registers_are_taken_away() {
        let mut one = entry(1, 0, [0, 0, u32::MAX, u32::MAX]);
        check(&mut one, Xfrm::from_bits_truncate(3)).unwrap();
        assert_eq!(one.registers[2] & AVX_1_ECX, 0);
        let mut seven = entry(7, 0, [0, u32::MAX, u32::MAX, u32::MAX]);
        check(&mut seven, Xfrm::from_bits_truncate(0x6_0007)).unwrap();
        assert_eq!(seven.registers[1] & (AVX512_7_EBX | AVX_7_EBX), AVX_7_EBX);
        assert_eq!(seven.registers[1] & 1 << 2, 0, "no SGX inside");
        assert_eq!(seven.registers[3] & (AVX512_7_EDX | AMX_7_EDX), 0);
    }

    #[test]
    fn a_vector_state_of_another_size_is_refused() {
        let all = Xfrm::from_bits_truncate(ALL);
        let mut avx = entry(XSAVE_LEAF, 2, [256, 576, u32::MAX, u32::MAX]);
        check(&mut avx, all).unwrap();
        assert_eq!(avx.registers, [256, 576, 0, 0]);
        assert!(check(&mut entry(XSAVE_LEAF, 2, [256, 8192, 0, 0]), all).is_err());
        assert!(check(&mut entry(XSAVE_LEAF, 7, [u32::MAX, u32::MAX, 0, 0]), all).is_err());
        // With the same end: less room in the compacted format, where sizes are added up.
        assert!(check(&mut entry(XSAVE_LEAF, 7, [0, 2688, 0, 0]), all).is_err());
        assert!(check(&mut entry(XSAVE_LEAF, 2, [255, 577, 0, 0]), all).is_err());
        let mut zero = entry(XSAVE_LEAF, 0, [u32::MAX; 4]);
        check(&mut zero, Xfrm::from_bits_truncate(0xe7)).unwrap();
        assert_eq!(zero.registers, [0xe7, 2688, 2688, 0]);
        let mut one = entry(XSAVE_LEAF, 1, [u32::MAX, 1, u32::MAX, u32::MAX]);
        check(&mut one, Xfrm::from_bits_truncate(0xe7)).unwrap();
        assert_eq!(one.registers, [7, 576 + 256 + 64 + 512 + 1024, 0, 0]);
    }

    #[test]
    fn a_part_of_the_vector_state_that_is_not_on_has_no_size() {
        for number in [3, 5, 8, 9, 10, 18, 19, 62, 63, 64, u32::MAX] {
            // A sum that wraps, if somebody added it.
            let mut off = entry(XSAVE_LEAF, number, [u32::MAX - 700, 576, 2, 0]);
            check(&mut off, Xfrm::from_bits_truncate(7)).unwrap();
            assert_eq!(off.registers, [0; 4], "component {number}");
        }
    }

    #[test]
    fn a_processor_without_xsave_is_refused() {
        assert!(check(&mut entry(1, 0, [0, 0, !(1 << 27), u32::MAX]), Xfrm::LEGACY).is_err());
    }

    #[test]
    fn a_table_that_lacks_a_part_of_the_vector_state_is_refused() {
        let needed = [(0, 0), (1, 0), (7, 0), (XSAVE_LEAF, 0), (0x8000_0000, 0)];
        let mut table: Vec<CpuidEntry> =
            needed.iter().map(|&(leaf, subleaf)| entry(leaf, subleaf, [u32::MAX; 4])).collect();
        assert!(is_complete(&table, 7).is_err(), "AVX's part is missing");
        table.push(entry(XSAVE_LEAF, 2, [256, 576, 0, 0]));
        assert!(is_complete(&table, 7).is_ok());
        assert!(is_complete(&table[1..], 7).is_err());
    }
}
