//! capget, capset, and the calls of prctl(2) about capabilities.

use crate::errno::{Errno, Result};
use crate::process::capabilities::{KNOWN, LAST};
use crate::process::{Capabilities, Capability, Context, find_process};
use crate::user_space::{self, Addr};

use super::identity::change;

// linux/capability.h
const VERSION_1: u32 = 0x1998_0330;
const VERSION_2: u32 = 0x2007_1026;
const VERSION_3: u32 = 0x2008_0522;

// linux/prctl.h
const AMBIENT_IS_SET: u64 = 1;
const AMBIENT_RAISE: u64 = 2;
const AMBIENT_LOWER: u64 = 3;
const AMBIENT_CLEAR_ALL: u64 = 4;

/// How many words a set has in this version; writes the preferred version where it is not known.
fn words(version: u32, header: Addr) -> Result<Option<usize>> {
    match version {
        VERSION_1 => Ok(Some(1)),
        VERSION_2 | VERSION_3 => Ok(Some(2)),
        _ => user_space::write_u32(header, VERSION_3).map(|()| None),
    }
}

/// capget(2).
pub fn sys_capget(ctx: &Context, header: Addr, data: Addr) -> Result<usize> {
    let [version, pid]: [u32; 2] = user_space::read(header)?;
    let Some(words) = words(version, header)? else {
        return if data.is_null() { Ok(0) } else { Err(Errno::EINVAL) };
    };
    if (pid as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let process = if pid == 0 { Some(ctx.process().clone()) } else { find_process(pid) };
    let sets = process.ok_or(Errno::ESRCH)?.credentials.read().capabilities;
    if data.is_null() {
        return Ok(0);
    }
    for word in 0..words {
        let part = |set: u64| (set >> (32 * word)) as u32;
        let parts = [sets.effective, sets.permitted, sets.inheritable].map(part);
        user_space::write(Addr(data.0 + 12 * word as u64), &parts)?;
    }
    Ok(0)
}

/// capset(2).
pub fn sys_capset(ctx: &Context, header: Addr, data: Addr) -> Result<usize> {
    let [version, pid]: [u32; 2] = user_space::read(header)?;
    let words = words(version, header)?.ok_or(Errno::EINVAL)?;
    if pid != 0 && pid != ctx.thread.tid() && pid != ctx.process().pid {
        return Err(Errno::EPERM);
    }
    let mut sets = [0u64; 3];
    for word in 0..words {
        let parts: [u32; 3] = user_space::read(Addr(data.0 + 12 * word as u64))?;
        for (set, part) in sets.iter_mut().zip(parts) {
            *set |= u64::from(part) << (32 * word);
        }
    }
    let [effective, permitted, inheritable] = sets;
    replace(ctx, |held| held.set(effective, permitted, inheritable))
}

/// The process has other sets from now on; `EPERM` where it may not.
fn replace(ctx: &Context, by: impl FnOnce(&Capabilities) -> Option<Capabilities>) -> Result<usize> {
    change(ctx, |credentials| {
        credentials.capabilities = by(&credentials.capabilities).ok_or(Errno::EPERM)?;
        Ok(())
    })
}

fn held(ctx: &Context) -> Capabilities {
    ctx.process().credentials.read().capabilities
}

fn bit(number: u64) -> Result<u64> {
    if number <= LAST { Ok(1 << number) } else { Err(Errno::EINVAL) }
}

/// PR_CAPBSET_READ.
pub fn is_bounded(ctx: &Context, number: u64) -> Result<usize> {
    Ok((held(ctx).bounding & bit(number)? != 0).into())
}

/// PR_CAPBSET_DROP.
pub fn drop_from_bounding(ctx: &Context, number: u64) -> Result<usize> {
    if !held(ctx).has(Capability::SetCapabilities) {
        return Err(Errno::EPERM);
    }
    let bit = bit(number)?;
    replace(ctx, |held| Some(Capabilities { bounding: held.bounding & KNOWN & !bit, ..*held }))
}

/// PR_CAP_AMBIENT.
pub fn ambient(ctx: &Context, what: u64, number: u64, rest: [u64; 2]) -> Result<usize> {
    if what == AMBIENT_CLEAR_ALL && number == 0 && rest == [0, 0] {
        return replace(ctx, |held| Some(Capabilities { ambient: 0, ..*held }));
    }
    let bit = bit(number)?;
    match what {
        _ if rest != [0, 0] => Err(Errno::EINVAL),
        AMBIENT_IS_SET => Ok((held(ctx).ambient & bit != 0).into()),
        AMBIENT_RAISE => replace(ctx, |held| held.raise_ambient(bit)),
        AMBIENT_LOWER => replace(ctx, |held| Some(Capabilities { ambient: held.ambient & !bit, ..*held })),
        _ => Err(Errno::EINVAL),
    }
}

/// PR_GET_SECUREBITS.
pub fn secure_bits(ctx: &Context) -> u32 {
    held(ctx).secure_bits
}

/// PR_SET_SECUREBITS.
pub fn set_secure_bits(ctx: &Context, bits: u64) -> Result<usize> {
    replace(ctx, |held| held.set_secure_bits(u32::try_from(bits).ok()?))
}

/// PR_SET_KEEPCAPS.
pub fn set_keep(ctx: &Context, keep: u64) -> Result<usize> {
    if keep > 1 {
        return Err(Errno::EINVAL);
    }
    replace(ctx, |held| held.set_keep(keep == 1))
}
