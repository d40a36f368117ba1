//! Mode, owner and times of files.

use linux_raw_sys::general as raw;

use super::PathAddr;
use crate::errno::{Errno, Result};
use crate::fs::Location;
use crate::fs::access::{self, WRITE};
use crate::fs::inode::AttributeChange;
use crate::fs::resolve::{self, WORKING_DIRECTORY, credentials};
use crate::process::{Capability, Context, Credentials, Fd};
use crate::stat::{FileType, Timestamp};
use crate::user_space::{self, Addr, read_path};

const SET_UID: u32 = 0o4000;
const SET_GID: u32 = 0o2000;
/// Values of tv_nsec (linux/stat.h).
const UTIME_NOW: i64 = (1 << 30) - 1;
const UTIME_OMIT: i64 = (1 << 30) - 2;

/// The place behind a descriptor. O_PATH refers to a file without opening it: `EBADF`. What has no place (a pipe, a socket)
/// cannot be changed: `EPERM`.
fn place_of(ctx: &Context, fd: Fd) -> Result<Location> {
    let file = ctx.process().file(fd)?;
    if file.status().get().contains(crate::file::OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    file.location().cloned().ok_or(Errno::EPERM)
}

/// chmod(2).
pub fn sys_chmod(ctx: &Context, path: PathAddr, mode: u32) -> Result<usize> {
    sys_fchmodat2(ctx, WORKING_DIRECTORY, path, mode, 0)
}

/// fchmodat(2) as the kernel has it, without flags.
pub fn sys_fchmodat(ctx: &Context, dirfd: Fd, path: PathAddr, mode: u32) -> Result<usize> {
    sys_fchmodat2(ctx, dirfd, path, mode, 0)
}

/// fchmodat2(2).
pub fn sys_fchmodat2(ctx: &Context, dirfd: Fd, path: PathAddr, mode: u32, flags: u32) -> Result<usize> {
    if flags & !(raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let place = resolve::at_with(ctx, dirfd, &read_path(path.0)?, flags, true)?;
    change_mode(ctx, &place, mode)
}

/// fchmod(2).
pub fn sys_fchmod(ctx: &Context, fd: Fd, mode: u32) -> Result<usize> {
    change_mode(ctx, &place_of(ctx, fd)?, mode)
}

fn change_mode(ctx: &Context, place: &Location, mode: u32) -> Result<usize> {
    place.check_writable()?;
    let ids = credentials(ctx);
    access::check_owner(place, &ids)?;
    if place.kind() == FileType::Symlink {
        return Err(Errno::EOPNOTSUPP);
    }
    let (_, _, gid) = place.inode().ownership()?;
    let foreign_group = !ids.in_group(gid) && !ids.may(Capability::FileSetId);
    let permissions = mode & 0o7777 & if foreign_group { !SET_GID } else { !0 };
    place.set(&AttributeChange { permissions: Some(permissions), ..Default::default() })?;
    Ok(0)
}

/// chown(2).
pub fn sys_chown(ctx: &Context, path: PathAddr, uid: u32, gid: u32) -> Result<usize> {
    sys_fchownat(ctx, WORKING_DIRECTORY, path, uid, gid, 0)
}

/// lchown(2).
pub fn sys_lchown(ctx: &Context, path: PathAddr, uid: u32, gid: u32) -> Result<usize> {
    sys_fchownat(ctx, WORKING_DIRECTORY, path, uid, gid, raw::AT_SYMLINK_NOFOLLOW)
}

/// fchownat(2).
pub fn sys_fchownat(
    ctx: &Context,
    dirfd: Fd,
    path: PathAddr,
    uid: u32,
    gid: u32,
    flags: u32,
) -> Result<usize> {
    if flags & !(raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let place = resolve::at_with(ctx, dirfd, &read_path(path.0)?, flags, true)?;
    change_owner(ctx, &place, uid, gid)
}

/// fchown(2).
pub fn sys_fchown(ctx: &Context, fd: Fd, uid: u32, gid: u32) -> Result<usize> {
    change_owner(ctx, &place_of(ctx, fd)?, uid, gid)
}

/// `u32::MAX` leaves an id as it is.
fn change_owner(ctx: &Context, place: &Location, uid: u32, gid: u32) -> Result<usize> {
    place.check_writable()?;
    let ids = credentials(ctx);
    let (permissions, old_uid, old_gid) = place.inode().ownership()?;
    let [uid, gid] = [uid, gid].map(|id| (id != u32::MAX).then_some(id));
    check_chown(&ids, old_uid, old_gid, uid, gid)?;
    // Whoever the new owner is did not mean the file to run with the rights of the old one.
    let directory = place.kind() == FileType::Directory;
    let group_executes = permissions & 0o010 != 0;
    let foreign_group = !ids.in_group(old_gid) && !ids.may(Capability::FileSetId);
    let lost =
        if directory { 0 } else { SET_UID | if group_executes || foreign_group { SET_GID } else { 0 } };
    let permissions = (permissions & lost != 0).then_some(permissions & !lost);
    place.set(&AttributeChange { permissions, uid, gid, ..Default::default() })?;
    Ok(0)
}

fn check_chown(
    ids: &Credentials,
    old_uid: u32,
    old_gid: u32,
    uid: Option<u32>,
    gid: Option<u32>,
) -> Result<()> {
    if ids.may(Capability::Chown) {
        return Ok(());
    }
    let owns = ids.fsuid == old_uid;
    let uid_allowed = uid.is_none_or(|uid| owns && uid == old_uid);
    let gid_allowed = gid.is_none_or(|gid| owns && (ids.in_group(gid) || gid == old_gid));
    if uid_allowed && gid_allowed { Ok(()) } else { Err(Errno::EPERM) }
}

/// What becomes of a time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NewTime {
    Now,
    Keep,
    To(Timestamp),
}

/// Access and modification time; `None` is both now, which is allowed to more callers.
type NewTimes = Option<[NewTime; 2]>;

/// From two struct timespec; a bad value is found only once the file is.
fn read_timespecs(at: Addr) -> Result<Result<NewTimes>> {
    if at.is_null() {
        return Ok(Ok(None));
    }
    let words: [i64; 4] = user_space::read(at)?;
    let time = |seconds: i64, nanoseconds: i64| match nanoseconds {
        UTIME_NOW => Ok(NewTime::Now),
        UTIME_OMIT => Ok(NewTime::Keep),
        0..1_000_000_000 => Ok(NewTime::To(Timestamp { seconds, nanoseconds: nanoseconds as u32 })),
        _ => Err(Errno::EINVAL),
    };
    Ok(match (time(words[0], words[1]), time(words[2], words[3])) {
        (Ok(NewTime::Now), Ok(NewTime::Now)) => Ok(None),
        (Ok(accessed), Ok(modified)) => Ok(Some([accessed, modified])),
        (Err(error), _) | (_, Err(error)) => Err(error),
    })
}

/// From two struct timeval.
fn read_timevals(at: Addr) -> Result<NewTimes> {
    if at.is_null() {
        return Ok(None);
    }
    let words: [i64; 4] = user_space::read(at)?;
    let time = |seconds: i64, microseconds: i64| match microseconds {
        0..1_000_000 => Ok(NewTime::To(Timestamp { seconds, nanoseconds: microseconds as u32 * 1000 })),
        _ => Err(Errno::EINVAL),
    };
    Ok(Some([time(words[0], words[1])?, time(words[2], words[3])?]))
}

/// utimensat(2).
pub fn sys_utimensat(ctx: &Context, dirfd: Fd, path: PathAddr, times: Addr, flags: u32) -> Result<usize> {
    let times = read_timespecs(times)?;
    if times == Ok(Some([NewTime::Keep, NewTime::Keep])) {
        // Linux does not even look for the file.
        return Ok(0);
    }
    change_times_at(ctx, dirfd, path, times, flags)
}

/// futimesat(2).
pub fn sys_futimesat(ctx: &Context, dirfd: Fd, path: PathAddr, times: Addr) -> Result<usize> {
    let times = read_timevals(times)?;
    change_times_at(ctx, dirfd, path, Ok(times), 0)
}

/// utimes(2).
pub fn sys_utimes(ctx: &Context, path: PathAddr, times: Addr) -> Result<usize> {
    sys_futimesat(ctx, WORKING_DIRECTORY, path, times)
}

/// utime(2): struct utimbuf.
pub fn sys_utime(ctx: &Context, path: PathAddr, times: Addr) -> Result<usize> {
    let times = if times.is_null() {
        None
    } else {
        let words: [i64; 2] = user_space::read(times)?;
        Some(words.map(|seconds| NewTime::To(Timestamp { seconds, nanoseconds: 0 })))
    };
    change_times_at(ctx, WORKING_DIRECTORY, path, Ok(times), 0)
}

fn change_times_at(
    ctx: &Context,
    dirfd: Fd,
    path: PathAddr,
    times: Result<NewTimes>,
    flags: u32,
) -> Result<usize> {
    let place = if path.0.is_null() && dirfd != WORKING_DIRECTORY {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        place_of(ctx, dirfd)?
    } else {
        if flags & !(raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH) != 0 {
            return Err(Errno::EINVAL);
        }
        resolve::at_with(ctx, dirfd, &read_path(path.0)?, flags, true)?
    };
    change_times(ctx, &place, times?)
}

fn change_times(ctx: &Context, place: &Location, times: NewTimes) -> Result<usize> {
    place.check_writable()?;
    let ids = credentials(ctx);
    let owner = access::check_owner(place, &ids);
    match times {
        // Now, for whoever may write the file; any other time is the owner's to set.
        None => owner.or_else(|_| access::check(place, &ids, WRITE))?,
        Some(_) => owner?,
    }
    let now = Timestamp::now();
    let [accessed, modified] = times.unwrap_or([NewTime::Now; 2]).map(|time| match time {
        NewTime::Now => Some(now),
        NewTime::Keep => None,
        NewTime::To(time) => Some(time),
    });
    place.set(&AttributeChange { accessed, modified, ..Default::default() })?;
    Ok(0)
}
