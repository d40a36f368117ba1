//! process_vm_readv and process_vm_writev, among processes that share their memory.

use alloc::sync::Arc;
use alloc::vec;

use crate::errno::{Errno, Result};
use crate::io::{Segment, read_segments};
use crate::process::{Context, find_process};
use crate::user_space::{self, Addr};

/// Most bytes copied at a time.
const CHUNK: usize = 64 * 1024;

/// process_vm_readv(2).
pub fn sys_process_vm_readv(
    ctx: &Context,
    pid: i32,
    local: Addr,
    local_count: usize,
    remote: Addr,
    remote_count: usize,
    flags: u64,
) -> Result<usize> {
    check(ctx, pid, flags)?;
    copy(&read_segments(remote, remote_count)?, &read_segments(local, local_count)?)
}

/// process_vm_writev(2).
pub fn sys_process_vm_writev(
    ctx: &Context,
    pid: i32,
    local: Addr,
    local_count: usize,
    remote: Addr,
    remote_count: usize,
    flags: u64,
) -> Result<usize> {
    check(ctx, pid, flags)?;
    copy(&read_segments(local, local_count)?, &read_segments(remote, remote_count)?)
}

fn check(ctx: &Context, pid: i32, flags: u64) -> Result<()> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let target = find_process(pid as u32).ok_or(Errno::ESRCH)?;
    let same = Arc::ptr_eq(&target.address_space(), &ctx.process().address_space());
    if same { Ok(()) } else { Err(Errno::EPERM) }
}

/// Copies from one list of ranges to another until one of them ends; what was copied before a fault counts.
fn copy(from: &[Segment], to: &[Segment]) -> Result<usize> {
    let mut buffer = vec![0; CHUNK];
    let (mut from, mut to) = (from.iter().copied(), to.iter().copied());
    let (mut source, mut target) = (from.next(), to.next());
    let mut done = 0;
    while let (Some(now), Some(place)) = (&mut source, &mut target) {
        let length = now.length.min(place.length).min(CHUNK);
        let bytes = &mut buffer[..length];
        let moved = user_space::copy_in(bytes, Addr(now.address))
            .and_then(|()| user_space::copy_out(Addr(place.address), bytes));
        match moved {
            Ok(()) => done += length,
            Err(error) => return if done == 0 { Err(error) } else { Ok(done) },
        }
        for segment in [&mut *now, &mut *place] {
            segment.address += length as u64;
            segment.length -= length;
        }
        let (used, full) = (now.length == 0, place.length == 0);
        if used {
            source = from.next();
        }
        if full {
            target = to.next();
        }
    }
    Ok(done)
}
