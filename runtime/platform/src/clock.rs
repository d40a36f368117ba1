//! Time. Anchored on the host's clocks, carried forward by the time-stamp counter, re-anchored every second; the monotonic
//! clock never goes backwards whatever the host says.

mod anchor;

use core::sync::atomic::{AtomicU64, Ordering::*, fence};

use crate::host;
use crate::sync::Mutex;

use anchor::Sample;

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

/// The first look at the host's clocks; held while a new anchor is set.
static FIRST: Mutex<Option<Sample>> = Mutex::new(None);

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

/// Shortest look at the host's clocks so far, in ticks.
static SHORTEST: AtomicU64 = AtomicU64::new(u64::MAX);
/// Most looks for one sample.
const LOOKS: usize = 4;

/// Looks at the host's clocks. A look that took long may have been interrupted between the clocks: then again, and the
/// shortest counts.
fn sample() -> Sample {
    let mut best: Option<(u64, Sample)> = None;
    for _ in 0..LOOKS {
        let before = ticks();
        let clocks = host::read_clocks().unwrap_or_else(|| crate::console::fatal("the host gives no time"));
        let took = ticks().saturating_sub(before);
        let shortest = SHORTEST.fetch_min(took, Relaxed);
        let found = best.get_or_insert((u64::MAX, Sample::new(before, clocks)));
        if took < found.0 {
            *found = (took, Sample::new(before + took / 2, clocks));
        }
        if shortest != u64::MAX && found.0 <= shortest.saturating_mul(2) {
            break;
        }
    }
    match best {
        Some((_, sample)) => sample,
        None => crate::console::fatal("the host gives no time"),
    }
}

/// Looks at the host's clock and sets a new anchor.
fn anchor() -> Now {
    // The host call comes before the lock: no lock is held across a host call.
    let sample = sample();
    let mut first = FIRST.lock();
    let old = parameters();
    // Another thread may have set a later anchor meanwhile: that one counts.
    if sample.ticks > old.anchor_ticks {
        publish(anchor::next(&old, first.get_or_insert(sample), &sample, LATEST.load(Relaxed)));
    }
    drop(first);
    let p = parameters();
    at(&p, p.elapsed_ns(ticks()).unwrap_or(0))
}

/// The times `elapsed_ns` after the anchor. What was once handed out is not gone back behind.
fn at(p: &Parameters, elapsed_ns: u64) -> Now {
    let computed = p.monotonic_ns + elapsed_ns;
    let monotonic_ns = LATEST.fetch_max(computed, Relaxed).max(computed);
    Now {
        realtime_ns: p.realtime_ns + elapsed_ns,
        monotonic_ns,
        boottime_ns: monotonic_ns + p.boot_offset_ns,
    }
}

/// The time now. No host call while the anchor is fresh.
pub fn now() -> Now {
    let p = parameters();
    match p.elapsed_ns(ticks()) {
        Some(elapsed_ns) => at(&p, elapsed_ns),
        None => anchor(),
    }
}
