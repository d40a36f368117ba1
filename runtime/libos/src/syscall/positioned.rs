//! preadv and pwritev, and their second edition with flags.

use alloc::sync::Arc;

use super::read_write::{self, with_positions};
use crate::errno::{Errno, Result};
use crate::file::File;
use crate::fs::notify;
use crate::fs::tree::RegularFile;
use crate::io::{Sink, Source, read_segments};
use crate::process::{Context, Fd};
use crate::user_space::Addr;

/// RWF_* of preadv2(2): RWF_HIPRI, RWF_DSYNC, RWF_SYNC and RWF_NOWAIT change nothing for files in memory.
const HARMLESS: u32 = 1 | 2 | 4 | 8;
/// RWF_APPEND.
const APPEND: u32 = 16;

/// The offset from its halves: the low one is the whole of it on this machine. -1 is the file's own position.
fn offset(low: i64, own: bool) -> Result<Option<u64>> {
    match low {
        -1 if own => Ok(None),
        low => u64::try_from(low).map(Some).map_err(|_| Errno::EINVAL),
    }
}

fn file(ctx: &Context, fd: Fd, write: bool, offset: Option<u64>) -> Result<Arc<dyn File>> {
    if offset.is_some() {
        return with_positions(ctx, fd, write);
    }
    let file = ctx.process().file(fd)?;
    let flags = file.status().get();
    let allowed = if write { flags.writable() } else { flags.readable() };
    if allowed { Ok(file) } else { Err(Errno::EBADF) }
}

fn read(ctx: &Context, fd: Fd, vector: Addr, count: usize, offset: Option<u64>) -> Result<usize> {
    let file = file(ctx, fd, false, offset)?;
    let segments = read_segments(vector, count)?;
    let mut sink = Sink::segments(&segments);
    read_write::read(&*file, &mut sink, offset)
}

fn write(
    ctx: &Context,
    fd: Fd,
    vector: Addr,
    count: usize,
    offset: Option<u64>,
    append: bool,
) -> Result<usize> {
    let file = file(ctx, fd, true, offset)?;
    let segments = read_segments(vector, count)?;
    let mut source = Source::segments(&segments);
    if let (true, Some(file)) = (append, file.as_any().downcast_ref::<RegularFile>()) {
        let count = file.append(&mut source, offset.is_none())?;
        if count > 0 {
            notify::modified(file);
        }
        return Ok(count);
    }
    read_write::write(&*file, &mut source, offset)
}

/// preadv(2).
pub fn sys_preadv(ctx: &Context, fd: Fd, vector: Addr, count: usize, low: i64) -> Result<usize> {
    read(ctx, fd, vector, count, offset(low, false)?)
}

/// pwritev(2).
pub fn sys_pwritev(ctx: &Context, fd: Fd, vector: Addr, count: usize, low: i64) -> Result<usize> {
    write(ctx, fd, vector, count, offset(low, false)?, false)
}

/// preadv2(2).
pub fn sys_preadv2(
    ctx: &Context,
    fd: Fd,
    vector: Addr,
    count: usize,
    low: i64,
    _high: u64,
    flags: u32,
) -> Result<usize> {
    if flags & !HARMLESS != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    read(ctx, fd, vector, count, offset(low, true)?)
}

/// pwritev2(2).
pub fn sys_pwritev2(
    ctx: &Context,
    fd: Fd,
    vector: Addr,
    count: usize,
    low: i64,
    _high: u64,
    flags: u32,
) -> Result<usize> {
    if flags & !(HARMLESS | APPEND) != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    write(ctx, fd, vector, count, offset(low, true)?, flags & APPEND != 0)
}
