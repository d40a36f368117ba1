//! pipe, pipe2.

use alloc::sync::Arc;

use linux_raw_sys::general as raw;

use crate::errno::{Errno, Result};
use crate::file::{File, OpenFlags};
use crate::ipc::pipe::PipeFile;
use crate::process::Context;
use crate::user_space::{self, Addr};

/// pipe(2).
pub fn sys_pipe(ctx: &Context, at: Addr) -> Result<usize> {
    sys_pipe2(ctx, at, 0)
}

/// pipe2(2).
pub fn sys_pipe2(ctx: &Context, at: Addr, flags: u32) -> Result<usize> {
    if flags & !(raw::O_CLOEXEC | raw::O_NONBLOCK | raw::O_DIRECT) != 0 {
        return Err(Errno::EINVAL);
    }
    let close_on_exec = flags & raw::O_CLOEXEC != 0;
    let (reader, writer) = PipeFile::pair(OpenFlags::from_bits_retain(flags & !raw::O_CLOEXEC));
    install(ctx, at, [reader, writer], close_on_exec)
}

/// F_GETPIPE_SZ and F_SETPIPE_SZ of fcntl(2); `EBADF` for what is no pipe.
pub(super) fn fcntl(ctx: &Context, file: &Arc<dyn File>, command: u32, argument: u64) -> Result<usize> {
    let pipe = file.as_any().downcast_ref::<PipeFile>().ok_or(Errno::EBADF)?.pipe();
    if command == raw::F_GETPIPE_SZ {
        return Ok(pipe.capacity());
    }
    let privileged = ctx.process().credentials.read().euid == 0;
    pipe.set_capacity(argument as u32 as usize, privileged)
}

/// Two descriptors for a pair of files, their numbers written to `at`; both or none.
pub(super) fn install(
    ctx: &Context,
    at: Addr,
    ends: [Arc<dyn File>; 2],
    close_on_exec: bool,
) -> Result<usize> {
    let files = ctx.process().files();
    let [first, second] = ends;
    let first = files.add(first, close_on_exec)?;
    let second = files.add(second, close_on_exec).inspect_err(|_| drop(files.remove(first)))?;
    let written = user_space::write(at, &[first.0, second.0]);
    if written.is_err() {
        drop((files.remove(first), files.remove(second)));
    }
    written.map(|()| 0)
}
