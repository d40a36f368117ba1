//! Time as the program sees it.

use casemate_platform::clock;
use casemate_platform::sync::Once;

static START_NS: Once<u64> = Once::new();

/// Notes when the program started; called once.
pub fn note_start() {
    let _ = START_NS.set(clock::now().monotonic_ns);
}

/// What stands for the process's processor time: time since the start, in ns. Scheduling is the host's business.
pub fn process_time_ns() -> u64 {
    clock::now().monotonic_ns - START_NS.get().copied().unwrap_or(0)
}
