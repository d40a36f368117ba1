//! Process, group, session and user ids.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::*;

use crate::errno::{Errno, Result};
use crate::process::{Capability, Context, Credentials, Process, find_process};
use crate::user_space::{self, Addr};

/// getpid(2).
pub fn sys_getpid(ctx: &Context) -> Result<usize> {
    Ok(ctx.process().pid as usize)
}

/// getppid(2).
pub fn sys_getppid(ctx: &Context) -> Result<usize> {
    Ok(ctx.process().parent.lock().upgrade().map_or(0, |parent| parent.pid as usize))
}

fn target(ctx: &Context, pid: i32) -> Result<Arc<Process>> {
    if pid == 0 { Ok(ctx.process().clone()) } else { find_process(pid as u32).ok_or(Errno::ESRCH) }
}

/// getpgid(2).
pub fn sys_getpgid(ctx: &Context, pid: i32) -> Result<usize> {
    Ok(target(ctx, pid)?.group.load(Relaxed) as usize)
}

/// getpgrp(2).
pub fn sys_getpgrp(ctx: &Context) -> Result<usize> {
    sys_getpgid(ctx, 0)
}

/// setpgid(2).
pub fn sys_setpgid(ctx: &Context, pid: i32, group: i32) -> Result<usize> {
    if group < 0 {
        return Err(Errno::EINVAL);
    }
    let process = target(ctx, pid)?;
    let is_child = ctx.process().children.lock().iter().any(|child| child.pid == process.pid);
    if process.pid != ctx.process().pid && !is_child {
        return Err(Errno::ESRCH);
    }
    if process.session.load(Relaxed) == process.pid
        || process.session.load(Relaxed) != ctx.process().session.load(Relaxed)
    {
        return Err(Errno::EPERM);
    }
    process.group.store(if group == 0 { process.pid } else { group as u32 }, Relaxed);
    Ok(0)
}

/// getsid(2).
pub fn sys_getsid(ctx: &Context, pid: i32) -> Result<usize> {
    Ok(target(ctx, pid)?.session.load(Relaxed) as usize)
}

/// setsid(2).
pub fn sys_setsid(ctx: &Context) -> Result<usize> {
    let process = ctx.process();
    if process.group.load(Relaxed) == process.pid {
        return Err(Errno::EPERM);
    }
    process.session.store(process.pid, Relaxed);
    process.group.store(process.pid, Relaxed);
    Ok(process.pid as usize)
}

fn credentials(ctx: &Context) -> Arc<Credentials> {
    ctx.process().credentials.read().clone()
}

/// Applies `change` to a copy and makes it the process's.
pub(super) fn change(ctx: &Context, change: impl FnOnce(&mut Credentials) -> Result<()>) -> Result<usize> {
    let old = credentials(ctx);
    let mut copy = (*old).clone();
    change(&mut copy)?;
    ctx.process().set_credentials(copy);
    Ok(0)
}

/// The same for user ids, which capabilities follow.
fn change_users(ctx: &Context, by: impl FnOnce(&mut Credentials) -> Result<()>) -> Result<usize> {
    let old = credentials(ctx);
    change(ctx, |c| {
        by(c)?;
        c.follow_user_ids(&old);
        Ok(())
    })
}

/// getuid(2).
pub fn sys_getuid(ctx: &Context) -> Result<usize> {
    Ok(credentials(ctx).uid as usize)
}

/// geteuid(2).
pub fn sys_geteuid(ctx: &Context) -> Result<usize> {
    Ok(credentials(ctx).euid as usize)
}

/// getgid(2).
pub fn sys_getgid(ctx: &Context) -> Result<usize> {
    Ok(credentials(ctx).gid as usize)
}

/// getegid(2).
pub fn sys_getegid(ctx: &Context) -> Result<usize> {
    Ok(credentials(ctx).egid as usize)
}

const KEEP: u32 = u32::MAX;

/// setuid(2).
pub fn sys_setuid(ctx: &Context, uid: u32) -> Result<usize> {
    change_users(ctx, |c| {
        if uid == KEEP {
            return Err(Errno::EINVAL);
        }
        if c.may(Capability::SetUid) {
            (c.uid, c.suid) = (uid, uid);
        } else if uid != c.uid && uid != c.suid {
            return Err(Errno::EPERM);
        }
        (c.euid, c.fsuid) = (uid, uid);
        Ok(())
    })
}

/// setgid(2).
pub fn sys_setgid(ctx: &Context, gid: u32) -> Result<usize> {
    change(ctx, |c| {
        if gid == KEEP {
            return Err(Errno::EINVAL);
        }
        if c.may(Capability::SetGid) {
            (c.gid, c.sgid) = (gid, gid);
        } else if gid != c.gid && gid != c.sgid {
            return Err(Errno::EPERM);
        }
        (c.egid, c.fsgid) = (gid, gid);
        Ok(())
    })
}

fn admissible(privileged: bool, wanted: u32, current: [u32; 3]) -> Result<()> {
    if wanted == KEEP || privileged || current.contains(&wanted) { Ok(()) } else { Err(Errno::EPERM) }
}

fn assign(place: &mut u32, wanted: u32) {
    if wanted != KEEP {
        *place = wanted;
    }
}

