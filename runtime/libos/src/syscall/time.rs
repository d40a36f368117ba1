//! The clocks: reading, setting (refused), sleeping.

use casemate_platform::clock;
use linux_raw_sys::general as raw;

use super::thread::read_timespec;
use crate::errno::{Errno, Result};
use crate::events::{Deadline, sleep_until_signal};
use crate::process::Context;
use crate::time::{Clock, SECOND, resolution_ns, vdso};
use crate::user_space::{self, Addr};

/// A time as struct timespec.
pub(super) fn timespec(ns: u64) -> [u64; 2] {
    [ns / SECOND, ns % SECOND]
}

/// A time as struct timeval.
pub(super) fn timeval(ns: u64) -> [u64; 2] {
    [ns / SECOND, ns % SECOND / 1000]
}

/// clock_gettime(2).
pub fn sys_clock_gettime(_ctx: &Context, id: i32, at: Addr) -> Result<usize> {
    let ns = Clock::from_id(id)?.now_ns();
    vdso::refresh();
    user_space::write(at, &timespec(ns)).map(|()| 0)
}

/// clock_getres(2).
pub fn sys_clock_getres(_ctx: &Context, id: i32, at: Addr) -> Result<usize> {
    let ns = resolution_ns(id)?;
    if !at.is_null() {
        user_space::write(at, &timespec(ns))?;
    }
    Ok(0)
}

/// clock_settime(2): nobody inside has the right.
pub fn sys_clock_settime(_ctx: &Context, id: i32, at: Addr) -> Result<usize> {
    if id != raw::CLOCK_REALTIME as i32 {
        // The others cannot be set at all.
        Clock::from_id(id)?;
        return Err(Errno::EINVAL);
    }
    read_timespec(at)?;
    Err(Errno::EPERM)
}

/// gettimeofday(2). The time zone is UTC.
pub fn sys_gettimeofday(_ctx: &Context, at: Addr, zone: Addr) -> Result<usize> {
    if !at.is_null() {
        let ns = clock::now().realtime_ns;
        vdso::refresh();
        user_space::write(at, &timeval(ns))?;
    }
    if !zone.is_null() {
        user_space::write(zone, &[0u32; 2])?;
    }
    Ok(0)
}

/// settimeofday(2): nobody inside has the right.
pub fn sys_settimeofday(_ctx: &Context, at: Addr, zone: Addr) -> Result<usize> {
    if !at.is_null() {
        let [seconds, microseconds]: [i64; 2] = user_space::read(at)?;
        if seconds < 0 || !(0..1_000_000).contains(&microseconds) {
            return Err(Errno::EINVAL);
        }
    }
    if !zone.is_null() {
        let _: [u32; 2] = user_space::read(zone)?;
    }
    Err(Errno::EPERM)
}

/// time(2).
pub fn sys_time(_ctx: &Context, at: Addr) -> Result<usize> {
    let seconds = clock::now().realtime_ns / SECOND;
    vdso::refresh();
    if !at.is_null() {
        user_space::write_u64(at, seconds)?;
    }
    Ok(seconds as usize)
}

/// nanosleep(2).
pub fn sys_nanosleep(ctx: &Context, at: Addr, rest: Addr) -> Result<usize> {
    let ns = read_timespec(at)?;
    sleep(ctx, || Deadline::after(ns), Some(rest))
}

/// clock_nanosleep(2). Sleeping on a processor clock is not supported.
pub fn sys_clock_nanosleep(ctx: &Context, id: i32, flags: u32, at: Addr, rest: Addr) -> Result<usize> {
    let clock = Clock::from_id(id)?;
    let simple = [raw::CLOCK_MONOTONIC_RAW, raw::CLOCK_MONOTONIC_COARSE, raw::CLOCK_REALTIME_COARSE];
    if id == raw::CLOCK_THREAD_CPUTIME_ID as i32 {
        return Err(Errno::EINVAL);
    }
    if clock.counts_work() || simple.contains(&(id as u32)) {
        return Err(Errno::EOPNOTSUPP);
    }
    let ns = read_timespec(at)?;
    if flags & raw::TIMER_ABSTIME != 0 {
        sleep(ctx, || clock.deadline(ns), None)
    } else {
        sleep(ctx, || Deadline::after(ns), Some(rest))
    }
}

/// Sleeps; cut short by a handler a relative sleep (one with a place for the rest) says how much was left.
fn sleep(ctx: &Context, deadline: impl FnOnce() -> Deadline, rest: Option<Addr>) -> Result<usize> {
    let kept = ctx.thread.sleep_until.lock().take();
    let deadline = kept.unwrap_or_else(deadline);
    match sleep_until_signal(deadline) {
        Errno::ETIMEDOUT => Ok(0),
        Errno::ERESTARTSYS => {
            let Some(rest) = rest else {
                return Err(Errno::ERESTARTNOHAND);
            };
            let left = deadline.left().unwrap_or(0);
            if left == 0 {
                return Ok(0);
            }
            if !rest.is_null() {
                user_space::write(rest, &timespec(left))?;
            }
            *ctx.thread.sleep_until.lock() = Some(deadline);
            Err(Errno::ERESTART_RESTARTBLOCK)
        }
        other => Err(other),
    }
}
