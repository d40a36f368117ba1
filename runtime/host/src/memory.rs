//! The enclave's range in memory: reserved as a whole; on `direct` the heap, the threads' blocks, the measured page and the image are
//! mapped in it.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use casemate_sgx::layout::{Content, Layout};
use casemate_sgx::{Image, PAGE_SIZE, SecInfoFlags, Segment};
use linux_raw_sys::general::*;

use crate::refuse;
use crate::sys::{self, Errno, PAGE, READ_WRITE};

/// Lowest address tried for program memory.
const FIRST_BASE: u64 = 0x1_0000;
/// Highest one: programs at fixed addresses (0x400000) must still fit.
const LAST_BASE: u64 = 0x20_0000;

/// Reserves `[base, size)` without access and returns the lowest possible base; ends the run when that cannot be had.
pub fn reserve(size: u64) -> u64 {
    let mut base = FIRST_BASE;
    loop {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
        // SAFETY: the flag refuses to replace what is there.
        let mapped = unsafe { sys::map(base, size - base, PROT_NONE, flags, -1, 0) };
        match mapped {
            Ok(address) if address == base => {
                make_joinable(base, size);
                return base;
            }
            // A kernel before 4.17 takes the flag for a hint.
            Ok(_) => refuse!("the kernel is too old: MAP_FIXED_NOREPLACE is missing (Linux 4.17)"),
            // The lowest addresses may be barred.
            Err(Errno::EPERM | Errno::EACCES) if base < LAST_BASE => base *= 2,
            Err(Errno::EPERM | Errno::EACCES) => {
                refuse!("addresses from {base:#x} on are barred: set vm.mmap_min_addr to 65536")
            }
            Err(Errno::EEXIST) => refuse!(
                "the address range {base:#x} to {size:#x} is not free; run without tools that map memory low, or make the enclave smaller (sgx.enclave_size)"
            ),
            Err(Errno::ENOMEM) => refuse!(
                "cannot reserve {} MiB of addresses for the enclave: raise the address-space limit (ulimit -v), set vm.overcommit_memory below 2, or make the enclave smaller (sgx.enclave_size)",
                size >> 20
            ),
            Err(error) => refuse!("cannot reserve addresses {base:#x} to {size:#x} for the enclave: {error}"),
        }
    }
}

/// Neighbouring mappings that are alike become one only if the pages that were touched in them share an origin (an `anon_vma`,
/// mm/vma.c); otherwise what is split by access rights stays split, and the kernel's mappings run out (vm.max_map_count) long before
/// the enclave's. A page touched now is the origin of all that is cut out of this range later.
fn make_joinable(base: u64, size: u64) {
    let page = base + (size - base) / 2 / PAGE * PAGE;
    // SAFETY: the range was just reserved and nobody uses it; the page's contents stay zero.
    unsafe {
        if sys::protect(page, PAGE, READ_WRITE).is_ok() {
            (page as *mut u8).write_volatile(0);
            let _ = sys::protect(page, PAGE, PROT_NONE);
        }
    }
}

/// Makes the library OS's heap, the threads' blocks and the measured page accessible; pages are committed when touched.
pub fn map_own(layout: &Layout, image: &Image) {
    let block = layout.block();
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    let page = block.measured_page();
    for (start, end) in [
        (block.heap_base, block.heap_base + block.heap_size),
        (block.threads_base, block.threads_base + u64::from(block.max_threads) * block.thread_stride),
        (page, page + PAGE),
    ] {
        // SAFETY: the range was reserved by `reserve` and nothing is in it yet.
        if let Err(error) = unsafe { sys::map(start, end - start, READ_WRITE, flags, -1, 0) } {
            refuse!("cannot map {} MiB for the library OS: {error}", (end - start) >> 20);
        }
    }
    if let Some(first) = block.thread(0) {
        GUARD_BELOW_TCS.store(first.tcs - (first.stack.start - PAGE), Relaxed);
        guard_stack(first.tcs);
    }
    if let Some(region) = layout.regions().iter().find(|region| region.content == Content::Measured) {
        // SAFETY: the page was just mapped, and is nobody else's.
        unsafe {
            layout.read_page(image, region, 0, &mut *(page as *mut [u8; PAGE_SIZE]));
            let _ = sys::protect(page, PAGE, PROT_READ);
        }
    }
}

/// How far below a thread's TCS the page below its stack lies, on `direct`.
static GUARD_BELOW_TCS: AtomicU64 = AtomicU64::new(0);

/// On `direct`, where all blocks of threads are mapped as one: takes the page below a thread's stack away, so that a stack that runs
/// over faults there and not in the block below.
pub fn guard_stack(tcs: u64) {
    let distance = GUARD_BELOW_TCS.load(Relaxed);
    if distance != 0 && tcs.is_multiple_of(PAGE) {
        // SAFETY: nothing is ever in that page. Without it, a stack that runs over is found when its thread ends.
        let _ = unsafe { sys::protect(tcs - distance, PAGE, PROT_NONE) };
    }
}

/// Maps the image's segments from its file; ends the run when that fails.
pub fn map_image(image: &Image, layout: &Layout, fd: i32) {
    for segment in image.segments() {
        // SAFETY: the segment lies in the image's part of the reserved range, where nothing is yet.
        if let Err(error) = unsafe { map_segment(segment, layout.block().image_base, fd) } {
            refuse!("cannot map the enclave image: {error}");
        }
    }
}

/// PROT_* bits of R, W and X.
pub fn protection(flags: SecInfoFlags) -> u32 {
    let right = |flag, bit| if flags.contains(flag) { bit } else { 0 };
    right(SecInfoFlags::R, PROT_READ)
        | right(SecInfoFlags::W, PROT_WRITE)
        | right(SecInfoFlags::X, PROT_EXEC | PROT_READ)
}

/// # Safety
/// The segment's pages are the caller's to be replaced.
unsafe fn map_segment(segment: &Segment, base: u64, fd: i32) -> Result<(), Errno> {
    let start = base + segment.address;
    let skew = start % PAGE;
    let rights = protection(segment.flags);
    // Zeros are written only into what is writable: elsewhere the rest of a page is the file's next bytes, which nobody reads.
    let writable = segment.flags.contains(SecInfoFlags::W);
    let file_end = start + segment.file_size;
    let end = start + segment.memory_size;
    let file_pages_end = if segment.file_size == 0 { start - skew } else { file_end.next_multiple_of(PAGE) };
    // SAFETY: the caller vouches for the pages; the bytes zeroed are in a private page, which is writable.
    unsafe {
        if segment.file_size != 0 {
            let length = file_pages_end - (start - skew);
            let offset = segment.file_offset - skew;
            sys::map(start - skew, length, rights, MAP_PRIVATE | MAP_FIXED, fd, offset)?;
            if end > file_end && writable {
                (file_end as *mut u8).write_bytes(0, (file_pages_end.min(end) - file_end) as usize);
            }
        }
        if end > file_pages_end {
            let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
            let length = end.next_multiple_of(PAGE) - file_pages_end;
            sys::map(file_pages_end, length, rights, flags, -1, 0)?;
        }
    }
    Ok(())
}
