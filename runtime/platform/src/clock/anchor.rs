//! How one look at the host's clocks becomes the next [`Parameters`]: pure arithmetic.
//!
//! What a reader sees may never go back: not when the parameters change under it, and not between a reader of the old
//! ones (a vDSO page that is not yet fresh) and one of the new. So new parameters give, at every tick at which the old
//! ones are still good, at least what those give.

use super::Parameters;

/// Ticks are scaled to ns by a 32.32 fixed-point factor.
const SHIFT: u32 = 32;
/// Shortest span over which the counter's frequency is taken.
const CALIBRATION_NS: u64 = 5_000_000;
/// Longest time between two looks at the host's clock.
const ANCHOR_NS: u64 = 1_000_000_000;
/// A real-time clock that the host has set back by less than this is held instead: it is the anchors' inaccuracy.
const REAL_STEP_NS: u64 = 1_000_000;
/// So much more between the boot and the monotonic clock is a suspension, and not the time between two readings.
const SUSPENSION_NS: u64 = 1_000_000;
/// No clock of a host shows more.
const MOST_NS: u64 = 1 << 62;

/// The host's clocks at one tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) ticks: u64,
    pub(super) realtime_ns: u64,
    pub(super) monotonic_ns: u64,
    pub(super) boottime_ns: u64,
}

impl Sample {
    /// A sample of what the host said, which may be anything.
    pub(super) fn new(ticks: u64, [realtime_ns, monotonic_ns, boottime_ns]: [u64; 3]) -> Sample {
        Sample {
            ticks,
            realtime_ns: realtime_ns.min(MOST_NS),
            monotonic_ns: monotonic_ns.min(MOST_NS),
            boottime_ns: boottime_ns.min(MOST_NS),
        }
    }
}

impl Parameters {
    /// ns since the anchor at `ticks`, if the parameters are good there.
    pub fn elapsed_ns(&self, ticks: u64) -> Option<u64> {
        let elapsed = ticks.wrapping_sub(self.anchor_ticks);
        (elapsed < self.valid_ticks).then(|| self.scale(elapsed))
    }

    fn scale(&self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.factor)) >> SHIFT) as u64
    }

    /// The least that an anchor at `ticks` with this factor must add to the old one's times, so that it is nowhere below
    /// what the old parameters give while they are good.
    fn lead_over(&self, ticks: u64, factor: u64) -> u64 {
        let anchor = ticks.saturating_sub(self.anchor_ticks);
        let here = self.scale(anchor.min(self.valid_ticks));
        // Both are straight lines: if the new one is not below at its start and where the old one ends, it never is.
        let left = self.valid_ticks.saturating_sub(anchor);
        let gained = ((u128::from(left) * u128::from(factor)) >> SHIFT) as u64;
        // Each may be rounded down by 1 ns.
        here.max(self.scale(self.valid_ticks).saturating_sub(gained)) + u64::from(left != 0)
    }
}

