//! Timers: alarm, interval timers, timer_create and its relatives, timerfd.

use linux_raw_sys::general as raw;

use super::time::{timespec, timeval};
use crate::errno::{Errno, Result};
use crate::file::OpenFlags;
use crate::process::{Context, Fd};
use crate::signal::Signal;
use crate::time::{Clock, Notify, SECOND, Setting, TimerFile};
use crate::user_space::{self, Addr};

/// alarm(2): an interval timer in whole seconds.
pub fn sys_alarm(ctx: &Context, seconds: u32) -> Result<usize> {
    let timer = ctx.process().clocks.interval_timer(ctx.process(), raw::ITIMER_REAL)?;
    let setting = Setting { value: u64::from(seconds) * SECOND, interval: 0 };
    let left = timer.set(setting, false)?.value;
    // What is left is rounded, but never to nothing.
    let rounded = left / SECOND + u64::from(left % SECOND >= SECOND / 2 || (1..SECOND).contains(&left));
    Ok(rounded as usize)
}

fn write_interval(at: Addr, setting: Setting) -> Result<()> {
    let ([a, b], [c, d]) = (timeval(setting.interval), timeval(setting.value));
    user_space::write(at, &[a, b, c, d])
}

/// getitimer(2).
pub fn sys_getitimer(ctx: &Context, which: u32, at: Addr) -> Result<usize> {
    let timer = ctx.process().clocks.interval_timer(ctx.process(), which)?;
    write_interval(at, timer.get()).map(|()| 0)
}

/// setitimer(2). The virtual and the profiling timer both count what stands for processor time.
pub fn sys_setitimer(ctx: &Context, which: u32, new: Addr, old: Addr) -> Result<usize> {
    let words: [i64; 4] = if new.is_null() { [0; 4] } else { user_space::read(new)? };
    let [interval, value] = [[words[0], words[1]], [words[2], words[3]]].map(from_timeval);
    let setting = Setting { value: value?, interval: interval? };
    let timer = ctx.process().clocks.interval_timer(ctx.process(), which)?;
    let before = timer.set(setting, false)?;
    if !old.is_null() {
        write_interval(old, before)?;
    }
    Ok(0)
}

fn from_timeval([seconds, microseconds]: [i64; 2]) -> Result<u64> {
    if seconds < 0 || !(0..1_000_000).contains(&microseconds) {
        return Err(Errno::EINVAL);
    }
    Ok((seconds as u64).saturating_mul(SECOND).saturating_add(microseconds as u64 * 1000))
}

fn from_timespec([seconds, nanoseconds]: [i64; 2]) -> Result<u64> {
    if seconds < 0 || !(0..SECOND as i64).contains(&nanoseconds) {
        return Err(Errno::EINVAL);
    }
    Ok((seconds as u64).saturating_mul(SECOND).saturating_add(nanoseconds as u64))
}

/// The words of a struct itimerspec, which are yet to be checked.
fn read_setting(at: Addr) -> Result<impl FnOnce() -> Result<Setting>> {
    let words: [i64; 4] = user_space::read(at)?;
    Ok(move || {
        let interval = from_timespec([words[0], words[1]])?;
        Ok(Setting { value: from_timespec([words[2], words[3]])?, interval })
    })
}

fn write_setting(at: Addr, setting: Setting) -> Result<()> {
    let ([a, b], [c, d]) = (timespec(setting.interval), timespec(setting.value));
    user_space::write(at, &[a, b, c, d])
}

/// The clock of a new timer.
fn timer_clock(id: i32) -> Result<Clock> {
    let clock = Clock::from_id(id)?;
    match id as u32 {
        raw::CLOCK_MONOTONIC_RAW | raw::CLOCK_MONOTONIC_COARSE | raw::CLOCK_REALTIME_COARSE => {
            Err(Errno::EOPNOTSUPP)
        }
        raw::CLOCK_REALTIME_ALARM | raw::CLOCK_BOOTTIME_ALARM => Err(Errno::EPERM),
        _ => Ok(clock),
    }
}

/// timer_create(2).
pub fn sys_timer_create(ctx: &Context, id: i32, event: Addr, at: Addr) -> Result<usize> {
    let (notify, value) = if event.is_null() {
        (Notify::Signal(Signal::ALRM, None), None)
    } else {
        // sigev_value; sigev_signo and sigev_notify; sigev_notify_thread_id
        let [value, kinds, thread]: [u64; 3] = user_space::read(event)?;
        (read_notify(ctx, kinds as u32, (kinds >> 32) as u32, thread as u32)?, Some(value))
    };
    let clock = timer_clock(id)?;
    let clocks = &ctx.process().clocks;
    let timer = clocks.create(ctx.process(), clock, notify, value)?;
    user_space::write_u32(at, timer as u32).inspect_err(|_| {
        let _ = clocks.delete(timer);
    })?;
    Ok(0)
}

