//! Processor time. Only the host knows when it lets a thread run; what stands for processor time here is the time that a
//! thread does not sleep in the library OS.

use casemate_platform::clock;
use casemate_platform::sync::Mutex;

#[derive(Clone, Copy, Default)]
struct State {
    /// Collected until `awake_since`, or in all while it sleeps.
    used_ns: u64,
    /// Since when it has been awake; `None` before its start, in sleep and after its end.
    awake_since: Option<u64>,
}

/// The processor time of one thread.
#[derive(Default)]
pub struct CpuTime(Mutex<State>);

impl CpuTime {
    /// The thread runs from now on.
    pub fn wake(&self) {
        let now = clock::now().monotonic_ns;
        self.0.lock().awake_since.get_or_insert(now);
    }

    /// The thread sleeps from now on, or has ended.
    pub fn sleep(&self) {
        let now = clock::now().monotonic_ns;
        let mut state = self.0.lock();
        if let Some(since) = state.awake_since.take() {
            state.used_ns += now.saturating_sub(since);
        }
    }

    /// Used until `now` (on the monotonic clock, ns).
    pub fn used_ns(&self, now: u64) -> u64 {
        let state = *self.0.lock();
        state.used_ns + state.awake_since.map_or(0, |since| now.saturating_sub(since))
    }
}
