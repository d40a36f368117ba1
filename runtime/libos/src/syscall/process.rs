//! clone, fork, vfork, exit, exit_group, wait4, waitid.

use core::sync::atomic::Ordering::*;

use linux_raw_sys::general as raw;

use crate::errno::{Errno, Result};
use crate::ipc::pidfd::PidFile;
use crate::process::exit::{begin_exit, end_thread};
use crate::process::{
    CloneArguments, Context, ExitState, Fd, WaitOptions, Waited, Which, clone, wait_for_child,
};
use crate::user_space::{self, Addr};

const SIGNAL_MASK: u64 = 0xff;

fn arguments(flags: u64, stack_pointer: u64, parent_tid: Addr, child_tid: Addr, tls: u64) -> CloneArguments {
    CloneArguments {
        flags: crate::process::CloneFlags::from_bits_retain(flags & !SIGNAL_MASK),
        exit_signal: (flags & SIGNAL_MASK) as u32,
        stack_pointer,
        tls,
        pidfd: parent_tid,
        parent_tid,
        child_tid,
    }
}

/// clone(2), x86-64 argument order.
pub fn sys_clone(
    ctx: &Context,
    flags: u64,
    stack: Addr,
    parent_tid: Addr,
    child_tid: Addr,
    tls: u64,
) -> Result<usize> {
    clone(ctx, &arguments(flags, stack.0, parent_tid, child_tid, tls))
}