/// setresuid(2).
pub fn sys_setresuid(ctx: &Context, uid: u32, euid: u32, suid: u32) -> Result<usize> {
    change_users(ctx, |c| {
        let (privileged, current) = (c.may(Capability::SetUid), [c.uid, c.euid, c.suid]);
        for wanted in [uid, euid, suid] {
            admissible(privileged, wanted, current)?;
        }
        assign(&mut c.uid, uid);
        assign(&mut c.euid, euid);
        assign(&mut c.suid, suid);
        c.fsuid = c.euid;
        Ok(())
    })
}

/// setresgid(2).
pub fn sys_setresgid(ctx: &Context, gid: u32, egid: u32, sgid: u32) -> Result<usize> {
    change(ctx, |c| {
        let (privileged, current) = (c.may(Capability::SetGid), [c.gid, c.egid, c.sgid]);
        for wanted in [gid, egid, sgid] {
            admissible(privileged, wanted, current)?;
        }
        assign(&mut c.gid, gid);
        assign(&mut c.egid, egid);
        assign(&mut c.sgid, sgid);
        c.fsgid = c.egid;
        Ok(())
    })
}

/// setreuid(2).
pub fn sys_setreuid(ctx: &Context, uid: u32, euid: u32) -> Result<usize> {
    change_users(ctx, |c| {
        let privileged = c.may(Capability::SetUid);
        admissible(privileged, uid, [c.uid, c.euid, c.euid])?;
        admissible(privileged, euid, [c.uid, c.euid, c.suid])?;
        let old = c.uid;
        assign(&mut c.uid, uid);
        assign(&mut c.euid, euid);
        if uid != KEEP || (euid != KEEP && euid != old) {
            c.suid = c.euid;
        }
        c.fsuid = c.euid;
        Ok(())
    })
}

/// setregid(2).
pub fn sys_setregid(ctx: &Context, gid: u32, egid: u32) -> Result<usize> {
    change(ctx, |c| {
        let privileged = c.may(Capability::SetGid);
        admissible(privileged, gid, [c.gid, c.egid, c.egid])?;
        admissible(privileged, egid, [c.gid, c.egid, c.sgid])?;
        let old = c.gid;
        assign(&mut c.gid, gid);
        assign(&mut c.egid, egid);
        if gid != KEEP || (egid != KEEP && egid != old) {
            c.sgid = c.egid;
        }
        c.fsgid = c.egid;
        Ok(())
    })
}

fn write_three(places: [Addr; 3], values: [u32; 3]) -> Result<usize> {
    for (place, value) in places.into_iter().zip(values) {
        user_space::write_u32(place, value)?;
    }
    Ok(0)
}

/// getresuid(2).
pub fn sys_getresuid(ctx: &Context, uid: Addr, euid: Addr, suid: Addr) -> Result<usize> {
    let c = credentials(ctx);
    write_three([uid, euid, suid], [c.uid, c.euid, c.suid])
}

/// getresgid(2).
pub fn sys_getresgid(ctx: &Context, gid: Addr, egid: Addr, sgid: Addr) -> Result<usize> {
    let c = credentials(ctx);
    write_three([gid, egid, sgid], [c.gid, c.egid, c.sgid])
}

/// setfsuid(2): always gives the previous id.
pub fn sys_setfsuid(ctx: &Context, uid: u32) -> Result<usize> {
    let old = credentials(ctx);
    if old.may(Capability::SetUid) || [old.uid, old.euid, old.suid, old.fsuid].contains(&uid) {
        change(ctx, |c| {
            assign(&mut c.fsuid, uid);
            c.follow_file_id(&old);
            Ok(())
        })?;
    }
    Ok(old.fsuid as usize)
}

/// setfsgid(2): always gives the previous id.
pub fn sys_setfsgid(ctx: &Context, gid: u32) -> Result<usize> {
    let old = credentials(ctx);
    if old.may(Capability::SetGid) || [old.gid, old.egid, old.sgid, old.fsgid].contains(&gid) {
        change(ctx, |c| {
            assign(&mut c.fsgid, gid);
            Ok(())
        })?;
    }
    Ok(old.fsgid as usize)
}

/// getgroups(2).
pub fn sys_getgroups(ctx: &Context, size: i32, list: Addr) -> Result<usize> {
    let c = credentials(ctx);
    if size < 0 || (size != 0 && (size as usize) < c.groups.len()) {
        return Err(Errno::EINVAL);
    }
    if size != 0 {
        for (index, group) in c.groups.iter().enumerate() {
            user_space::write_u32(Addr(list.0 + index as u64 * 4), *group)?;
        }
    }
    Ok(c.groups.len())
}

/// setgroups(2).
pub fn sys_setgroups(ctx: &Context, size: usize, list: Addr) -> Result<usize> {
    if size > 65536 {
        return Err(Errno::EINVAL);
    }
    let mut groups = Vec::with_capacity(size);
    for index in 0..size as u64 {
        groups.push(user_space::read_u32(Addr(list.0 + index * 4))?);
    }
    groups.sort_unstable();
    change(ctx, |c| {
        if !c.may(Capability::SetGid) {
            return Err(Errno::EPERM);
        }
        c.groups = groups;
        Ok(())
    })
}