/// The parameters after `old` (all zero at first), from the first sample of the run and a new one. `latest_ns` is the largest
/// monotonic time that was handed out.
pub(super) fn next(old: &Parameters, first: &Sample, sample: &Sample, latest_ns: u64) -> Parameters {
    let mut fresh = Parameters {
        generation: old.generation,
        anchor_ticks: sample.ticks,
        monotonic_ns: sample.monotonic_ns,
        realtime_ns: sample.realtime_ns,
        ..Parameters::default()
    };
    let elapsed_ticks = sample.ticks.saturating_sub(first.ticks);
    let elapsed_ns = sample.monotonic_ns.saturating_sub(first.monotonic_ns);
    // Slower than 62.5 MHz is no time-stamp counter, nor is one faster than 16 GHz: a host that lets its clock creep would
    // else be asked again only when the far end of that second comes.
    let plausible = elapsed_ticks > elapsed_ns / 16 && elapsed_ticks / 16 < elapsed_ns;
    if elapsed_ns >= CALIBRATION_NS && plausible {
        let factor = (u128::from(elapsed_ns) << SHIFT) / u128::from(elapsed_ticks);
        fresh.factor = u64::try_from(factor).unwrap_or(u64::MAX).max(1);
        // A longer base gives a better factor: look again soon while it is short.
        let span = (u128::from(elapsed_ns.min(ANCHOR_NS)) << SHIFT) / u128::from(fresh.factor);
        fresh.valid_ticks = u64::try_from(span).unwrap_or(u64::MAX);
    }
    let lead = old.lead_over(sample.ticks, fresh.factor);
    fresh.monotonic_ns = fresh.monotonic_ns.max(old.monotonic_ns.saturating_add(lead)).max(latest_ns);
    let held = old.realtime_ns.saturating_add(lead);
    if fresh.realtime_ns < held && held - fresh.realtime_ns < REAL_STEP_NS {
        fresh.realtime_ns = held;
    }
    let offset = sample.boottime_ns.saturating_sub(sample.monotonic_ns);
    let is_first = old.anchor_ticks == 0;
    let suspended = offset > old.boot_offset_ns.saturating_add(SUSPENSION_NS);
    fresh.boot_offset_ns = if is_first || suspended { offset } else { old.boot_offset_ns };
    fresh
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator of numbers, the same at every run.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % bound
        }
    }

    fn sample(ticks: u64, ns: u64) -> Sample {
        Sample::new(ticks, [ns + 1_700_000_000_000_000_000, ns, ns + 5_000])
    }

    fn times(parameters: &Parameters, ticks: u64) -> Option<[u64; 3]> {
        let elapsed = parameters.elapsed_ns(ticks)?;
        let monotonic = parameters.monotonic_ns + elapsed;
        Some([parameters.realtime_ns + elapsed, monotonic, monotonic + parameters.boot_offset_ns])
    }

    #[test]
    fn no_reader_sees_time_go_back() {
        let mut numbers = Numbers(7);
        for _ in 0..200 {
            // 1 to 5 ticks a ns; each look is off by up to 20 µs.
            let (rate, mut ticks) = (1 + numbers.below(5), 1_000_000);
            let mut look = |ticks: u64| sample(ticks, ticks / rate + numbers.below(20_000));
            let first = look(ticks);
            let mut old = next(&Parameters::default(), &first, &first, 0);
            for _ in 0..60 {
                ticks += look(0).monotonic_ns * 1_000;
                let fresh = next(&old, &first, &look(ticks), 0);
                for ahead in [0, 1, 2, 1_000, 1_000_000, 100_000_000, 2_000_000_000] {
                    if let (Some(before), Some(after)) =
                        (times(&old, ticks + ahead), times(&fresh, ticks + ahead))
                    {
                        assert!(before.iter().zip(&after).all(|(a, b)| a <= b), "{old:?} {fresh:?} +{ahead}");
                    }
                }
                // Whatever the old ones gave before the anchor is not above the anchor either.
                let last = old.anchor_ticks + old.valid_ticks.saturating_sub(1);
                if let Some(before) = times(&old, last.min(ticks)) {
                    assert!(before[1] <= fresh.monotonic_ns && before[0] <= fresh.realtime_ns);
                }
                old = fresh;
            }
        }
    }

    #[test]
    fn time_follows_the_host() {
        let first = sample(3_000_000, 1_000_000);
        let mut parameters = next(&Parameters::default(), &first, &first, 0);
        assert_eq!(parameters.elapsed_ns(3_000_001), None, "nothing is known of the counter yet");
        for step in 1..100 {
            let at = sample(3_000_000 + step * 300_000_000, 1_000_000 + step * 100_000_000);
            parameters = next(&parameters, &first, &at, 0);
        }
        let [_, now, _] = times(&parameters, 3_000_000 + 99 * 300_000_000 + 3_000).unwrap();
        assert!(now.abs_diff(1_000_000 + 99 * 100_000_000 + 1_000) < 200, "{now}");
    }

    #[test]
    fn a_hostile_host_cannot_turn_the_clock_back() {
        let first = sample(1_000, 1_000_000_000);
        let mut old = next(&Parameters::default(), &first, &first, 0);
        let mut numbers = Numbers(1);
        for step in 1..500 {
            let words = [0, 1, u64::MAX, 1 << 62, 5_000_000, 77];
            let mut pick = || words[numbers.below(words.len() as u64) as usize];
            let said = Sample::new(1_000 + step * 1_000_000, [pick(), pick(), pick()]);
            let fresh = next(&old, &first, &said, 0);
            assert!(fresh.monotonic_ns >= old.monotonic_ns);
            if let (Some(a), Some(b)) = (old.elapsed_ns(said.ticks), fresh.elapsed_ns(said.ticks)) {
                assert!(old.monotonic_ns + a <= fresh.monotonic_ns + b);
            }
            old = fresh;
        }
    }

    #[test]
    fn a_host_whose_clock_creeps_is_asked_again_soon() {
        let first = sample(1_000, 1_000_000_000);
        let old = next(&Parameters::default(), &first, &first, 0);
        let creeping = sample(1_000 + (1 << 50), 1_000_000_000 + CALIBRATION_NS);
        let fresh = next(&old, &first, &creeping, 0);
        assert_eq!(fresh.valid_ticks, 0, "a counter of 2^50 ticks in 5 ms is none");
        let slowest = sample(1_000 + CALIBRATION_NS * 15, 1_000_000_000 + CALIBRATION_NS);
        assert!(next(&old, &first, &slowest, 0).valid_ticks <= 16 * ANCHOR_NS);
    }

    #[test]
    fn the_real_clock_can_be_set_back_by_a_step() {
        let first = sample(1_000, 1_000_000_000);
        let old = next(&Parameters::default(), &first, &first, 0);
        let back =
            Sample { realtime_ns: first.realtime_ns - 3_600_000_000_000, ..sample(2_000, 1_000_001_000) };
        assert_eq!(next(&old, &first, &back, 0).realtime_ns, back.realtime_ns);
        let slightly = Sample { realtime_ns: first.realtime_ns - 300, ..sample(2_000, 1_000_001_000) };
        assert_eq!(next(&old, &first, &slightly, 0).realtime_ns, first.realtime_ns);
    }

    #[test]
    fn what_was_handed_out_is_not_taken_back() {
        let first = sample(1_000, 1_000_000_000);
        let old = next(&Parameters::default(), &first, &first, 0);
        assert_eq!(
            next(&old, &first, &sample(2_000, 1_000_000_500), 1_000_000_900).monotonic_ns,
            1_000_000_900
        );
    }
}
