//! pidfd_open, pidfd_send_signal, pidfd_getfd.

use alloc::sync::Arc;

use linux_raw_sys::general as raw;

use super::signal::{check_permission, read_info};
use crate::errno::{Errno, Result};
use crate::file::File;
use crate::ipc::pidfd::PidFile;
use crate::process::{Context, Fd, find_process};
use crate::signal::{Signal, SignalInfo, send_to_process};
use crate::user_space::Addr;

/// pidfd_open(2).
pub fn sys_pidfd_open(ctx: &Context, pid: i32, flags: u32) -> Result<usize> {
    if flags & !raw::O_NONBLOCK != 0 || pid <= 0 {
        return Err(Errno::EINVAL);
    }
    let process = find_process(pid as u32).ok_or(Errno::ESRCH)?;
    Ok(ctx.process().files().add(PidFile::new(&process, flags != 0), true)?.0 as usize)
}

/// The process that a pidfd stands for, or `EBADF`.
fn with_pidfd<T>(ctx: &Context, fd: Fd, act: impl FnOnce(&PidFile) -> Result<T>) -> Result<T> {
    let file: Arc<dyn File> = ctx.process().file(fd)?;
    act(file.as_any().downcast_ref::<PidFile>().ok_or(Errno::EBADF)?)
}

/// pidfd_send_signal(2).
pub fn sys_pidfd_send_signal(ctx: &Context, fd: Fd, number: u32, info: Addr, flags: u32) -> Result<usize> {
    const SI_USER: i32 = 0;
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    with_pidfd(ctx, fd, |pidfd| {
        let target = pidfd.process()?;
        if number == 0 {
            return check_permission(ctx, &target).map(|()| 0);
        }
        let process = ctx.process();
        let info = if info.is_null() {
            let uid = process.credentials.read().uid;
            SignalInfo::from_process(Signal::new(number)?, SI_USER, process.pid, uid)
        } else {
            read_info(ctx, number, info, target.pid)?
        };
        check_permission(ctx, &target)?;
        send_to_process(&target, info).map(|()| 0)
    })
}

/// pidfd_getfd(2).
pub fn sys_pidfd_getfd(ctx: &Context, fd: Fd, number: Fd, flags: u32) -> Result<usize> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let target = with_pidfd(ctx, fd, PidFile::process)?;
    check_permission(ctx, &target)?;
    let file = target.files().get(number)?;
    Ok(ctx.process().files().add(file, true)?.0 as usize)
}
