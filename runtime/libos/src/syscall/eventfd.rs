//! eventfd, eventfd2.

use linux_raw_sys::general as raw;

use crate::errno::{Errno, Result};
use crate::ipc::eventfd::EventFile;
use crate::process::Context;

/// eventfd(2), the call without flags.
pub fn sys_eventfd(ctx: &Context, count: u32) -> Result<usize> {
    sys_eventfd2(ctx, count, 0)
}

/// eventfd2(2).
pub fn sys_eventfd2(ctx: &Context, count: u32, flags: u32) -> Result<usize> {
    if flags & !(raw::EFD_SEMAPHORE | raw::O_CLOEXEC | raw::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let (semaphore, nonblocking) = (flags & raw::EFD_SEMAPHORE != 0, flags & raw::O_NONBLOCK != 0);
    let file = EventFile::new(count as u64, semaphore, nonblocking);
    ctx.process().files().add(file, flags & raw::O_CLOEXEC != 0).map(|fd| fd.0 as usize)
}
