//! Room in the library OS's own heap. Programs make it keep things (files in memory, open files, messages, mappings); it must refuse
//! them before there is nothing left, because its own code has no way out when an allocation fails but to end the run.
//!
//! So a reserve stays free for what must go on: calls that make something begin by asking ([`check`]), what may be large is
//! allocated so that it can fail ([`buffer`]), and what only saves work (caches) goes first. A part of the reserve is a block that the heap
//! holds (`casemate_platform::heap`): what is free beside it may be in pieces, or pages that the host does not give.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::*};

use casemate_platform::heap;

use crate::errno::{Errno, Result};
use crate::fs::page::{self, PAGE_SIZE};
use crate::fs::{forget_names, image};

/// Bytes that stay free.
static RESERVE: AtomicU64 = AtomicU64::new(0);
/// The reserve is this part of the heap, within bounds.
const RESERVE_PART: u64 = 16;
const LEAST_RESERVE: u64 = 1 << 20;
const LARGEST_RESERVE: u64 = 64 << 20;
/// Contents of files that programs write may take this part of the heap, copies of the image's files that one, at most so much.
const WRITTEN_PART: u64 = 2;
const CACHE_PART: u64 = 8;
const LARGEST_CACHE: u64 = 256 << 20;
/// A cached name with its inode takes about so many bytes; all may take this part of the heap.
const NAME_COST: u64 = 1024;
const NAMES_PART: u64 = 8;
const FEWEST_NAMES: u64 = 1024;
const MOST_NAMES: u64 = 65_536;

/// Divides the heap; called once at start.
pub fn divide() {
    let size = heap::size();
    RESERVE.store((size / RESERVE_PART).clamp(LEAST_RESERVE, LARGEST_RESERVE), Relaxed);
    page::set_budget((size / WRITTEN_PART) as usize / PAGE_SIZE);
}

/// Pages of image files to keep in memory.
pub fn cache_pages() -> usize {
    (heap::size() / CACHE_PART).min(LARGEST_CACHE) as usize / PAGE_SIZE
}

/// Names to keep in memory.
pub fn cached_names() -> usize {
    (heap::size() / NAMES_PART / NAME_COST).clamp(FEWEST_NAMES, MOST_NAMES) as usize
}

/// Whether what is left, less what was promised to file contents, is no more than the reserve and `bytes`.
fn is_short_of(bytes: u64) -> bool {
    let reserve = RESERVE.load(Relaxed);
    let kept = page::promised() as u64 * PAGE_SIZE as u64;
    reserve != 0 && heap::left() < reserve.saturating_add(kept).saturating_add(bytes)
}

/// Whether only the reserve is left: what can be done without should be.
pub fn is_short() -> bool {
    is_short_of(0)
}

/// `ENOMEM` when only the reserve is left. Call with no lock held.
pub fn check() -> Result<()> {
    check_for(0)
}

/// As [`check`], where locks of a file's contents are held: names are left alone.
pub fn check_for_page() -> Result<()> {
    if is_ready_for(0) {
        return Ok(());
    }
    image::forget_pages();
    if is_ready_for(0) { Ok(()) } else { Err(Errno::ENOMEM) }
}

/// `ENOMEM` when not even `bytes` more are left beside the reserve. Call with no lock held.
pub fn check_for(bytes: usize) -> Result<()> {
    if is_ready_for(bytes as u64) {
        return Ok(());
    }
    image::forget_pages();
    forget_names();
    if is_ready_for(bytes as u64) { Ok(()) } else { Err(Errno::ENOMEM) }
}

fn is_ready_for(bytes: u64) -> bool {
    !is_short_of(bytes) && heap::make_ready()
}

/// Zeros; `ENOMEM` when there is no room for them.
pub fn buffer(length: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(length, 0);
    Ok(bytes)
}

/// System calls that make something which stays, or take much for a moment, by number. Those that also give something back, or
/// that do so only now and then, ask themselves.
const MAKERS: &[u64] = &[
    2, 9, 10, 22, 25, 41, 42, 43, 49, 53, 56, 57, 58, 59, 82, 83, 85, 86, 88, 133, 188, 189, 190, 213, 222,
    253, 254, 257, 258, 259, 264, 265, 266, 282, 283, 284, 288, 289, 290, 291, 293, 294, 316, 319, 322, 434,
    435, 437,
];

const MAKER_BITS: [u64; 8] = {
    let mut bits = [0; 8];
    let mut index = 0;
    while index < MAKERS.len() {
        bits[(MAKERS[index] / 64) as usize] |= 1 << (MAKERS[index] % 64);
        index += 1;
    }
    bits
};

/// Whether a system call has to ask for room first.
#[inline]
pub fn is_maker(number: u64) -> bool {
    MAKER_BITS.get((number / 64) as usize).is_some_and(|bits| bits >> (number % 64) & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makers_are_known_by_number_and_exist() {
        let all: Vec<u64> = (0..600).filter(|&number| is_maker(number)).collect();
        assert_eq!(all, MAKERS);
        assert!(!is_maker(u64::MAX));
    }

    #[test]
    fn a_buffer_that_is_too_large_is_refused() {
        assert_eq!(buffer(usize::MAX / 2), Err(Errno::ENOMEM));
        assert_eq!(buffer(10), Ok(vec![0; 10]));
    }
}
