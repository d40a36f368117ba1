//! Time. Anchored on the host's clocks, carried forward by the time-stamp counter, re-anchored every second; the monotonic
//! clock never goes backwards whatever the host says.

use core::sync::atomic::{AtomicU64, Ordering::*, fence};

use crate::host;
use crate::sync::Mutex;

/// Ticks are scaled to ns by a 32.32 fixed-point factor.
const SHIFT: u32 = 32;
/// Shortest span over which the counter's frequency is taken.
const CALIBRATION_NS: u64 = 5_000_000;
/// Longest time between two looks at the host's clock.
const ANCHOR_NS: u64 = 1_000_000_000;

/// What is needed to compute the time from the counter. `generation` is odd while the others change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Parameters {
    /// Changes with every new anchor.
    pub generation: u64,
    /// Counter at the anchor.
    pub anchor_ticks: u64,
    /// The parameters are good for this many ticks after the anchor; 0 while calibrating.
    pub valid_ticks: u64,
    /// ns per tick, 32.32 fixed point.
    pub factor: u64,
    /// CLOCK_MONOTONIC at the anchor, ns.
    pub monotonic_ns: u64,
    /// CLOCK_REALTIME at the anchor, ns.
    pub realtime_ns: u64,
    /// CLOCK_BOOTTIME − CLOCK_MONOTONIC, ns.
    pub boot_offset_ns: u64,
}

struct Published([AtomicU64; 7]);

static PUBLISHED: Published = Published([const { AtomicU64::new(0) }; 7]);
/// The largest monotonic time handed out.
static LATEST: AtomicU64 = AtomicU64::new(0);

struct Anchors {
    first: Option<(u64, u64)>,
}

static ANCHORS: Mutex<Anchors> = Mutex::new(Anchors { first: None });

/// The three clocks in ns.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// CLOCK_REALTIME.
    pub realtime_ns: u64,
    /// CLOCK_MONOTONIC.
    pub monotonic_ns: u64,
    /// CLOCK_BOOTTIME.
    pub boottime_ns: u64,
}

fn ticks() -> u64 {
    // SAFETY: LFENCE and RDTSC only read the counter.
    unsafe {
        core::arch::x86_64::_mm_lfence();
        core::arch::x86_64::_rdtsc()
    }
}

/// The current parameters, also for the program's vDSO page.
pub fn parameters() -> Parameters {
    loop {
        let before = PUBLISHED.0[0].load(Acquire);
        let mut words = [0; 7];
        for (word, published) in words.iter_mut().zip(&PUBLISHED.0) {
            *word = published.load(Relaxed);
        }
        fence(Acquire);
        if before & 1 == 0 && PUBLISHED.0[0].load(Relaxed) == before {
            let [generation, anchor_ticks, valid_ticks, factor, monotonic_ns, realtime_ns, boot_offset_ns] =
                words;
            return Parameters {
                generation,
                anchor_ticks,
                valid_ticks,
                factor,
                monotonic_ns,
                realtime_ns,
                boot_offset_ns,
            };
        }
        core::hint::spin_loop();
    }
}

fn publish(parameters: Parameters) {
    let generation = PUBLISHED.0[0].load(Relaxed);
    PUBLISHED.0[0].store(generation + 1, Relaxed);
    fence(Release);
    let p = parameters;
    let words = [p.anchor_ticks, p.valid_ticks, p.factor, p.monotonic_ns, p.realtime_ns, p.boot_offset_ns];
    for (published, word) in PUBLISHED.0[1..].iter().zip(words) {
        published.store(word, Relaxed);
    }
    PUBLISHED.0[0].store(generation + 2, Release);
}

/// Looks at the host's clock and sets a new anchor.
fn anchor() -> Now {
    // The host call comes before the lock: no lock is held across a host call.
    let before = ticks();
    let [realtime_ns, monotonic_ns, boottime_ns] =
        host::read_clocks().unwrap_or_else(|| crate::console::fatal("the host gives no time"));
    let after = ticks();
    let at = before + (after.wrapping_sub(before)) / 2;
    let mut anchors = ANCHORS.lock();
    let monotonic_ns = monotonic_ns.max(LATEST.load(Relaxed)).min(1 << 62);
    let realtime_ns = realtime_ns.min(1 << 62);
    let boot_offset_ns = boottime_ns.saturating_sub(monotonic_ns).min(1 << 60);
    let mut fresh =
        Parameters { anchor_ticks: at, monotonic_ns, realtime_ns, boot_offset_ns, ..Parameters::default() };
    match anchors.first {
        None => anchors.first = Some((at, monotonic_ns)),
        Some((first_ticks, first_ns)) => {
            let (elapsed_ticks, elapsed_ns) = (at.saturating_sub(first_ticks), monotonic_ns - first_ns);
            if elapsed_ns >= CALIBRATION_NS && elapsed_ticks > elapsed_ns / 16 {
                fresh.factor =
                    (((elapsed_ns as u128) << SHIFT) / elapsed_ticks as u128).min(u64::MAX as u128) as u64;
                // A longer base gives a better factor: look again soon while it is short.
                let span = elapsed_ns.min(ANCHOR_NS);
                fresh.valid_ticks = (((span as u128) << SHIFT) / fresh.factor.max(1) as u128) as u64;
            }
        }
    }
    // Another thread may have set a later anchor meanwhile; never step back behind it.
    if fresh.anchor_ticks >= parameters().anchor_ticks {
        publish(fresh);
    }
    drop(anchors);
    let monotonic_ns = LATEST.fetch_max(monotonic_ns, Relaxed).max(monotonic_ns);
    Now { realtime_ns, monotonic_ns, boottime_ns: monotonic_ns + boot_offset_ns }
}

/// The time now. No host call while the anchor is fresh.
pub fn now() -> Now {
    let p = parameters();
    let elapsed = ticks().wrapping_sub(p.anchor_ticks);
    if elapsed >= p.valid_ticks {
        return anchor();
    }
    let elapsed_ns = ((elapsed as u128 * p.factor as u128) >> SHIFT) as u64;
    let computed = p.monotonic_ns + elapsed_ns;
    let monotonic_ns = LATEST.fetch_max(computed, Relaxed).max(computed);
    Now {
        realtime_ns: p.realtime_ns + elapsed_ns,
        monotonic_ns,
        boottime_ns: monotonic_ns + p.boot_offset_ns,
    }
}
