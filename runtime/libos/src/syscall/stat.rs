//! stat, fstat, lstat, newfstatat, statx.

use zerocopy::{Immutable, IntoBytes};

use crate::errno::{Errno, Result};
use crate::fs::mount::split_device;
use crate::fs::resolve;
use crate::process::{Context, Fd};
use crate::stat::{Stat, Timestamp};
use crate::user_space::{self, Addr, read_path};

use super::PathAddr;

const HERE: Fd = Fd(-100);
const NO_FOLLOW: u32 = 0x100;
const NO_AUTOMOUNT: u32 = 0x800;
const EMPTY_PATH: u32 = 0x1000;
const SYNC_TYPES: u32 = 0x6000;

/// struct stat (arch/x86/include/uapi/asm/stat.h).
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
struct RawStat {
    device: u64,
    inode: u64,
    links: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    padding: u32,
    special_device: u64,
    size: i64,
    block_size: i64,
    blocks: i64,
    times: [i64; 6],
    unused: [i64; 3],
}

const _: () = assert!(core::mem::size_of::<RawStat>() == 144);

fn write_stat(at: Addr, stat: &Stat) -> Result<usize> {
    let pair = |time: Timestamp| [time.seconds, i64::from(time.nanoseconds)];
    let ([a, b], [c, d], [e, f]) = (pair(stat.accessed), pair(stat.modified), pair(stat.changed));
    let raw = RawStat {
        device: stat.device,
        inode: stat.inode,
        links: u64::from(stat.links),
        mode: stat.mode(),
        uid: stat.uid,
        gid: stat.gid,
        padding: 0,
        special_device: stat.special_device,
        size: stat.size as i64,
        block_size: i64::from(stat.block_size),
        blocks: stat.blocks as i64,
        times: [a, b, c, d, e, f],
        unused: [0; 3],
    };
    user_space::write(at, &raw)?;
    Ok(0)
}

/// The status of what a descriptor and path name together.
fn look(ctx: &Context, directory: Fd, path: PathAddr, flags: u32) -> Result<Stat> {
    let path =
        if flags & EMPTY_PATH != 0 && path.0.is_null() { Default::default() } else { read_path(path.0)? };
    if path.is_empty() && flags & EMPTY_PATH != 0 && directory != HERE {
        return ctx.process().file(directory)?.stat();
    }
    if path.is_empty() && flags & EMPTY_PATH != 0 {
        return ctx.process().fs.cwd().stat();
    }
    resolve::at(ctx, directory, &path, flags & NO_FOLLOW == 0)?.stat()
}

/// stat(2).
pub fn sys_stat(ctx: &Context, path: PathAddr, at: Addr) -> Result<usize> {
    write_stat(at, &look(ctx, HERE, path, 0)?)
}

/// lstat(2).
pub fn sys_lstat(ctx: &Context, path: PathAddr, at: Addr) -> Result<usize> {
    write_stat(at, &look(ctx, HERE, path, NO_FOLLOW)?)
}

/// fstat(2).
pub fn sys_fstat(ctx: &Context, fd: Fd, at: Addr) -> Result<usize> {
    write_stat(at, &ctx.process().file(fd)?.stat()?)
}

/// newfstatat(2).
pub fn sys_newfstatat(ctx: &Context, directory: Fd, path: PathAddr, at: Addr, flags: u32) -> Result<usize> {
    if flags & !(NO_FOLLOW | NO_AUTOMOUNT | EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    write_stat(at, &look(ctx, directory, path, flags)?)
}

/// struct statx (include/uapi/linux/stat.h).
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
struct RawStatx {
    mask: u32,
    block_size: u32,
    attributes: u64,
    links: u32,
    uid: u32,
    gid: u32,
    mode: u16,
    padding: u16,
    inode: u64,
    size: u64,
    blocks: u64,
    attributes_mask: u64,
    /// atime btime ctime mtime: seconds, then ns in the low half.
    times: [[i64; 2]; 4],
    special_major: u32,
    special_minor: u32,
    device_major: u32,
    device_minor: u32,
    mount_id: u64,
    unused: [u64; 13],
}

const _: () = assert!(core::mem::size_of::<RawStatx>() == 256);

const BASIC_STATS: u32 = 0x7ff;
const BIRTH_TIME: u32 = 0x800;

/// statx(2): the basic fields and, where known, the time of creation, whatever was asked for.
pub fn sys_statx(
    ctx: &Context,
    directory: Fd,
    path: PathAddr,
    flags: u32,
    mask: u32,
    at: Addr,
) -> Result<usize> {
    const RESERVED: u32 = 1 << 31;
    if flags & !(NO_FOLLOW | NO_AUTOMOUNT | EMPTY_PATH | SYNC_TYPES) != 0
        || flags & SYNC_TYPES == SYNC_TYPES
        || mask & RESERVED != 0
    {
        return Err(Errno::EINVAL);
    }
    let stat = look(ctx, directory, path, flags)?;
    let pair = |time: Timestamp| [time.seconds, i64::from(time.nanoseconds)];
    let (special_major, special_minor) = split_device(stat.special_device);
    let (device_major, device_minor) = split_device(stat.device);
    let raw = RawStatx {
        mask: BASIC_STATS | if stat.created.is_some() { BIRTH_TIME } else { 0 },
        block_size: stat.block_size,
        attributes: 0,
        links: stat.links,
        uid: stat.uid,
        gid: stat.gid,
        mode: stat.mode() as u16,
        padding: 0,
        inode: stat.inode,
        size: stat.size,
        blocks: stat.blocks,
        attributes_mask: 0,
        times: [
            pair(stat.accessed),
            pair(stat.created.unwrap_or_default()),
            pair(stat.changed),
            pair(stat.modified),
        ],
        special_major,
        special_minor,
        device_major,
        device_minor,
        mount_id: 0,
        unused: [0; 13],
    };
    user_space::write(at, &raw)?;
    Ok(0)
}