/// clone3(2).
pub fn sys_clone3(ctx: &Context, at: Addr, size: usize) -> Result<usize> {
    const MINIMUM: usize = 64;
    if size < MINIMUM {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    // flags pidfd child_tid parent_tid exit_signal stack stack_size tls set_tid set_tid_size cgroup
    let mut words = [0u64; 11];
    for (index, word) in words.iter_mut().enumerate().take((size / 8).min(11)) {
        *word = user_space::read_u64(Addr(at.0 + index as u64 * 8))?;
    }
    for extra in 11..size / 8 {
        if user_space::read_u64(Addr(at.0 + extra as u64 * 8))? != 0 {
            return Err(Errno::E2BIG);
        }
    }
    let [flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, _, set_tid_size, _] =
        words;
    if flags & SIGNAL_MASK != 0 || exit_signal > 64 || set_tid_size != 0 || (stack == 0) != (stack_size == 0)
    {
        return Err(Errno::EINVAL);
    }
    let mut request =
        arguments(flags, stack.wrapping_add(stack_size), Addr(parent_tid), Addr(child_tid), tls);
    request.exit_signal = exit_signal as u32;
    request.pidfd = Addr(pidfd);
    clone(ctx, &request)
}

/// fork(2).
pub fn sys_fork(ctx: &Context) -> Result<usize> {
    clone(ctx, &arguments(raw::SIGCHLD as u64, 0, Addr(0), Addr(0), 0))
}

/// vfork(2).
pub fn sys_vfork(ctx: &Context) -> Result<usize> {
    let flags = raw::CLONE_VM | raw::CLONE_VFORK | raw::SIGCHLD;
    clone(ctx, &arguments(flags as u64, 0, Addr(0), Addr(0), 0))
}

/// exit(2): the calling thread only.
pub fn sys_exit(ctx: &Context, status: i32) -> Result<usize> {
    end_thread(ctx, status as u8);
    Ok(0)
}

/// exit_group(2).
pub fn sys_exit_group(ctx: &Context, status: i32) -> Result<usize> {
    begin_exit(ctx.process(), ExitState::Exited(status as u8));
    Ok(0)
}

/// The status word of wait4(2).
fn status_word(state: ExitState) -> u32 {
    match state {
        ExitState::Exited(status) => (status as u32) << 8,
        ExitState::Killed(signal) => signal as u32,
    }
}

/// wait4(2). Resource usage of children is zero.
pub fn sys_wait4(ctx: &Context, pid: i32, status: Addr, options: u32, usage: Addr) -> Result<usize> {
    if options
        & !(raw::WNOHANG | raw::WUNTRACED | raw::WCONTINUED | raw::__WALL | raw::__WCLONE | raw::__WNOTHREAD)
        != 0
    {
        return Err(Errno::EINVAL);
    }
    let which = match pid {
        -1 => Which::Any,
        0 => Which::Group(ctx.process().group.load(Relaxed)),
        i32::MIN => return Err(Errno::ESRCH),
        pid if pid < 0 => Which::Group(-pid as u32),
        pid => Which::Pid(pid as u32),
    };
    let options = WaitOptions { no_hang: options & raw::WNOHANG != 0, keep: false, exited: true };
    let Some(waited) = wait_for_child(ctx, which, options)? else { return Ok(0) };
    if !status.is_null() {
        user_space::write_u32(status, status_word(waited.state))?;
    }
    if !usage.is_null() {
        user_space::zero(usage, 144)?;
    }
    Ok(waited.pid as usize)
}

/// waitid(2).
pub fn sys_waitid(ctx: &Context, kind: u32, id: u32, info: Addr, options: u32, usage: Addr) -> Result<usize> {
    let known = raw::WNOHANG
        | raw::WEXITED
        | raw::WSTOPPED
        | raw::WCONTINUED
        | raw::WNOWAIT
        | raw::__WALL
        | raw::__WCLONE;
    if options & !known != 0 || options & (raw::WEXITED | raw::WSTOPPED | raw::WCONTINUED) == 0 {
        return Err(Errno::EINVAL);
    }
    let mut no_hang = None;
    let which = match (kind, id) {
        (raw::P_ALL, _) => Which::Any,
        (raw::P_PID, 0) => return Err(Errno::EINVAL),
        (raw::P_PIDFD, fd) => Which::Pid(pidfd_target(ctx, Fd(fd as i32), &mut no_hang)?),
        (raw::P_PID, pid) => Which::Pid(pid),
        (raw::P_PGID, 0) => Which::Group(ctx.process().group.load(Relaxed)),
        (raw::P_PGID, group) => Which::Group(group),
        _ => return Err(Errno::EINVAL),
    };
    let busy = no_hang.filter(|_| options & raw::WNOHANG == 0);
    let options = WaitOptions {
        no_hang: options & raw::WNOHANG != 0 || busy.is_some(),
        keep: options & raw::WNOWAIT != 0,
        exited: options & raw::WEXITED != 0,
    };
    let waited = wait_for_child(ctx, which, options)?;
    if let (None, Some(error)) = (&waited, busy) {
        return Err(error);
    }
    if !usage.is_null() {
        user_space::zero(usage, 144)?;
    }
    if !info.is_null() {
        user_space::write(info, &child_info(waited))?;
    }
    Ok(0)
}

/// The process of a pidfd; a descriptor with O_NONBLOCK says `EAGAIN` where the call would wait.
fn pidfd_target(ctx: &Context, fd: Fd, busy: &mut Option<Errno>) -> Result<u32> {
    if fd.0 < 0 {
        return Err(Errno::EINVAL);
    }
    let file = ctx.process().file(fd)?;
    let pidfd = file.as_any().downcast_ref::<PidFile>().ok_or(Errno::EBADF)?;
    *busy = file.status().nonblocking().then_some(Errno::EAGAIN);
    Ok(pidfd.pid)
}

/// siginfo_t of a child that ended: signo errno code pid uid status; all zero when there is none.
fn child_info(waited: Option<Waited>) -> [u32; 32] {
    let mut words = [0; 32];
    if let Some(waited) = waited {
        let (code, status) = match waited.state {
            ExitState::Exited(status) => (raw::CLD_EXITED, status as u32),
            ExitState::Killed(signal) => (raw::CLD_KILLED, signal as u32),
        };
        words[0] = raw::SIGCHLD;
        words[2] = code;
        words[4] = waited.pid;
        words[5] = waited.uid;
        words[6] = status;
    }
    words
}
