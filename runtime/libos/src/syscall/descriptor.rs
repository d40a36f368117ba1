//! dup, dup2, dup3, fcntl, ioctl.

use crate::errno::{Errno, Result};
use crate::file::OpenFlags;
use crate::fs::lock;
use crate::process::{Context, Fd, Resource};
use crate::stat::FileType;
use crate::user_space::{self, Addr};
use linux_raw_sys::general as raw;

use super::memfd;

/// dup(2).
pub fn sys_dup(ctx: &Context, fd: Fd) -> Result<usize> {
    let files = ctx.process().files();
    Ok(files.add(files.get(fd)?, false)?.0 as usize)
}

/// dup2(2).
pub fn sys_dup2(ctx: &Context, old: Fd, new: Fd) -> Result<usize> {
    if old == new {
        ctx.process().file(old)?;
        return Ok(new.0 as usize);
    }
    replace(ctx, old, new, false)
}

/// dup3(2).
pub fn sys_dup3(ctx: &Context, old: Fd, new: Fd, flags: u32) -> Result<usize> {
    if old == new || flags & !raw::O_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    replace(ctx, old, new, flags != 0)
}

fn replace(ctx: &Context, old: Fd, new: Fd, close_on_exec: bool) -> Result<usize> {
    let files = ctx.process().files();
    if let Some(gone) = files.replace(new, files.get(old)?, close_on_exec)? {
        gone.closing(ctx.process());
    }
    Ok(new.0 as usize)
}

/// fcntl(2).
pub fn sys_fcntl(ctx: &Context, fd: Fd, command: u32, argument: u64) -> Result<usize> {
    let files = ctx.process().files();
    let file = files.get(fd)?;
    let path_only = file.status().get().contains(OpenFlags::PATH);
    match command {
        raw::F_DUPFD | raw::F_DUPFD_CLOEXEC => {
            if argument >= ctx.process().limits.get(Resource::OpenFiles).0 {
                return Err(Errno::EINVAL);
            }
            Ok(files.add_from(argument as usize, file, command == raw::F_DUPFD_CLOEXEC)?.0 as usize)
        }
        raw::F_GETFD => Ok(files.close_on_exec(fd)? as usize),
        raw::F_SETFD => files.set_close_on_exec(fd, argument & 1 != 0).map(|()| 0),
        raw::F_GETFL => Ok(file.status().get().bits() as usize),
        _ if path_only => Err(Errno::EBADF),
        raw::F_SETFL => {
            file.status().set(argument as u32);
            Ok(0)
        }
        raw::F_GETLK
        | raw::F_SETLK
        | raw::F_SETLKW
        | raw::F_OFD_GETLK
        | raw::F_OFD_SETLK
        | raw::F_OFD_SETLKW => lock::fcntl(ctx, &file, command, Addr(argument)),
        memfd::F_ADD_SEALS | memfd::F_GET_SEALS => memfd::fcntl(&file, command, argument),
        raw::F_GETPIPE_SZ | raw::F_SETPIPE_SZ => super::pipe::fcntl(ctx, &file, command, argument),
        raw::F_GETOWN | raw::F_GETSIG | raw::F_GETLEASE => Ok(if command == raw::F_GETLEASE { 2 } else { 0 }),
        raw::F_SETOWN | raw::F_SETSIG => Ok(0),
        // dnotify: notices can be taken away, of which there are none, but not asked for.
        raw::F_NOTIFY if argument as u32 & !DN_MULTISHOT == 0 => Ok(0),
        raw::F_NOTIFY if file.stat()?.kind != FileType::Directory => Err(Errno::ENOTDIR),
        _ => Err(Errno::EINVAL),
    }
}

/// Of F_NOTIFY: not only once.
const DN_MULTISHOT: u32 = 0x8000_0000;
const FIONCLEX: u32 = 0x5450;
const FIOCLEX: u32 = 0x5451;
const FIONBIO: u32 = 0x5421;

/// ioctl(2).
pub fn sys_ioctl(ctx: &Context, fd: Fd, request: u32, argument: u64) -> Result<usize> {
    let files = ctx.process().files();
    let file = files.get(fd)?;
    if file.status().get().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    match request {
        FIOCLEX | FIONCLEX => files.set_close_on_exec(fd, request == FIOCLEX).map(|()| 0),
        FIONBIO => {
            let on = user_space::read_u32(Addr(argument))? != 0;
            let flags = file.status().get();
            let changed = if on { flags | OpenFlags::NONBLOCK } else { flags - OpenFlags::NONBLOCK };
            file.status().set(changed.bits());
            Ok(0)
        }
        _ => file.ioctl(request, argument),
    }
}
