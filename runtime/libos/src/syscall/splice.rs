//! splice, tee, vmsplice.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::read_write;
use crate::errno::{Errno, Result};
use crate::file::{File, OpenFlags};
use crate::io::{Sink, Source, read_segments};
use crate::ipc::pipe::{Pipe, PipeFile};
use crate::process::{Context, Fd};
use crate::user_space::{self, Addr};

/// SPLICE_F_NONBLOCK, and all flags.
const NONBLOCK: u32 = 2;
const ALL_FLAGS: u32 = 0xf;
/// Most bytes moved at once.
const STEP: usize = 65_536;

fn open(ctx: &Context, fd: Fd, writes: bool) -> Result<Arc<dyn File>> {
    let file = ctx.process().file(fd)?;
    let flags = file.status().get();
    let usable = if writes { flags.writable() } else { flags.readable() };
    if usable { Ok(file) } else { Err(Errno::EBADF) }
}

fn as_pipe(file: &Arc<dyn File>) -> Option<&Pipe> {
    file.as_any().downcast_ref::<PipeFile>().map(PipeFile::pipe)
}

fn may_not_wait(file: &Arc<dyn File>, flags: u32) -> bool {
    flags & NONBLOCK != 0 || file.status().nonblocking()
}

/// Offset argument of the side that is no pipe.
struct Offset {
    at: Addr,
    value: u64,
}

impl Offset {
    fn read(at: Addr) -> Result<Option<Offset>> {
        if at.is_null() {
            return Ok(None);
        }
        let value = user_space::read_u64(at)?;
        if value > i64::MAX as u64 { Err(Errno::EINVAL) } else { Ok(Some(Offset { at, value })) }
    }

    fn advance(&self, count: usize) -> Result<()> {
        user_space::write_u64(self.at, self.value + count as u64)
    }
}

/// splice(2).
pub fn sys_splice(
    ctx: &Context,
    input: Fd,
    in_offset: Addr,
    out: Fd,
    out_offset: Addr,
    length: usize,
    flags: u32,
) -> Result<usize> {
    if length == 0 {
        return Ok(0);
    }
    if flags & !ALL_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let (input, out) = (open(ctx, input, false)?, open(ctx, out, true)?);
    let (from, to) = (as_pipe(&input), as_pipe(&out));
    if from.is_some() && !in_offset.is_null() || to.is_some() && !out_offset.is_null() {
        return Err(Errno::ESPIPE);
    }
    let length = length.min(STEP);
    match (from, to) {
        (Some(from), Some(to)) if core::ptr::eq(from, to) => Err(Errno::EINVAL),
        (Some(from), Some(to)) => {
            let nonblocking = may_not_wait(&input, flags) || may_not_wait(&out, flags);
            let room = to.room(nonblocking)?;
            from.hand_on(length.min(room), nonblocking, false, &mut |bytes| {
                to.write(&mut Source::kernel(bytes), nonblocking, false)
            })
        }
        (Some(from), None) => {
            if out.status().get().contains(OpenFlags::APPEND) {
                return Err(Errno::EINVAL);
            }
            let offset = Offset::read(out_offset)?;
            let moved = from.hand_on(length, may_not_wait(&input, flags), false, &mut |bytes| {
                let source = &mut Source::kernel(bytes);
                read_write::write(&*out, source, offset.as_ref().map(|offset| offset.value))
            })?;
            offset.map_or(Ok(()), |offset| offset.advance(moved))?;
            Ok(moved)
        }
        (None, Some(to)) => {
            let offset = Offset::read(in_offset)?;
            let room = to.room(may_not_wait(&out, flags))?;
            let mut bytes = alloc::vec![0; length.min(room)];
            let sink = &mut Sink::kernel(&mut bytes);
            let count = read_write::read(&*input, sink, offset.as_ref().map(|offset| offset.value))?;
            let moved = to.write(&mut Source::kernel(&bytes[..count]), false, false)?;
            offset.map_or(Ok(()), |offset| offset.advance(moved))?;
            Ok(moved)
        }
        (None, None) => Err(Errno::EINVAL),
    }
}

/// tee(2).
pub fn sys_tee(ctx: &Context, input: Fd, out: Fd, length: usize, flags: u32) -> Result<usize> {
    if flags & !ALL_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    if length == 0 {
        return Ok(0);
    }
    let (input, out) = (open(ctx, input, false)?, open(ctx, out, true)?);
    let (Some(from), Some(to)) = (as_pipe(&input), as_pipe(&out)) else { return Err(Errno::EINVAL) };
    if core::ptr::eq(from, to) {
        return Err(Errno::EINVAL);
    }
    let nonblocking = may_not_wait(&input, flags) || may_not_wait(&out, flags);
    let room = to.room(nonblocking)?;
    from.hand_on(length.min(STEP).min(room), nonblocking, true, &mut |bytes| {
        to.write(&mut Source::kernel(bytes), nonblocking, false)
    })
}

/// vmsplice(2): the program's pages are copied.
pub fn sys_vmsplice(ctx: &Context, fd: Fd, vector: Addr, count: usize, flags: u32) -> Result<usize> {
    if flags & !ALL_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let file = ctx.process().file(fd)?;
    let pipe = as_pipe(&file).ok_or(Errno::EBADF)?;
    let segments: Vec<_> = read_segments(vector, count)?;
    if file.status().get().writable() {
        pipe.write(&mut Source::segments(&segments), may_not_wait(&file, flags), false)
    } else {
        pipe.read(&mut Sink::segments(&segments), may_not_wait(&file, flags))
    }
}
