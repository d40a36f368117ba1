//! prctl(2) and personality(2).

use core::sync::atomic::Ordering::*;

use crate::errno::{Errno, Result};
use crate::process::Context;
use crate::process::capabilities::KEEP;
use crate::user_space::{self, Addr};

use super::capability;

// linux/prctl.h
const PR_SET_PDEATHSIG: u32 = 1;
const PR_GET_PDEATHSIG: u32 = 2;
const PR_GET_DUMPABLE: u32 = 3;
const PR_SET_DUMPABLE: u32 = 4;
const PR_GET_KEEPCAPS: u32 = 7;
const PR_SET_KEEPCAPS: u32 = 8;
const PR_SET_NAME: u32 = 15;
const PR_GET_NAME: u32 = 16;
const PR_GET_SECCOMP: u32 = 21;
const PR_CAPBSET_READ: u32 = 23;
const PR_CAPBSET_DROP: u32 = 24;
const PR_GET_SECUREBITS: u32 = 27;
const PR_SET_SECUREBITS: u32 = 28;
const PR_SET_TIMERSLACK: u32 = 29;
const PR_GET_TIMERSLACK: u32 = 30;
const PR_SET_CHILD_SUBREAPER: u32 = 36;
const PR_GET_CHILD_SUBREAPER: u32 = 37;
const PR_SET_NO_NEW_PRIVS: u32 = 38;
const PR_GET_NO_NEW_PRIVS: u32 = 39;
const PR_SET_THP_DISABLE: u32 = 41;
const PR_GET_THP_DISABLE: u32 = 42;
const PR_CAP_AMBIENT: u32 = 47;
const PR_SET_VMA: u32 = 0x5356_4d41;

/// prctl(2).
pub fn sys_prctl(ctx: &Context, option: u32, a: u64, b: u64, c: u64, d: u64) -> Result<usize> {
    let process = ctx.process();
    let state = &process.attributes;
    match option {
        PR_SET_NAME => {
            let mut name = user_space::read_string(Addr(a), 4096)?.ok_or(Errno::EFAULT)?;
            name.truncate(15);
            *ctx.thread.name.lock() = name;
        }
        PR_GET_NAME => {
            let mut bytes = [0u8; 16];
            let name = ctx.thread.name.lock().clone();
            bytes[..name.len().min(15)].copy_from_slice(&name[..name.len().min(15)]);
            user_space::copy_out(Addr(a), &bytes)?;
        }
        PR_SET_PDEATHSIG if a > 64 => return Err(Errno::EINVAL),
        PR_SET_PDEATHSIG => state.parent_death_signal.store(a as u32, Relaxed),
        PR_GET_PDEATHSIG => user_space::write_u32(Addr(a), state.parent_death_signal.load(Relaxed))?,
        PR_GET_DUMPABLE => return Ok(state.dumpable.load(Relaxed) as usize),
        PR_SET_DUMPABLE if a > 1 => return Err(Errno::EINVAL),
        PR_SET_DUMPABLE => state.dumpable.store(a as u32, Relaxed),
        PR_GET_KEEPCAPS => return Ok((capability::secure_bits(ctx) & KEEP != 0).into()),
        PR_SET_KEEPCAPS => return capability::set_keep(ctx, a),
        PR_GET_SECUREBITS => return Ok(capability::secure_bits(ctx) as usize),
        PR_SET_SECUREBITS => return capability::set_secure_bits(ctx, a),
        PR_GET_SECCOMP => {}
        PR_CAPBSET_READ => return capability::is_bounded(ctx, a),
        PR_CAPBSET_DROP => return capability::drop_from_bounding(ctx, a),
        PR_SET_TIMERSLACK => state.timer_slack.store(if a == 0 { 50_000 } else { a as u32 }, Relaxed),
        PR_GET_TIMERSLACK => return Ok(state.timer_slack.load(Relaxed) as usize),
        PR_SET_CHILD_SUBREAPER => state.subreaper.store((a != 0) as u32, Relaxed),
        PR_GET_CHILD_SUBREAPER => user_space::write_u32(Addr(a), state.subreaper.load(Relaxed))?,
        PR_SET_NO_NEW_PRIVS if a != 1 || b | c | d != 0 => return Err(Errno::EINVAL),
        PR_SET_NO_NEW_PRIVS => state.no_new_privileges.store(1, Relaxed),
        PR_GET_NO_NEW_PRIVS => return Ok(state.no_new_privileges.load(Relaxed) as usize),
        PR_SET_THP_DISABLE | PR_SET_VMA => {}
        PR_GET_THP_DISABLE => {}
        PR_CAP_AMBIENT => return capability::ambient(ctx, a, b, [c, d]),
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// personality(2): PER_LINUX only.
pub fn sys_personality(_ctx: &Context, persona: u32) -> Result<usize> {
    const QUERY: u32 = 0xffff_ffff;
    const ADDR_NO_RANDOMIZE: u32 = 0x004_0000;
    if persona == QUERY || persona & !ADDR_NO_RANDOMIZE == 0 { Ok(0) } else { Err(Errno::EINVAL) }
}
