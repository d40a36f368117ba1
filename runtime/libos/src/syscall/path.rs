//! access, readlink, getcwd, chdir, fchdir.

use crate::errno::{Errno, Result};
use crate::fs::{Location, access, resolve};
use crate::process::{Context, Fd};
use crate::stat::FileType;
use crate::user_space::{self, Addr, read_path};

use super::PathAddr;

const HERE: Fd = Fd(-100);
const NO_FOLLOW: u32 = 0x100;
const EFFECTIVE_IDS: u32 = 0x200;
const EMPTY_PATH: u32 = 0x1000;

/// access(2).
pub fn sys_access(ctx: &Context, path: PathAddr, mode: u32) -> Result<usize> {
    sys_faccessat2(ctx, HERE, path, mode, 0)
}

/// faccessat(2), without flags.
pub fn sys_faccessat(ctx: &Context, directory: Fd, path: PathAddr, mode: u32) -> Result<usize> {
    sys_faccessat2(ctx, directory, path, mode, 0)
}

/// faccessat2(2).
pub fn sys_faccessat2(ctx: &Context, directory: Fd, path: PathAddr, mode: u32, flags: u32) -> Result<usize> {
    if mode & !7 != 0 || flags & !(NO_FOLLOW | EFFECTIVE_IDS | EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = read_path(path.0)?;
    let found = if path.is_empty() && flags & EMPTY_PATH != 0 && directory != HERE {
        let file = ctx.process().file(directory)?;
        match file.location() {
            Some(location) => location.clone(),
            // A pipe or socket: its owner is the caller.
            None => return if mode & access::EXECUTE == 0 { Ok(0) } else { Err(Errno::EACCES) },
        }
    } else {
        resolve::at(ctx, directory, &path, flags & NO_FOLLOW == 0)?
    };
    if mode & access::WRITE != 0
        && matches!(found.kind(), FileType::Regular | FileType::Directory | FileType::Symlink)
    {
        found.check_writable()?;
    }
    if mode != 0 {
        let ids = ctx.process().credentials.read().clone();
        let asked = if flags & EFFECTIVE_IDS != 0 { ids } else { ids.real().into() };
        access::check(&found, &asked, mode)?;
    }
    Ok(0)
}

/// readlink(2).
pub fn sys_readlink(ctx: &Context, path: PathAddr, at: Addr, size: usize) -> Result<usize> {
    sys_readlinkat(ctx, HERE, path, at, size)
}

/// readlinkat(2).
pub fn sys_readlinkat(ctx: &Context, directory: Fd, path: PathAddr, at: Addr, size: usize) -> Result<usize> {
    if size as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    let path = read_path(path.0)?;
    let found = if path.is_empty() && directory != HERE {
        let file = ctx.process().file(directory)?;
        let location = file.location().cloned().ok_or(Errno::ENOENT)?;
        if location.kind() == FileType::Symlink { location } else { return Err(Errno::ENOENT) }
    } else {
        resolve::at(ctx, directory, &path, false)?
    };
    let target = found.inode().read_link()?;
    let length = target.len().min(size as i32 as usize);
    user_space::copy_out(at, &target[..length])?;
    Ok(length)
}

/// getcwd(2).
pub fn sys_getcwd(ctx: &Context, at: Addr, size: usize) -> Result<usize> {
    let view = ctx.process().fs.clone();
    let cwd = view.cwd();
    if !cwd.is_attached() {
        return Err(Errno::ENOENT);
    }
    let mut text = match cwd.path_from(&view.root()) {
        Some(path) => path,
        None => [b"(unreachable)", &cwd.path_text()[..]].concat(),
    };
    text.push(0);
    if text.len() > size {
        return Err(Errno::ERANGE);
    }
    user_space::copy_out(at, &text)?;
    Ok(text.len())
}

fn enter(ctx: &Context, place: Location) -> Result<usize> {
    if place.kind() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    access::check(&place, &ctx.process().credentials.read().clone(), access::EXECUTE)?;
    ctx.process().fs.set_cwd(place);
    Ok(0)
}

/// chdir(2).
pub fn sys_chdir(ctx: &Context, path: PathAddr) -> Result<usize> {
    enter(ctx, resolve::at(ctx, HERE, &read_path(path.0)?, true)?)
}

/// fchdir(2).
pub fn sys_fchdir(ctx: &Context, fd: Fd) -> Result<usize> {
    let file = ctx.process().file(fd)?;
    enter(ctx, file.location().cloned().ok_or(Errno::ENOTDIR)?)
}