fn read_notify(ctx: &Context, signal: u32, kind: u32, thread: u32) -> Result<Notify> {
    match kind {
        raw::SIGEV_NONE => Ok(Notify::Nobody),
        // The thread of SIGEV_THREAD is the C library's; it asks for SIGEV_THREAD_ID itself.
        raw::SIGEV_SIGNAL | raw::SIGEV_THREAD => Ok(Notify::Signal(Signal::new(signal)?, None)),
        raw::SIGEV_THREAD_ID => {
            let threads = ctx.process().threads.lock();
            let found = threads.iter().find(|other| other.tid() == thread).cloned();
            drop(threads);
            let target = found.ok_or(Errno::EINVAL)?;
            Ok(Notify::Signal(Signal::new(signal)?, Some(target)))
        }
        _ => Err(Errno::EINVAL),
    }
}

/// timer_settime(2).
pub fn sys_timer_settime(ctx: &Context, id: i32, flags: u32, new: Addr, old: Addr) -> Result<usize> {
    if new.is_null() {
        return Err(Errno::EINVAL);
    }
    let setting = read_setting(new)?()?;
    let before = ctx.process().clocks.set(id, setting, flags & raw::TIMER_ABSTIME != 0)?;
    if !old.is_null() {
        write_setting(old, before)?;
    }
    Ok(0)
}

/// timer_gettime(2).
pub fn sys_timer_gettime(ctx: &Context, id: i32, at: Addr) -> Result<usize> {
    write_setting(at, ctx.process().clocks.get(id)?).map(|()| 0)
}

/// timer_getoverrun(2).
pub fn sys_timer_getoverrun(ctx: &Context, id: i32) -> Result<usize> {
    Ok(ctx.process().clocks.overrun(id)? as usize)
}

/// timer_delete(2).
pub fn sys_timer_delete(ctx: &Context, id: i32) -> Result<usize> {
    ctx.process().clocks.delete(id).map(|()| 0)
}

/// timerfd_create(2).
pub fn sys_timerfd_create(ctx: &Context, id: i32, flags: u32) -> Result<usize> {
    let flags = OpenFlags::from_bits_retain(flags);
    if !(flags - OpenFlags::CLOSE_ON_EXEC - OpenFlags::NONBLOCK).is_empty() {
        return Err(Errno::EINVAL);
    }
    let clock = match id as u32 {
        raw::CLOCK_REALTIME | raw::CLOCK_MONOTONIC | raw::CLOCK_BOOTTIME => Clock::from_id(id)?,
        raw::CLOCK_REALTIME_ALARM | raw::CLOCK_BOOTTIME_ALARM => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    };
    let file = TimerFile::open(clock, flags & OpenFlags::NONBLOCK);
    let fd = ctx.process().files().add(file, flags.contains(OpenFlags::CLOSE_ON_EXEC))?;
    Ok(fd.0 as usize)
}

const TFD_TIMER_ABSTIME: u32 = 1;
/// Accepted: the real-time clock of an enclave is never set.
const TFD_TIMER_CANCEL_ON_SET: u32 = 2;

/// timerfd_settime(2).
pub fn sys_timerfd_settime(ctx: &Context, fd: Fd, flags: u32, new: Addr, old: Addr) -> Result<usize> {
    let setting = read_setting(new)?;
    if flags & !(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL);
    }
    let setting = setting()?;
    let file = ctx.process().file(fd)?;
    let timer = file.as_any().downcast_ref::<TimerFile>().ok_or(Errno::EINVAL)?;
    let before = timer.set(setting, flags & TFD_TIMER_ABSTIME != 0)?;
    if !old.is_null() {
        write_setting(old, before)?;
    }
    Ok(0)
}

/// timerfd_gettime(2).
pub fn sys_timerfd_gettime(ctx: &Context, fd: Fd, at: Addr) -> Result<usize> {
    let file = ctx.process().file(fd)?;
    let timer = file.as_any().downcast_ref::<TimerFile>().ok_or(Errno::EINVAL)?;
    write_setting(at, timer.get()).map(|()| 0)
}
