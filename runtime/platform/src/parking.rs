//! Sleeping until another thread wakes this one.
//!
//! Leaving the enclave, sleeping on the host and being woken there takes tens of microseconds, while what a thread waits for
//! (an answer in a pipe, a lock) often comes after one. So a thread looks for its wake-up for a while before it leaves, as KVM
//! does before it gives a processor up (Documentation/virt/kvm/halt-polling.rst), and its [`Patience`] ends where that does not pay.

use core::mem::offset_of;
use core::sync::atomic::{Ordering::*, fence};

use casemate_abi::{HostCall, HostThread};

use crate::host::{HostError, call_raw};
use crate::{area, untrusted};

/// Offset of the word by which a thread is woken.
pub(crate) const WAKE: u64 = offset_of!(HostThread, wake) as u64;
/// How long a thread looks, in ticks of the time-stamp counter: about 100 µs, longer than waking another processor takes.
const TICKS: u64 = 250_000;
/// Looks between two of the counter.
const LOOKS: u32 = 16;

/// Whether a thread looks before it sleeps. Each look in vain doubles the number of sleeps without one that follow; each that
/// paid takes a quarter off. Looking goes on where it pays more than two times of three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Patience {
    /// Sleeps without a look still to come.
    resting: u32,
    /// Sleeps without a look after one in vain, in sixteenths.
    rest: u32,
}

impl Patience {
    /// At most 4095 sleeps pass until a thread looks again; 100 µs spread over them are nothing.
    const LONGEST_REST: u32 = 4095 * 16;

    pub(crate) const fn new() -> Patience {
        Patience { resting: 0, rest: 0 }
    }

    /// Whether to look before this sleep.
    fn is_left(&mut self) -> bool {
        let left = self.resting == 0;
        self.resting = self.resting.saturating_sub(1);
        left
    }

    /// How a look ended.
    fn learn(&mut self, woken: bool) {
        if woken {
            self.rest -= self.rest.div_ceil(4);
        } else {
            self.rest = (self.rest * 2 + 16).min(Patience::LONGEST_REST);
            self.resting = self.rest / 16;
        }
    }
}

/// Forgets wake-ups so far; call before looking at the condition that [`park`] waits for.
pub fn clear_wake() {
    // SAFETY: the area is this thread's.
    let host_thread = unsafe { (*area::current()).host_thread };
    untrusted::store_host_u32(host_thread + WAKE, 0);
    // What is looked at next must be what was there after the word was cleared.
    fence(SeqCst);
}

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// By a wake-up, an interrupt, or for no reason: look at the condition again.
    Woken,
    /// The time-out passed (by the host's word; check the clock where it matters).
    TimedOut,
}

/// Sleeps until a wake-up since [`clear_wake`], or the time-out.
pub fn park(timeout_ns: Option<u64>) -> Wake {
    match call_raw(HostCall::Park, [timeout_ns.unwrap_or(u64::MAX), 0, 0, 0, 0, 0]) {
        Err(HostError::TIMED_OUT) => Wake::TimedOut,
        _ => Wake::Woken,
    }
}

/// Looks for a wake-up since [`clear_wake`] for a while, where that paid lately. False: [`park`] then.
///
/// The word is the host's, who may say anything: true means no more than the end of a sleep does.
pub fn look_for_wake() -> bool {
    let area = area::current();
    // SAFETY: the area is this thread's. Nothing of it is borrowed while an interrupt may come.
    let (host_thread, mut patience) = unsafe { ((*area).host_thread, (*area).patience) };
    let woken = patience.is_left() && {
        let woken = looks_until_woken(host_thread + WAKE);
        patience.learn(woken);
        woken
    };
    // SAFETY: as above.
    unsafe { (*area).patience = patience };
    woken
}

fn looks_until_woken(wake: u64) -> bool {
    let begin = ticks();
    loop {
        for _ in 0..LOOKS {
            if untrusted::load_host_u32(wake) != Some(0) {
                return true;
            }
            core::hint::spin_loop();
        }
        if ticks().wrapping_sub(begin) >= TICKS {
            return false;
        }
    }
}

fn ticks() -> u64 {
    // SAFETY: only reads the counter; a wrong value makes the look shorter or longer.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks in so many sleeps, when `woken` tells how each look ends.
    fn looks(patience: &mut Patience, sleeps: u32, mut woken: impl FnMut(u32) -> bool) -> u32 {
        let mut looks = 0;
        for _ in 0..sleeps {
            if patience.is_left() {
                patience.learn(woken(looks));
                looks += 1;
            }
        }
        looks
    }

    #[test]
    fn looking_in_vain_ends_but_for_one_sleep_in_four_thousand() {
        let mut patience = Patience::new();
        assert_eq!(looks(&mut patience, 4095, |_| false), 12);
        assert_eq!(looks(&mut patience, 10 * 4096, |_| false), 10);
    }

    #[test]
    fn a_thread_whose_answers_come_soon_looks_every_time_again() {
        let mut patience = Patience::new();
        assert_eq!(looks(&mut patience, 1000, |_| true), 1000);
        looks(&mut patience, 20_000, |_| false);
        looks(&mut patience, 5000, |_| true);
        assert_eq!(looks(&mut patience, 1000, |_| true), 1000);
    }

    #[test]
    fn looking_that_pays_every_second_time_becomes_rare() {
        let mut patience = Patience::new();
        looks(&mut patience, 100_000, |look| look % 2 == 0);
        assert!(looks(&mut patience, 100_000, |look| look % 2 == 0) < 1000);
    }
}
