//! How many descriptors the process may have: all that there can be, but a few are kept for calls that need one for a
//! moment only. So a program that has used up all others can still read its files, find paths and start programs.

use core::sync::atomic::{AtomicU64, Ordering::*};

use linux_raw_sys::general::*;

use crate::lock::Mutex;
use crate::sys::{self, Errno, Reply};

/// Kept back, of a limit that is large enough.
const KEPT: u64 = 16;

static HARD_LIMIT: AtomicU64 = AtomicU64::new(0);
static USING_KEPT: Mutex<()> = Mutex::new(());

fn set_soft_limit(soft: u64) {
    let limit = rlimit64 { rlim_cur: soft, rlim_max: HARD_LIMIT.load(Relaxed) };
    // SAFETY: the kernel reads the local limit only.
    let _ = unsafe { sys::call(__NR_prlimit64, [0, RLIMIT_NOFILE as u64, &raw const limit as u64, 0]) };
}

fn usual_limit() -> u64 {
    let hard = HARD_LIMIT.load(Relaxed);
    hard - KEPT.min(hard / 4)
}

/// Raises the soft limit as far as it goes, less what is kept.
pub fn raise_limit() {
    let mut limit = rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes the local limit only.
    let asked = unsafe { sys::call(__NR_prlimit64, [0, RLIMIT_NOFILE as u64, 0, &raw mut limit as u64]) };
    if asked.is_ok() {
        HARD_LIMIT.store(limit.rlim_max, Relaxed);
        set_soft_limit(usual_limit());
    }
}

/// Runs a call that gives back every descriptor it takes; what is kept is for it, too.
pub fn for_a_moment(call: impl Fn() -> Reply) -> Reply {
    match call() {
        Err(Errno::EMFILE) if HARD_LIMIT.load(Relaxed) != 0 => {
            let _one = USING_KEPT.lock();
            set_soft_limit(HARD_LIMIT.load(Relaxed));
            let reply = call();
            set_soft_limit(usual_limit());
            reply
        }
        reply => reply,
    }
}
