//! sched_*, getpriority, setpriority, getcpu: one kind of thread, on all the host's processors.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::*};

use crate::errno::{Errno, Result};
use crate::process::{Context, Process, Thread, all_processes};
use crate::user_space::{self, Addr};

static PROCESSORS: AtomicU32 = AtomicU32::new(1);

/// Sets the number of processors shown; called once at start.
pub fn set_processors(count: u32) {
    PROCESSORS.store(count.max(1), Relaxed);
}

/// How many processors there are.
pub fn processors() -> u32 {
    PROCESSORS.load(Relaxed)
}

fn check_thread(ctx: &Context, tid: i32) -> Result<()> {
    if tid < 0 { Err(Errno::EINVAL) } else { find_thread(ctx, tid).map(|_| ()) }
}

/// The thread with this id, 0 for the caller. `ESRCH`.
fn find_thread(ctx: &Context, tid: i32) -> Result<Arc<Thread>> {
    if tid == 0 || tid as u32 == ctx.thread.tid() {
        return Ok(ctx.thread.clone());
    }
    let in_process = |process: &Arc<Process>| {
        process.threads.lock().iter().find(|thread| thread.tid() == tid as u32).cloned()
    };
    all_processes().iter().find_map(in_process).ok_or(Errno::ESRCH)
}

/// sched_yield(2).
pub fn sys_sched_yield(_ctx: &Context) -> Result<usize> {
    casemate_platform::host::yield_now();
    Ok(0)
}

/// The mask of all processors, in whole words.
fn all_processors() -> Vec<u8> {
    let count = processors() as usize;
    let mut mask = vec![0; count.div_ceil(64) * 8];
    (0..count).for_each(|cpu| mask[cpu / 8] |= 1 << (cpu % 8));
    mask
}

/// sched_getaffinity(2): all processors, or what was set.
pub fn sys_sched_getaffinity(ctx: &Context, tid: i32, size: usize, at: Addr) -> Result<usize> {
    let all = all_processors();
    if size < all.len() || !size.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    let set = find_thread(ctx, tid)?.affinity.lock().clone();
    let mask = if set.is_empty() { all } else { set };
    user_space::copy_out(at, &mask)?;
    Ok(mask.len())
}

/// sched_setaffinity(2): a mask with at least one existing processor is remembered; the host places threads as it likes.
pub fn sys_sched_setaffinity(ctx: &Context, tid: i32, size: usize, at: Addr) -> Result<usize> {
    let all = all_processors();
    let mut mask = vec![0; all.len()];
    let length = size.min(mask.len());
    user_space::copy_in(&mut mask[..length], at)?;
    let thread = find_thread(ctx, tid)?;
    mask.iter_mut().zip(all).for_each(|(byte, there)| *byte &= there);
    if mask.iter().all(|&byte| byte == 0) {
        return Err(Errno::EINVAL);
    }
    *thread.affinity.lock() = mask;
    Ok(0)
}

/// sched_getscheduler(2): SCHED_OTHER.
pub fn sys_sched_getscheduler(ctx: &Context, tid: i32) -> Result<usize> {
    check_thread(ctx, tid).map(|()| 0)
}

/// sched_setscheduler(2): only what changes nothing.
pub fn sys_sched_setscheduler(ctx: &Context, tid: i32, policy: i32, parameter: Addr) -> Result<usize> {
    check_thread(ctx, tid)?;
    let priority = user_space::read_u32(parameter)? as i32;
    match policy & !0x4000_0000 {
        0 | 3 | 5 if priority == 0 => Ok(0),
        1 | 2 if (1..=99).contains(&priority) => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

/// sched_getparam(2).
pub fn sys_sched_getparam(ctx: &Context, tid: i32, parameter: Addr) -> Result<usize> {
    check_thread(ctx, tid)?;
    user_space::write_u32(parameter, 0)?;
    Ok(0)
}

/// sched_setparam(2).
pub fn sys_sched_setparam(ctx: &Context, tid: i32, parameter: Addr) -> Result<usize> {
    check_thread(ctx, tid)?;
    if user_space::read_u32(parameter)? == 0 { Ok(0) } else { Err(Errno::EINVAL) }
}

/// sched_get_priority_max(2).
pub fn sys_sched_get_priority_max(_ctx: &Context, policy: i32) -> Result<usize> {
    match policy {
        1 | 2 => Ok(99),
        0 | 3 | 5 | 6 => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// sched_get_priority_min(2).
pub fn sys_sched_get_priority_min(_ctx: &Context, policy: i32) -> Result<usize> {
    match policy {
        1 | 2 => Ok(1),
        0 | 3 | 5 | 6 => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// sched_rr_get_interval(2).
pub fn sys_sched_rr_get_interval(ctx: &Context, tid: i32, at: Addr) -> Result<usize> {
    check_thread(ctx, tid)?;
    user_space::write(at, &[0u64, 4_000_000])?;
    Ok(0)
}

const PRIO_PROCESS: u32 = 0;
const PRIO_PGRP: u32 = 1;
const PRIO_USER: u32 = 2;

/// The processes that getpriority(2) and setpriority(2) mean; `EINVAL`, `ESRCH`.
fn prioritised(ctx: &Context, which: u32, who: u32) -> Result<Vec<Arc<Process>>> {
    let caller = ctx.process();
    let meant: Vec<Arc<Process>> = match which {
        PRIO_PROCESS if who == 0 => alloc::vec![caller.clone()],
        PRIO_PROCESS => all_processes()
            .into_iter()
            .filter(|process| {
                process.pid == who || process.threads.lock().iter().any(|thread| thread.tid() == who)
            })
            .collect(),
        PRIO_PGRP => {
            let group = if who == 0 { caller.group.load(Relaxed) } else { who };
            all_processes().into_iter().filter(|process| process.group.load(Relaxed) == group).collect()
        }
        PRIO_USER => {
            let uid = if who == 0 { caller.credentials.read().uid } else { who };
            all_processes().into_iter().filter(|process| process.credentials.read().uid == uid).collect()
        }
        _ => return Err(Errno::EINVAL),
    };
    if meant.is_empty() { Err(Errno::ESRCH) } else { Ok(meant) }
}

/// getpriority(2), in the system call's encoding (20 − nice).
pub fn sys_getpriority(ctx: &Context, which: u32, who: u32) -> Result<usize> {
    let meant = prioritised(ctx, which, who)?;
    let least = meant.iter().map(|process| process.attributes.nice.load(Relaxed)).min().unwrap_or(0);
    Ok((20 - least) as usize)
}

/// setpriority(2): remembered and without effect, as scheduling is the host's business.
pub fn sys_setpriority(ctx: &Context, which: u32, who: u32, value: i32) -> Result<usize> {
    let value = value.clamp(-20, 19);
    let privileged = ctx.process().credentials.read().euid == 0;
    for process in prioritised(ctx, which, who)? {
        if value < process.attributes.nice.load(Relaxed) && !privileged {
            return Err(Errno::EACCES);
        }
        process.attributes.nice.store(value, Relaxed);
    }
    Ok(0)
}

/// getcpu(2): which processor a thread runs on is the host's word and of no use inside; 0.
pub fn sys_getcpu(_ctx: &Context, cpu: Addr, node: Addr) -> Result<usize> {
    for place in [cpu, node] {
        if !place.is_null() {
            user_space::write_u32(place, 0)?;
        }
    }
    Ok(0)
}
