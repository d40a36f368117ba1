//! Counters of host calls, printed at the end of a run with `--stats`.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

use casemate_abi::{CALL_COUNT, HostCall};

use crate::report::print;

static ENABLED: AtomicBool = AtomicBool::new(false);
static CALLS: [AtomicU64; CALL_COUNT] = [const { AtomicU64::new(0) }; CALL_COUNT];
/// Those of them that came by the ring.
static EXITLESS: [AtomicU64; CALL_COUNT] = [const { AtomicU64::new(0) }; CALL_COUNT];
static TRAPPED: AtomicU64 = AtomicU64::new(0);

/// Counts from now on.
pub fn enable() {
    ENABLED.store(true, Relaxed);
}

/// How a host call came out of the enclave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The thread left the enclave.
    Exit,
    /// By the ring; the thread stayed inside.
    Ring,
}

/// Counts one host call.
#[inline]
pub fn count(call: HostCall, way: Way) {
    if ENABLED.load(Relaxed) {
        CALLS[call as usize].fetch_add(1, Relaxed);
        if way == Way::Ring {
            EXITLESS[call as usize].fetch_add(1, Relaxed);
        }
    }
}

/// Counts one system call that came by a trap instead of a rewritten site.
#[inline]
pub fn count_trapped() {
    if ENABLED.load(Relaxed) {
        TRAPPED.fetch_add(1, Relaxed);
    }
}

/// Prints the table on standard error: one line each call that was made, in order of its number. With servers, a column more: how
/// many of the calls were exitless.
pub fn print_table() {
    if !ENABLED.load(Relaxed) {
        return;
    }
    let servers = crate::exitless::is_on();
    let line = |name, count: u64, exitless: u64| {
        if servers {
            print(format_args!("{name:<20} {count:>12} {exitless:>12}"));
        } else {
            print(format_args!("{name:<20} {count:>12}"));
        }
    };
    if servers {
        print(format_args!("{:<20} {:>12} {:>12}", "host call", "count", "exitless"));
    } else {
        print(format_args!("{:<20} {:>12}", "host call", "count"));
    }
    for call in HostCall::ALL {
        let of = |counts: &[AtomicU64; CALL_COUNT]| counts[*call as usize].load(Relaxed);
        if of(&CALLS) != 0 {
            line(call.name(), of(&CALLS), of(&EXITLESS));
        }
    }
    let total = |counts: &[AtomicU64; CALL_COUNT]| counts.iter().map(|count| count.load(Relaxed)).sum();
    line("all", total(&CALLS), total(&EXITLESS));
    print(format_args!("{:<20} {:>12}", "trapped system calls", TRAPPED.load(Relaxed)));
}
