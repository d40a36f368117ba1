//! Time as the program sees it: clocks, processor time, timers.

mod clock;
mod cpu;

pub use clock::{Clock, SECOND, resolution_ns};
pub use cpu::CpuTime;

use core::sync::atomic::AtomicU64;

/// What a process has of time.
#[derive(Default)]
pub struct ProcessClocks {
    /// Processor time of threads that have ended.
    ended_ns: AtomicU64,
}
