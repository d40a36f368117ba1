//! The clocks that a program can name.

use alloc::sync::Arc;
use core::sync::atomic::Ordering::*;

use casemate_platform::clock;
use linux_raw_sys::general as raw;

use crate::errno::{Errno, Result};
use crate::events::Deadline;
use crate::process::{Process, Thread, current_process, current_thread, find_process};

/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;
/// Resolution of the coarse clocks: a tick at 250 Hz.
const TICK: u64 = 4_000_000;

/// A clock.
#[derive(Clone)]
pub enum Clock {
    /// CLOCK_REALTIME, and what differs from it only in being able to wake a machine.
    Realtime,
    /// CLOCK_MONOTONIC and CLOCK_MONOTONIC_RAW.
    Monotonic,
    /// CLOCK_BOOTTIME.
    Boottime,
    /// Processor time of a process.
    Process(Arc<Process>),
    /// Processor time of a thread.
    Thread(Arc<Thread>),
}

/// Negative clock ids are processor clocks: the id's complement above these bits.
const CPU_THREAD: i32 = 4;
const CPU_KIND: i32 = 3;
const CPU_KIND_DESCRIPTOR: i32 = 3;

impl Clock {
    /// The clock of this id; `EINVAL`.
    pub fn from_id(id: i32) -> Result<Clock> {
        if id < 0 {
            return Clock::of_someone(id);
        }
        match id as u32 {
            raw::CLOCK_REALTIME | raw::CLOCK_REALTIME_COARSE | raw::CLOCK_REALTIME_ALARM | raw::CLOCK_TAI => {
                Ok(Clock::Realtime)
            }
            raw::CLOCK_MONOTONIC | raw::CLOCK_MONOTONIC_RAW | raw::CLOCK_MONOTONIC_COARSE => {
                Ok(Clock::Monotonic)
            }
            raw::CLOCK_BOOTTIME | raw::CLOCK_BOOTTIME_ALARM => Ok(Clock::Boottime),
            raw::CLOCK_PROCESS_CPUTIME_ID => Ok(Clock::Process(current_process())),
            raw::CLOCK_THREAD_CPUTIME_ID => Ok(Clock::Thread(current_thread())),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The processor clock of a process, or of a thread of the caller's process.
    fn of_someone(id: i32) -> Result<Clock> {
        let number = !(id >> 3) as u32;
        if id & CPU_KIND == CPU_KIND_DESCRIPTOR {
            return Err(Errno::EINVAL);
        }
        if id & CPU_THREAD == 0 {
            let process = if number == 0 { Some(current_process()) } else { find_process(number) };
            return process.map(Clock::Process).ok_or(Errno::EINVAL);
        }
        if number == 0 {
            return Ok(Clock::Thread(current_thread()));
        }
        let process = current_process();
        let threads = process.threads.lock();
        let found = threads.iter().find(|thread| thread.tid() == number).cloned();
        found.map(Clock::Thread).ok_or(Errno::EINVAL)
    }

    /// The time on it, in ns.
    pub fn now_ns(&self) -> u64 {
        let now = clock::now();
        match self {
            Clock::Realtime => now.realtime_ns,
            Clock::Monotonic => now.monotonic_ns,
            Clock::Boottime => now.boottime_ns,
            Clock::Process(process) => process.cpu_ns(now.monotonic_ns),
            Clock::Thread(thread) => thread.cpu.used_ns(now.monotonic_ns),
        }
    }

    /// Whether it stands still while the program sleeps.
    pub fn counts_work(&self) -> bool {
        matches!(self, Clock::Process(_) | Clock::Thread(_))
    }

    /// When this clock, which must not count work, will show `at_ns`, by what is known now.
    pub fn deadline(&self, at_ns: u64) -> Deadline {
        let now = clock::now();
        let left = at_ns.saturating_sub(match self {
            Clock::Realtime => now.realtime_ns,
            Clock::Boottime => now.boottime_ns,
            _ => now.monotonic_ns,
        });
        Deadline(Some(now.monotonic_ns.saturating_add(left)))
    }
}

/// What clock_getres(2) says; `EINVAL`.
pub fn resolution_ns(id: i32) -> Result<u64> {
    Clock::from_id(id)?;
    let coarse = [raw::CLOCK_REALTIME_COARSE as i32, raw::CLOCK_MONOTONIC_COARSE as i32];
    Ok(if coarse.contains(&id) { TICK } else { 1 })
}

impl Process {
    /// Processor time of all its threads until `now` (monotonic), those that have ended included.
    pub fn cpu_ns(&self, now: u64) -> u64 {
        let threads = self.threads.lock();
        let living: u64 = threads.iter().map(|thread| thread.cpu.used_ns(now)).sum();
        living + self.clocks.ended_ns.load(SeqCst)
    }

    /// A thread leaves the list of threads, which the caller holds: its time stays the process's.
    pub fn keep_cpu_time(&self, thread: &Thread) {
        thread.cpu.sleep();
        self.clocks.ended_ns.fetch_add(thread.cpu.used_ns(0), SeqCst);
    }
}
