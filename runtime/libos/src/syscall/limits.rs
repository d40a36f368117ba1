//! getrlimit, setrlimit, prlimit64, getrusage, times.

use casemate_platform::clock;

use crate::errno::{Errno, Result};
use crate::process::{Context, Resource, find_process};
use crate::user_space::{self, Addr};

/// getrlimit(2).
pub fn sys_getrlimit(ctx: &Context, resource: u32, at: Addr) -> Result<usize> {
    let (soft, hard) = ctx.process().limits.get(Resource::from_number(resource)?);
    user_space::write(at, &[soft, hard])?;
    Ok(0)
}

/// setrlimit(2).
pub fn sys_setrlimit(ctx: &Context, resource: u32, at: Addr) -> Result<usize> {
    sys_prlimit64(ctx, 0, resource, at, Addr(0))
}

/// prlimit64(2).
pub fn sys_prlimit64(ctx: &Context, pid: i32, resource: u32, new: Addr, old: Addr) -> Result<usize> {
    let resource = Resource::from_number(resource)?;
    let process =
        if pid == 0 { ctx.process().clone() } else { find_process(pid as u32).ok_or(Errno::ESRCH)? };
    let wanted: Option<[u64; 2]> = if new.is_null() { None } else { Some(user_space::read(new)?) };
    let (soft, hard) = process.limits.get(resource);
    if let Some([soft, hard]) = wanted {
        process.limits.set(resource, soft, hard, ctx.process().credentials.read().euid == 0)?;
        if resource == Resource::OpenFiles {
            process.files().set_limit(soft);
        }
        if resource == Resource::Stack {
            process.address_space().grow_stack(soft);
        }
    }
    if !old.is_null() {
        user_space::write(old, &[soft, hard])?;
    }
    Ok(0)
}

/// getrusage(2): processor time of the caller's process or thread, and memory; nothing else is counted.
pub fn sys_getrusage(ctx: &Context, who: i32, at: Addr) -> Result<usize> {
    const CHILDREN: i32 = -1;
    const THREAD: i32 = 1;
    if !matches!(who, -1..=1) {
        return Err(Errno::EINVAL);
    }
    let mut words = [0u64; 18];
    if who != CHILDREN {
        let now = clock::now().monotonic_ns;
        let ns = if who == THREAD { ctx.thread.cpu.used_ns(now) } else { ctx.process().cpu_ns(now) };
        words[0] = ns / 1_000_000_000;
        words[1] = ns / 1000 % 1_000_000;
        // ru_maxrss in KiB: what there is now stands for the most there was.
        words[4] = ctx.process().address_space().totals().present / 1024;
    }
    user_space::write(at, &words)?;
    Ok(0)
}

/// times(2).
pub fn sys_times(ctx: &Context, at: Addr) -> Result<usize> {
    const NS_PER_TICK: u64 = 10_000_000;
    if !at.is_null() {
        let ns = ctx.process().cpu_ns(clock::now().monotonic_ns);
        user_space::write(at, &[ns / NS_PER_TICK, 0, 0, 0])?;
    }
    Ok((clock::now().boottime_ns / NS_PER_TICK) as usize)
}
