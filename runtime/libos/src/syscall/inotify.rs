//! inotify_init, inotify_init1, inotify_add_watch, inotify_rm_watch.

use linux_raw_sys::general as raw;

use super::PathAddr;
use crate::errno::{Errno, Result};
use crate::fs::access::{self, READ};
use crate::fs::notify::{Add, Inotify, Mask};
use crate::fs::resolve::{self, WORKING_DIRECTORY, credentials};
use crate::process::{Context, Fd};
use crate::stat::FileType;
use crate::user_space::read_path;

/// inotify_init(2).
pub fn sys_inotify_init(ctx: &Context) -> Result<usize> {
    sys_inotify_init1(ctx, 0)
}

/// inotify_init1(2).
pub fn sys_inotify_init1(ctx: &Context, flags: u32) -> Result<usize> {
    if flags & !(raw::IN_CLOEXEC | raw::IN_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let instance = Inotify::new(flags & raw::IN_NONBLOCK != 0)?;
    ctx.process().files().add(instance, flags & raw::IN_CLOEXEC != 0).map(|fd| fd.0 as usize)
}

/// inotify_add_watch(2).
pub fn sys_inotify_add_watch(ctx: &Context, fd: Fd, path: PathAddr, mask: u32) -> Result<usize> {
    let mask = Mask::from_bits(mask).filter(|mask| !mask.is_empty()).ok_or(Errno::EINVAL)?;
    let file = ctx.process().file(fd)?;
    let add = match (mask.contains(Mask::ADD_TO_WATCH), mask.contains(Mask::CREATE_WATCH)) {
        (true, true) => return Err(Errno::EINVAL),
        (true, false) => Add::Extend,
        (false, true) => Add::New,
        (false, false) => Add::Replace,
    };
    let instance = file.as_any().downcast_ref::<Inotify>().ok_or(Errno::EINVAL)?;
    let follow = !mask.contains(Mask::DO_NOT_FOLLOW);
    let place = resolve::at(ctx, WORKING_DIRECTORY, &read_path(path.0)?, follow)?;
    if mask.contains(Mask::ONLY_DIRECTORY) && place.kind() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    access::check(&place, &credentials(ctx), READ)?;
    instance.watch(place.inode(), mask & (Mask::EVENTS | Mask::MANNERS), add).map(|watch| watch as usize)
}

/// inotify_rm_watch(2).
pub fn sys_inotify_rm_watch(ctx: &Context, fd: Fd, watch: i32) -> Result<usize> {
    let file = ctx.process().file(fd)?;
    file.as_any().downcast_ref::<Inotify>().ok_or(Errno::EINVAL)?.end(watch)?;
    Ok(0)
}
