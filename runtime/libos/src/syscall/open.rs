//! open, openat, openat2, creat, close_range, umask.

use alloc::sync::Arc;

use crate::errno::{Errno, Result};
use crate::file::{File, OpenFlags};
use crate::fs::open::{How, open, open_found};
use crate::fs::resolve::{self, base, credentials};
use crate::fs::walk::{Resolve, Walk};
use crate::process::{Context, Fd};
use crate::user_space::{self, Addr, read_path};

use super::PathAddr;

/// AT_FDCWD.
const HERE: Fd = Fd(-100);

fn open_at(ctx: &Context, directory: Fd, path: PathAddr, how: How, resolve: Resolve) -> Result<usize> {
    let path = read_path(path.0)?;
    // Nothing is created or cut for a descriptor that is not to be had.
    let files = ctx.process().files();
    let place = files.reserve()?;
    let file = if resolve.is_empty() && how.opens_what_is_there() {
        let found = resolve::at(ctx, directory, &path, !how.flags.contains(OpenFlags::NO_FOLLOW))?;
        open_found(&found, how, &credentials(ctx))?
    } else {
        walk_and_open(ctx, directory, &path, how, resolve)?
    };
    Ok(place.fill(file, how.flags.contains(OpenFlags::CLOSE_ON_EXEC)).0 as usize)
}

fn walk_and_open(
    ctx: &Context,
    directory: Fd,
    path: &[u8],
    how: How,
    resolve: Resolve,
) -> Result<Arc<dyn File>> {
    let view = ctx.process().fs.clone();
    let credentials = credentials(ctx);
    let root = view.root();
    let from_root = path.first() == Some(&b'/') && !resolve.contains(Resolve::IN_ROOT);
    let base = if from_root { None } else { Some(base(ctx, directory)?) };
    let start = base.as_ref().unwrap_or(&root);
    let mut walk = Walk::limited(&root, start, &credentials, resolve);
    let how = How { permissions: how.permissions & !view.umask(), ..how };
    open(&mut walk, start, path, how)
}

fn how(flags: u32, mode: u32) -> How {
    How {
        flags: OpenFlags::from_bits_retain(flags | OpenFlags::LARGE_FILE.bits()),
        permissions: mode & 0o7777,
    }
}

/// open(2).
pub fn sys_open(ctx: &Context, path: PathAddr, flags: u32, mode: u32) -> Result<usize> {
    open_at(ctx, HERE, path, how(flags, mode), Resolve::empty())
}

/// openat(2).
pub fn sys_openat(ctx: &Context, directory: Fd, path: PathAddr, flags: u32, mode: u32) -> Result<usize> {
    open_at(ctx, directory, path, how(flags, mode), Resolve::empty())
}

/// creat(2).
pub fn sys_creat(ctx: &Context, path: PathAddr, mode: u32) -> Result<usize> {
    let flags = OpenFlags::CREATE | OpenFlags::WRITE_ONLY | OpenFlags::TRUNCATE;
    open_at(ctx, HERE, path, how(flags.bits(), mode), Resolve::empty())
}

/// openat2(2).
pub fn sys_openat2(ctx: &Context, directory: Fd, path: PathAddr, at: Addr, size: usize) -> Result<usize> {
    if size < 24 {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let [flags, mode, resolve]: [u64; 3] = user_space::read(at)?;
    for extra in 3..size as u64 / 8 {
        if user_space::read_u64(Addr(at.0 + extra * 8))? != 0 {
            return Err(Errno::E2BIG);
        }
    }
    let resolve = Resolve::from_bits(resolve).ok_or(Errno::EINVAL)?;
    if resolve.contains(Resolve::BENEATH | Resolve::IN_ROOT) {
        return Err(Errno::EINVAL);
    }
    let creates = OpenFlags::CREATE.bits() | OpenFlags::TEMPORARY_BIT.bits();
    let known = u64::from(u32::MAX >> 9);
    if flags & !known != 0 || mode & !0o7777 != 0 || (mode != 0 && flags as u32 & creates == 0) {
        return Err(Errno::EINVAL);
    }
    open_at(ctx, directory, path, how(flags as u32, mode as u32), resolve)
}

/// umask(2).
pub fn sys_umask(ctx: &Context, mask: u32) -> Result<usize> {
    Ok(ctx.process().fs.set_umask(mask) as usize)
}

/// close_range(2).
pub fn sys_close_range(ctx: &Context, first: u32, last: u32, flags: u32) -> Result<usize> {
    const UNSHARE: u32 = 2;
    const CLOSE_ON_EXEC: u32 = 4;
    if flags & !(UNSHARE | CLOSE_ON_EXEC) != 0 || first > last {
        return Err(Errno::EINVAL);
    }
    let files = ctx.process().files();
    if flags & CLOSE_ON_EXEC != 0 {
        files.set_close_on_exec_within(first, last);
        return Ok(0);
    }
    let within = |fd: i32| (first..=last).contains(&(fd as u32));
    files.remove_where(|fd, _| within(fd), |file| file.closing(ctx.process()));
    Ok(0)
}
