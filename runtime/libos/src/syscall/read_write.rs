//! read, write, pread, pwrite, readv, writev, close.

use alloc::sync::Arc;

use crate::errno::{Errno, Result};
use crate::file::{File, Whence};
use crate::fs::notify;
use crate::io::{Sink, Source, read_segments};
use crate::process::{Context, Fd};
use crate::user_space::Addr;

fn readable(ctx: &Context, fd: Fd) -> Result<Arc<dyn File>> {
    let file = ctx.process().file(fd)?;
    if file.status().get().readable() { Ok(file) } else { Err(Errno::EBADF) }
}

fn writable(ctx: &Context, fd: Fd) -> Result<Arc<dyn File>> {
    let file = ctx.process().file(fd)?;
    if file.status().get().writable() { Ok(file) } else { Err(Errno::EBADF) }
}

/// A file for a call with an offset. That it has positions at all is asked before what it was opened for: `ESPIPE`.
pub fn with_positions(ctx: &Context, fd: Fd, write: bool) -> Result<Arc<dyn File>> {
    let file = ctx.process().file(fd)?;
    let flags = file.status().get();
    let allowed = if write { flags.writable() } else { flags.readable() };
    match allowed {
        true => Ok(file),
        false if file.seek(0, Whence::Current) == Err(Errno::ESPIPE) => Err(Errno::ESPIPE),
        false => Err(Errno::EBADF),
    }
}

/// A read and its news for those who watch the file.
pub(super) fn read(file: &dyn File, sink: &mut Sink, offset: Option<u64>) -> Result<usize> {
    let count = match offset {
        Some(offset) => file.read_at(sink, offset)?,
        None => file.read(sink)?,
    };
    if count > 0 {
        notify::accessed(file);
    }
    Ok(count)
}

/// A write and its news for those who watch the file.
pub(super) fn write(file: &dyn File, source: &mut Source, offset: Option<u64>) -> Result<usize> {
    let count = match offset {
        Some(offset) => file.write_at(source, offset)?,
        None => file.write(source)?,
    };
    if count > 0 {
        notify::modified(file);
    }
    Ok(count)
}

/// read(2).
pub fn sys_read(ctx: &Context, fd: Fd, at: Addr, length: usize) -> Result<usize> {
    read(&*readable(ctx, fd)?, &mut Sink::user(at, length), None)
}

/// write(2).
pub fn sys_write(ctx: &Context, fd: Fd, at: Addr, length: usize) -> Result<usize> {
    write(&*writable(ctx, fd)?, &mut Source::user(at, length), None)
}

/// pread64(2).
pub fn sys_pread64(ctx: &Context, fd: Fd, at: Addr, length: usize, offset: i64) -> Result<usize> {
    let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    read(&*with_positions(ctx, fd, false)?, &mut Sink::user(at, length), Some(offset))
}

/// pwrite64(2).
pub fn sys_pwrite64(ctx: &Context, fd: Fd, at: Addr, length: usize, offset: i64) -> Result<usize> {
    let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    write(&*with_positions(ctx, fd, true)?, &mut Source::user(at, length), Some(offset))
}

/// readv(2).
pub fn sys_readv(ctx: &Context, fd: Fd, vector: Addr, count: usize) -> Result<usize> {
    let file = readable(ctx, fd)?;
    read(&*file, &mut Sink::segments(&read_segments(vector, count)?), None)
}

/// writev(2).
pub fn sys_writev(ctx: &Context, fd: Fd, vector: Addr, count: usize) -> Result<usize> {
    let file = writable(ctx, fd)?;
    let segments = read_segments(vector, count)?;
    let mut source = Source::segments(&segments);
    let mut outcome = Ok(());
    // A host write takes one contiguous run; the rest follows as long as the file takes everything.
    while source.remaining() > 0 {
        let before = source.remaining();
        match file.write(&mut source) {
            Ok(count) if count > 0 && source.remaining() < before => {}
            Ok(_) => break,
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    let moved = source.result(outcome)?;
    if moved > 0 {
        notify::modified(&*file);
    }
    Ok(moved)
}

/// close(2).
pub fn sys_close(ctx: &Context, fd: Fd) -> Result<usize> {
    let file = ctx.process().remove_file(fd)?;
    file.closing(ctx.process());
    Ok(0)
}
