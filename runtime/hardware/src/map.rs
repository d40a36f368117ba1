//! Where the enclave's pages appear in the loader's address space, and with which protection.
//!
//! The driver lets a page be mapped with at most the permissions that EADD gave it, and a TCS readable and writable
//! (`arch/x86/kernel/cpu/sgx/encl.c`, `sgx_encl_may_map`; ioctl.c, `sgx_encl_page_alloc`). Ranges in which pages appear later are
//! mapped without access; the host calls about pages open them, and the driver adds a page when the enclave first touches it.

use alloc::vec::Vec;

use casemate_sgx::layout::{Layout, LayoutFlags};
use casemate_sgx::{PAGE_SIZE, PageType, SecInfoFlags};
use linux_raw_sys::general::{PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE};

/// One mapping of the enclave's file, at the address that is its offset (the enclave's base is 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Address of the first byte.
    pub start: u64,
    /// Bytes.
    pub length: u64,
    /// PROT_*.
    pub protection: u32,
}

/// The mappings of a built enclave, in ascending order and without overlap. Guard pages stay unmapped.
pub fn mappings(layout: &Layout) -> Vec<Mapping> {
    let block = layout.block();
    let mut mappings: Vec<Mapping> = Vec::new();
    let mut put = |start: u64, end: u64, protection: u32| {
        if start >= end {
            return;
        }
        match mappings.last_mut() {
            Some(last) if last.start + last.length == start && last.protection == protection => {
                last.length += end - start;
            }
            _ => mappings.push(Mapping { start, length: end - start, protection }),
        }
    };
    let dynamic = block.flags().contains(LayoutFlags::EDMM);
    if dynamic {
        put(block.user_base, block.user_top, PROT_NONE);
    }
    // Only the image's last regions come after the threads; what is added later lies before and between the added ones.
    let later = if dynamic { later_ranges(layout) } else { Vec::new() };
    let mut later = later.into_iter().peekable();
    for region in layout.regions() {
        while let Some((start, end)) = later.next_if(|(start, _)| *start < region.offset) {
            put(start, end, PROT_NONE);
        }
        put(region.offset, region.offset + region.pages * PAGE_SIZE as u64, protection(region.flags));
    }
    mappings
}

/// The rest of the heap, and the blocks of threads that are not there yet.
fn later_ranges(layout: &Layout) -> Vec<(u64, u64)> {
    let block = layout.block();
    let heap = (block.heap_base + block.heap_added, block.heap_base + block.heap_size);
    let threads = (block.added_threads..block.max_threads).filter_map(|number| block.thread(number));
    let pieces = threads.flat_map(|thread| {
        [
            (thread.stack.start, thread.stack.end),
            (thread.exception_stack.start, thread.exception_stack.end),
            (thread.area.start, thread.tcs + PAGE_SIZE as u64),
        ]
    });
    core::iter::once(heap).chain(pieces).filter(|(start, end)| start < end).collect()
}

fn protection(flags: SecInfoFlags) -> u32 {
    if flags.page_type() == Some(PageType::Tcs) {
        return PROT_READ | PROT_WRITE;
    }
    let bits = [(SecInfoFlags::R, PROT_READ), (SecInfoFlags::W, PROT_WRITE), (SecInfoFlags::X, PROT_EXEC)];
    bits.iter().filter(|(flag, _)| flags.contains(*flag)).fold(PROT_NONE, |sum, (_, bit)| sum | bit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_sgx::{Edmm, Image, Settings, Variant};
    use std::vec;

    /// One page of text.
    fn image() -> Vec<u8> {
        let mut file = vec![0; 0x2000];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"\x7fELF\x02\x01\x01");
        put(16, &[3, 0, 62, 0, 1, 0, 0, 0]);
        put(24, &0x1000u64.to_le_bytes());
        put(32, &64u64.to_le_bytes());
        put(52, &[64, 0, 56, 0, 1, 0]);
        put(64, &[1, 0, 0, 0, 5, 0, 0, 0]);
        for at in [72, 80, 88, 96, 104, 112] {
            put(at, &0x1000u64.to_le_bytes());
        }
        file
    }

    fn layout(variant: Variant) -> Layout {
        let bytes = image();
        let settings =
            Settings { enclave_size: 1 << 28, max_threads: 3, edmm: Edmm::Auto, measured: [0; 64] };
        settings.layout(&Image::parse(&bytes).unwrap(), variant).unwrap()
    }

    /// Whether the page at `address` is mapped, and how.
    fn at(mappings: &[Mapping], address: u64) -> Option<u32> {
        let found = mappings.iter().find(|it| (it.start..it.start + it.length).contains(&address));
        found.map(|it| it.protection)
    }

    #[test]
    fn every_added_page_is_mapped_with_its_own_permissions() {
        for variant in [Variant::Edmm, Variant::Static] {
            let layout = layout(variant);
            let mappings = mappings(&layout);
            for pair in mappings.windows(2) {
                assert!(pair[0].start + pair[0].length <= pair[1].start, "{pair:x?}");
            }
            for region in layout.regions() {
                let last = region.offset + (region.pages - 1) * PAGE_SIZE as u64;
                for address in [region.offset, last] {
                    assert_eq!(at(&mappings, address), Some(protection(region.flags)), "{region:x?}");
                }
            }
        }
    }

    #[test]
    fn pages_that_come_later_are_reserved_in_the_enclaves_file() {
        let layout = layout(Variant::Edmm);
        let (mappings, block) = (mappings(&layout), layout.block());
        assert_eq!(at(&mappings, block.user_base), Some(PROT_NONE));
        assert_eq!(at(&mappings, block.user_top - 4096), Some(PROT_NONE));
        assert_eq!(at(&mappings, block.heap_base + block.heap_size - 4096), Some(PROT_NONE));
        for number in 1..3 {
            let thread = block.thread(number).unwrap();
            for address in [thread.stack.start, thread.exception_stack.start, thread.area.start, thread.tcs] {
                assert_eq!(at(&mappings, address), Some(PROT_NONE));
            }
        }
    }

    #[test]
    fn guard_pages_are_mapped_nowhere() {
        for variant in [Variant::Edmm, Variant::Static] {
            let layout = layout(variant);
            let mappings = mappings(&layout);
            for number in 0..3 {
                let thread = layout.block().thread(number).unwrap();
                for guard in [thread.stack.start - 4096, thread.stack.end, thread.exception_stack.end] {
                    assert_eq!(at(&mappings, guard), None);
                }
            }
        }
    }

    #[test]
    fn a_tcs_is_mapped_for_the_processor_to_write() {
        let layout = layout(Variant::Static);
        let tcs = layout.block().thread(0).unwrap().tcs;
        assert_eq!(at(&mappings(&layout), tcs), Some(PROT_READ | PROT_WRITE));
    }
}
