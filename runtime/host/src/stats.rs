//! Counters of host calls, printed at the end of a run with `--stats`.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

use casemate_abi::{CALL_COUNT, HostCall};

use crate::report::print;

static ENABLED: AtomicBool = AtomicBool::new(false);
static CALLS: [AtomicU64; CALL_COUNT] = [const { AtomicU64::new(0) }; CALL_COUNT];
static TRAPPED: AtomicU64 = AtomicU64::new(0);

/// Counts from now on.
pub fn enable() {
    ENABLED.store(true, Relaxed);
}

/// Counts one host call.
#[inline]
pub fn count(call: HostCall) {
    if ENABLED.load(Relaxed) {
        CALLS[call as usize].fetch_add(1, Relaxed);
    }
}

/// Counts one system call that came by a trap instead of a rewritten site.
#[inline]
pub fn count_trapped() {
    if ENABLED.load(Relaxed) {
        TRAPPED.fetch_add(1, Relaxed);
    }
}

/// Prints the table on standard error: one line each call that was made, in order of its number.
pub fn print_table() {
    if !ENABLED.load(Relaxed) {
        return;
    }
    let total: u64 = CALLS.iter().map(|count| count.load(Relaxed)).sum();
    print(format_args!("{:<20} {:>12}", "host call", "count"));
    for (call, count) in HostCall::ALL.iter().zip(&CALLS) {
        let count = count.load(Relaxed);
        if count != 0 {
            print(format_args!("{:<20} {count:>12}", call.name()));
        }
    }
    print(format_args!("{:<20} {total:>12}", "all"));
    print(format_args!("{:<20} {:>12}", "trapped system calls", TRAPPED.load(Relaxed)));
}
