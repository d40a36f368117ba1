//! Failures of the library OS itself that a program can ask for, for tests: system calls from [`FIRST`] on.

use alloc::vec::Vec;
use core::hint::black_box;

use casemate_platform::faults;

/// Number of the first such call.
const FIRST: u64 = 4000;
/// An address that is not canonical.
const NOT_CANONICAL: u64 = 1 << 63;

/// Fails as the call says; comes back when it is another call.
pub fn provoke(number: u64) {
    match number.wrapping_sub(FIRST) {
        0 => panic!("asked for"),
        1 => drop(black_box(faults::read(16))),
        2 => drop(black_box(faults::read(NOT_CANONICAL))),
        3 => faults::undefined_instruction(),
        4 => drop(black_box(descend(0))),
        5 => drop(black_box(Vec::<u8>::with_capacity(black_box(1 << 45)))),
        6 => drop(black_box([1, 2, 3][black_box(number as usize)])),
        _ => {}
    }
}

/// Calls itself until the stack is used up.
#[inline(never)]
fn descend(depth: u64) -> u64 {
    let page = black_box([depth; 64]);
    if depth == u64::MAX {
        return 0;
    }
    black_box(descend(depth + 1)).wrapping_add(page[(depth % 64) as usize])
}
