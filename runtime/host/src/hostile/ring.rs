//! Lies about exitless calls: states of requests, results that change, entries of the ring.

use core::sync::atomic::Ordering::*;

use casemate_abi::RING_ENTRIES;
use casemate_exitless::request::{ANSWERED, AWAITED, IDLE, POSTED, TAKEN};
use linux_raw_sys::general::{__NR_nanosleep, __kernel_timespec};

use super::harass::strange;
use super::{RATE, RING_LIES, below, has, is_on, kind, next, pick};
use crate::arena::{self, Thread};
use crate::{exitless, sys};

/// Before a server answers: it dawdles, so that the caller sleeps outside, or leaves a state that is none of its own. Whatever the
/// caller makes of that, it may be in another call by the time the server does what is left. True: it lied.
pub fn before_answer(caller: &Thread) -> bool {
    if !is_on() || !has(kind::RING) || below(1000) >= RATE.load(Relaxed) {
        return false;
    }
    RING_LIES[0].fetch_add(1, Relaxed);
    let request = &caller.host.request;
    match below(4) {
        0 => pause(1_000_000),
        1 => {
            request.state.store(pick(&[IDLE, POSTED, TAKEN, AWAITED, 5, u32::MAX]), SeqCst);
            pause(below(20_000));
        }
        2 => {
            request.result.store(strange() as i64, SeqCst);
            request.state.store(ANSWERED, SeqCst);
            for _ in 0..below(200) {
                request.result.store(next() as i64, SeqCst);
            }
        }
        // What was asked, as if it were different.
        _ => {
            request.call.store(next() as u32, SeqCst);
            request.args.iter().for_each(|word| word.store(strange(), SeqCst));
        }
    }
    true
}

/// Requests that no token brought: a server may take what it likes.
pub fn posted() -> Option<&'static Thread> {
    let is_posted = |thread: &&Thread| thread.host.request.state.load(SeqCst) == POSTED;
    arena::opened().map(|(_, thread)| thread).find(is_posted).filter(|_| is_on())
}

fn pause(ns: u64) {
    let time = __kernel_timespec { tv_sec: 0, tv_nsec: ns as i64 };
    // SAFETY: the kernel reads the local time.
    let _ = unsafe { sys::call(__NR_nanosleep, [&raw const time as u64, 0]) };
}

/// Changes entries of the ring and how many servers are said to be awake; most are put back, so that the ring stays one.
pub(super) fn scribble() {
    let Some(ring) = exitless::ring() else { return };
    if !has(kind::RING) {
        return;
    }
    for _ in 0..4 {
        let entry = &ring.entries[below(RING_ENTRIES as u64) as usize];
        let before = entry.load(SeqCst);
        // Most are entries of a far position. What looks like a near one may take the ring out of step for good.
        let lie = match below(64) {
            0 => before ^ 1 << below(64),
            1 => before.wrapping_add(1 << 32),
            2 => strange(),
            _ => before ^ 1 << (40 + below(24)),
        };
        if entry.compare_exchange(before, lie, SeqCst, SeqCst).is_ok() {
            RING_LIES[1].fetch_add(1, Relaxed);
            pause(below(5_000));
            if below(5000) != 0 {
                let _ = entry.compare_exchange(lie, before, SeqCst, SeqCst);
            }
        }
    }
    // Not 0, or nothing would come to the ring any more.
    ring.awake.store(pick(&[1, 2, 1000, u32::MAX]), SeqCst);
}
