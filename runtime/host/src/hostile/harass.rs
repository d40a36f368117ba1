//! A thread that disturbs the others: it scribbles over what the host owns, and wakes and interrupts whom it likes.

use core::sync::atomic::{AtomicU32, Ordering::*};

use casemate_abi::{EntryReason, HOST_BUFFER_SIZE};
use linux_raw_sys::general::{__NR_nanosleep, __kernel_timespec};

use super::{HARASSED, KINDS, below, has, is_on, kind, next, pick};
use crate::arena::{self, Thread};
use crate::{signal, sys, thread};

const SLOTS: usize = 16 * 1024;
/// 1 while the loader serves a call of that slot's thread, 2 while its memory is scribbled over. The loader itself needs what it is
/// told: the enclave's memory is not protected from it here.
static BUSY: [AtomicU32; SLOTS] = [const { AtomicU32::new(0) }; SLOTS];

/// Keeps the scribbling out while a call is served; false when it is kept out already, for a call that an exception interrupted.
pub(super) fn keep_out(number: usize) -> bool {
    loop {
        match BUSY[number].compare_exchange_weak(0, 1, Acquire, Relaxed) {
            Ok(_) => return true,
            Err(1) => return false,
            Err(_) => core::hint::spin_loop(),
        }
    }
}

/// Lets it in again.
pub(super) fn let_in(number: usize) {
    BUSY[number].store(0, Release);
}

/// Disturbs to the end of the run.
pub fn harass() -> ! {
    loop {
        let pause = __kernel_timespec { tv_sec: 0, tv_nsec: 20_000 + below(100_000) as i64 };
        // SAFETY: the kernel reads the local time.
        let _ = unsafe { sys::call(__NR_nanosleep, [&raw const pause as u64, 0]) };
        if !is_on() {
            continue;
        }
        super::ring::scribble();
        for (number, victim) in arena::opened() {
            let enters = !thread::is_own(victim.host_area()) && victim.alive.load(Relaxed) != 0;
            if enters && has(kind::SCRIBBLES) && BUSY[number].compare_exchange(0, 2, Acquire, Relaxed).is_ok()
            {
                scribble(victim);
                BUSY[number].store(0, Release);
            }
            if enters && below(4) == 0 {
                disturb(victim);
            }
        }
    }
}

fn scribble(victim: &Thread) {
    let buffer = victim.host_buffer();
    for _ in 0..16 {
        let place = match below(4) {
            0 => buffer + below(64) * 8,
            1 | 2 => buffer + HOST_BUFFER_SIZE as u64 - 8192 + below(64) * 8,
            _ => buffer + below(HOST_BUFFER_SIZE as u64 / 8) * 8,
        };
        // SAFETY: the buffer stays mapped; the enclave copies before it looks.
        unsafe { (place as *mut u64).write_volatile(strange()) };
    }
    // Never `Awake`: the enclave would not ask for a wake-up that somebody needs.
    victim.host.sleeping.store(pick(&[1, 2, 77, u32::MAX]), SeqCst);
    HARASSED[0].fetch_add(16, Relaxed);
}

/// Words that have broken others.
pub(super) fn strange() -> u64 {
    let words =
        [0, 1, u64::MAX, i64::MAX as u64, 1 << 63, 0x10_0000, 1 << 30, 1 << 47, 4096, 128, 0xffff_ffff];
    if below(3) == 0 { next() } else { pick(&words) }
}

fn disturb(victim: &Thread) {
    if has(kind::INTERRUPTS) {
        if below(2) == 0 {
            victim.host.wake.store(1, SeqCst);
            HARASSED[1].fetch_add(1, Relaxed);
            let _ = thread::unpark(&raw const victim.host as u64);
        } else {
            HARASSED[2].fetch_add(1, Relaxed);
            let _ = thread::interrupt(&raw const victim.host as u64);
        }
    }
    if has(kind::EXCEPTIONS) && below(20) == 0 {
        signal::kick(victim);
    }
}

/// The words of a fresh entry after a host call: the second and third mean nothing, whatever they are.
pub fn change_entry(words: &mut [u64; 3]) {
    if is_on() && has(kind::ENTRIES) && below(4) == 0 {
        HARASSED[4].fetch_add(1, Relaxed);
        *words = [words[0], strange(), strange()];
    }
}

/// The words of the entries between an asynchronous exit and ERESUME: one that is honest, or none (`may_miss`: nothing happened
/// but a signal), or several with other words.
pub fn stages(may_miss: bool) -> impl Iterator<Item = [u64; 3]> {
    let lie = is_on() && has(kind::ENTRIES) && below(4) == 0;
    let honest = [EntryReason::Exception as u64, 0, 0];
    let count = if !lie {
        1
    } else {
        HARASSED[4].fetch_add(1, Relaxed);
        below(4).max(u64::from(!may_miss))
    };
    (0..count).map(move |_| if lie { [strange(), strange(), strange()] } else { honest })
}

/// An exception to invent in a thread that was kicked: vector, error code, address.
pub fn exception() -> Option<[u64; 3]> {
    if !is_on() || KINDS.load(Relaxed) & kind::EXCEPTIONS == 0 || below(4) != 0 {
        return None;
    }
    HARASSED[3].fetch_add(1, Relaxed);
    let vector = match below(4) {
        0 => pick(&[0, 1, 3, 6, 13, 14, 16, 17, 19]),
        1 => pick(&[256, 257]),
        2 => below(300),
        _ => next(),
    };
    Some([vector, next(), strange()])
}
