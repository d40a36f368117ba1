//! flock.

use alloc::sync::Arc;

use linux_raw_sys::general as raw;

use crate::errno::{Errno, Result};
use crate::file::OpenFlags;
use crate::process::{Context, Fd};

/// flock(2).
pub fn sys_flock(ctx: &Context, fd: Fd, operation: u32) -> Result<usize> {
    let wait = operation & raw::LOCK_NB == 0;
    let exclusive = match operation & !raw::LOCK_NB {
        raw::LOCK_SH => Some(false),
        raw::LOCK_EX => Some(true),
        raw::LOCK_UN => None,
        // Mandatory locks are gone since Linux 5.15; asking for one has no effect.
        other if other & raw::LOCK_MAND != 0 => return Ok(0),
        _ => return Err(Errno::EINVAL),
    };
    let file = ctx.process().file(fd)?;
    if file.status().get().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    let locks = file.locks().ok_or(Errno::EINVAL)?;
    let description = Arc::as_ptr(&file).cast::<()>() as usize;
    match exclusive {
        Some(exclusive) => locks.lock_whole(description, exclusive, wait)?,
        None => locks.unlock_whole(description),
    }
    Ok(0)
}
