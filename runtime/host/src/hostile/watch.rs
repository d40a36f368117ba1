//! Looks at what the enclave shows for what it must never show.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

use casemate_abi::{HOST_BUFFER_SIZE, HostThread};
use casemate_softsgx::Registers;

use super::betray;
use crate::arena::Thread;

/// The canary's two words.
static CANARY: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
static SET: AtomicBool = AtomicBool::new(false);

/// Bytes looked at in each call at both ends of the buffer; all of it once in a while.
const ENDS: usize = 8192;
const WHOLE_EVERY: u64 = 64;

/// Sets the canary from hexadecimal digits.
pub(super) fn set_canary(digits: &[u8]) {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or(0) as u64;
    for (word, digits) in CANARY.iter().zip(digits.chunks_exact(16)) {
        let bytes = digits.chunks_exact(2).enumerate();
        let value = bytes.fold(0, |all, (at, pair)| all | (digit(pair[0]) << 4 | digit(pair[1])) << (8 * at));
        word.store(value, Relaxed);
    }
    SET.store(true, Relaxed);
}

/// Looks at a thread's block and buffer; ends the run when the canary is there.
pub(super) fn look(thread: &Thread, made: u64) {
    if !SET.load(Relaxed) {
        return;
    }
    let (block, buffer) = (&raw const thread.host as u64, thread.host_buffer());
    let whole = [(block, size_of::<HostThread>()), (buffer, HOST_BUFFER_SIZE)];
    let ends =
        [(block, size_of::<HostThread>()), (buffer, ENDS), (buffer + (HOST_BUFFER_SIZE - ENDS) as u64, ENDS)];
    for &(address, length) in if made.is_multiple_of(WHOLE_EVERY) { &whole[..] } else { &ends[..] } {
        if let Some(place) = find(address, length) {
            betray("buffer", place);
        }
    }
}

/// Looks at what the enclave left in the registers at an exit.
pub fn look_at_registers(general: &Registers, extended: &[u8]) {
    if !SET.load(Relaxed) {
        return;
    }
    let canary = [CANARY[0].load(Relaxed), CANARY[1].load(Relaxed)];
    let g = general;
    let words = [
        g.rax, g.rbx, g.rcx, g.rdx, g.rsi, g.rdi, g.rbp, g.rsp, g.r8, g.r9, g.r10, g.r11, g.r12, g.r13,
        g.r14, g.r15,
    ];
    if let Some(place) = words.iter().position(|word| canary.contains(word)) {
        betray("register", place as u64);
    }
    let start = extended.as_ptr() as u64;
    if let Some(place) = find(start, extended.len()) {
        betray("state", place - start);
    }
}

fn find(address: u64, length: usize) -> Option<u64> {
    let canary = [CANARY[0].load(Relaxed), CANARY[1].load(Relaxed)];
    let first = canary[0] as u8;
    // SAFETY: the thread's own block, buffer or signal frame, which stay mapped; only other threads of the loader write there meanwhile.
    let bytes = unsafe { core::slice::from_raw_parts(address as *const u8, length) };
    let word = |at: usize| bytes[at..at + 8].iter().rev().fold(0u64, |all, byte| all << 8 | u64::from(*byte));
    let mut at = 0;
    while at + 16 <= length {
        let Some(next) = bytes[at..length - 15].iter().position(|byte| *byte == first) else { break };
        at += next;
        if word(at) == canary[0] && word(at + 8) == canary[1] {
            return Some(address + at as u64);
        }
        at += 1;
    }
    None
}
