//! Calls about the calling thread: ids, TLS, futexes, robust lists.

use alloc::vec::Vec;
use core::sync::atomic::Ordering::*;

use casemate_platform::clock;
use casemate_platform::context::{fs_base, set_fs_base};
use linux_raw_sys::general as raw;

use crate::errno::{Errno, Result};
use crate::events::Deadline;
use crate::ipc::futex::{self, Key, Word};
use crate::process::Context;
use crate::user_space::{self, Addr};

/// gettid(2).
pub fn sys_gettid(ctx: &Context) -> Result<usize> {
    Ok(ctx.thread.tid() as usize)
}

/// set_tid_address(2).
pub fn sys_set_tid_address(ctx: &Context, at: Addr) -> Result<usize> {
    ctx.thread.clear_tid.store(at.0, Relaxed);
    Ok(ctx.thread.tid() as usize)
}

/// set_robust_list(2).
pub fn sys_set_robust_list(ctx: &Context, head: Addr, size: usize) -> Result<usize> {
    if size != 24 {
        return Err(Errno::EINVAL);
    }
    ctx.thread.robust_list.store(head.0, Relaxed);
    Ok(0)
}

/// get_robust_list(2).
pub fn sys_get_robust_list(ctx: &Context, tid: i32, head: Addr, size: Addr) -> Result<usize> {
    let value = if tid == 0 || tid as u32 == ctx.thread.tid() {
        ctx.thread.robust_list.load(Relaxed)
    } else {
        let threads = ctx.process().threads.lock();
        let found = threads.iter().find(|thread| thread.tid() == tid as u32).ok_or(Errno::ESRCH)?;
        found.robust_list.load(Relaxed)
    };
    user_space::write_u64(size, 24)?;
    user_space::write_u64(head, value)?;
    Ok(0)
}

const ARCH_SET_GS: u32 = 0x1001;
const ARCH_SET_FS: u32 = 0x1002;
const ARCH_GET_FS: u32 = 0x1003;

/// arch_prctl(2). The gs base is the library OS's and cannot be set.
pub fn sys_arch_prctl(_ctx: &Context, code: u32, value: u64) -> Result<usize> {
    match code {
        ARCH_SET_FS if set_fs_base(value) => Ok(0),
        ARCH_SET_FS | ARCH_SET_GS => Err(Errno::EPERM),
        ARCH_GET_FS => user_space::write_u64(Addr(value), fs_base()).map(|()| 0),
        _ => Err(Errno::EINVAL),
    }
}

const COMMAND: u32 = 0x7f;
const CLOCK_REALTIME: u32 = raw::FUTEX_CLOCK_REALTIME;

/// Reads a timespec and gives ns; `EINVAL` when it is not a valid one.
pub(crate) fn read_timespec(at: Addr) -> Result<u64> {
    let [seconds, nanoseconds]: [i64; 2] = user_space::read(at)?;
    if seconds < 0 || !(0..1_000_000_000).contains(&nanoseconds) {
        return Err(Errno::EINVAL);
    }
    Ok((seconds as u64).saturating_mul(1_000_000_000).saturating_add(nanoseconds as u64))
}

fn absolute_deadline(at_ns: u64, realtime: bool) -> Deadline {
    if !realtime {
        return Deadline(Some(at_ns));
    }
    let now = clock::now();
    Deadline(Some(now.monotonic_ns.saturating_add(at_ns.saturating_sub(now.realtime_ns))))
}

/// futex(2). Priority-inheritance operations are `ENOSYS`.
pub fn sys_futex(
    _ctx: &Context,
    at: Addr,
    operation: i32,
    value: u32,
    timeout: u64,
    second: Addr,
    third: u32,
) -> Result<usize> {
    let operation = operation as u32;
    let command = operation & COMMAND;
    let realtime = operation & CLOCK_REALTIME != 0;
    let private = operation & raw::FUTEX_PRIVATE_FLAG != 0;
    let word = |at: Addr| Word::of(at, private);
    if realtime && !matches!(command, raw::FUTEX_WAIT | raw::FUTEX_WAIT_BITSET) {
        return Err(Errno::ENOSYS);
    }
    match command {
        raw::FUTEX_WAIT => {
            let deadline = match timeout {
                0 => Deadline::NEVER,
                at => Deadline::after(read_timespec(Addr(at))?),
            };
            futex::wait(word(at)?, value, futex::ANY, deadline).map(|()| 0)
        }
        raw::FUTEX_WAIT_BITSET => {
            let deadline = match timeout {
                0 => Deadline::NEVER,
                at => absolute_deadline(read_timespec(Addr(at))?, realtime),
            };
            futex::wait(word(at)?, value, third, deadline).map(|()| 0)
        }
        raw::FUTEX_WAKE | raw::FUTEX_WAKE_BITSET => {
            let bitset = if command == raw::FUTEX_WAKE { futex::ANY } else { third };
            if bitset == 0 {
                return Err(Errno::EINVAL);
            }
            let key = Key::of(at, private)?;
            Ok(futex::wake(key, (value as i32).max(1) as usize, bitset))
        }
        raw::FUTEX_REQUEUE | raw::FUTEX_CMP_REQUEUE => {
            let (wake, moved) = (value as i32, timeout as u32 as i32);
            if wake < 0 || moved < 0 {
                return Err(Errno::EINVAL);
            }
            let expected = (command == raw::FUTEX_CMP_REQUEUE).then_some(third);
            futex::requeue(word(at)?, word(second)?, wake as usize, moved as usize, expected)
        }
        raw::FUTEX_WAKE_OP => futex::wake_op(
            word(at)?,
            word(second)?,
            (value as i32).max(1) as usize,
            (timeout as i32).max(1) as usize,
            third,
        ),
        _ => Err(Errno::ENOSYS),
    }
}

/// FUTEX2_SIZE_U32 and FUTEX2_PRIVATE.
const WAITV_SIZE_U32: u32 = 2;
const WAITV_PRIVATE: u32 = 128;
/// FUTEX_WAITV_MAX.
const WAITV_LIMIT: usize = 128;

/// futex_waitv(2).
pub fn sys_futex_waitv(
    _ctx: &Context,
    waiters: Addr,
    count: usize,
    flags: u32,
    timeout: Addr,
    clock: i32,
) -> Result<usize> {
    if flags != 0 || count == 0 || count > WAITV_LIMIT || waiters.is_null() {
        return Err(Errno::EINVAL);
    }
    let mut deadline = Deadline::NEVER;
    if !timeout.is_null() {
        let realtime = match clock as u32 {
            raw::CLOCK_REALTIME => true,
            raw::CLOCK_MONOTONIC => false,
            _ => return Err(Errno::EINVAL),
        };
        deadline = absolute_deadline(read_timespec(timeout)?, realtime);
    }
    // All are looked at before the first address is.
    let mut wanted = Vec::with_capacity(count);
    for position in 0..count as u64 {
        let [value, at, rest]: [u64; 3] = user_space::read(Addr(waiters.0.wrapping_add(position * 24)))?;
        let (flags, reserved) = (rest as u32, rest >> 32);
        if reserved != 0 || flags & !WAITV_PRIVATE != WAITV_SIZE_U32 || value >> 32 != 0 {
            return Err(Errno::EINVAL);
        }
        wanted.push((Addr(at), flags & WAITV_PRIVATE != 0, value as u32));
    }
    let word = |(at, private, value)| Ok((Word::of(at, private)?, value));
    let words: Vec<(Word, u32)> = wanted.into_iter().map(word).collect::<Result<_>>()?;
    futex::wait_for_one(&words, deadline)
}
