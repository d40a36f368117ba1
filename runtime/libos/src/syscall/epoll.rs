//! epoll_create, epoll_create1, epoll_ctl, epoll_wait, epoll_pwait, epoll_pwait2.

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general as raw;

use super::signal::{end_loan, lend_mask};
use super::thread::read_timespec;
use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events};
use crate::file::File;
use crate::ipc::epoll::{Epoll, Interest, Manner};
use crate::process::{Context, Fd};
use crate::room;
use crate::user_space::{self, Addr};

/// sizeof(struct epoll_event), which is packed.
const EVENT_SIZE: usize = 12;

/// epoll_create(2).
pub fn sys_epoll_create(ctx: &Context, size: i32) -> Result<usize> {
    if size <= 0 { Err(Errno::EINVAL) } else { sys_epoll_create1(ctx, 0) }
}

/// epoll_create1(2).
pub fn sys_epoll_create1(ctx: &Context, flags: u32) -> Result<usize> {
    if flags & !raw::EPOLL_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    ctx.process().files().add(Epoll::new(), flags != 0).map(|fd| fd.0 as usize)
}

fn as_epoll(file: Arc<dyn File>) -> Result<Arc<Epoll>> {
    let file: Arc<dyn core::any::Any + Send + Sync> = file;
    file.downcast().map_err(|_| Errno::EINVAL)
}

/// epoll_ctl(2).
pub fn sys_epoll_ctl(ctx: &Context, epoll: Fd, operation: u32, fd: Fd, event: Addr) -> Result<usize> {
    let mut bytes = [0; EVENT_SIZE];
    if operation != raw::EPOLL_CTL_DEL {
        user_space::copy_in(&mut bytes, event)?;
    }
    let (events, data) = bytes.split_at(4);
    let events = u32::from_le_bytes(events.try_into().unwrap_or_default());
    let data = u64::from_le_bytes(data.try_into().unwrap_or_default());
    let files = ctx.process().files();
    let (watcher, file) = (files.get(epoll)?, files.get(fd)?);
    if !file.can_epoll() {
        return Err(Errno::EPERM);
    }
    if Arc::ptr_eq(&watcher, &file) {
        return Err(Errno::EINVAL);
    }
    let watcher = as_epoll(watcher)?;
    let mut interest = Interest::new(events, data);
    if interest.manner.contains(Manner::EXCLUSIVE) && operation != raw::EPOLL_CTL_DEL {
        let allowed = (Events::IN | Events::OUT | Events::ALWAYS).bits()
            | (Manner::EDGE | Manner::WAKE_UP | Manner::EXCLUSIVE).bits();
        let nested = file.as_any().is::<Epoll>();
        if operation == raw::EPOLL_CTL_MOD || nested || events & !allowed != 0 {
            return Err(Errno::EINVAL);
        }
    }
    interest.manner -= Manner::WAKE_UP;
    match operation {
        raw::EPOLL_CTL_ADD => room::check().and_then(|()| watcher.add(fd.0, &file, interest))?,
        raw::EPOLL_CTL_MOD => watcher.modify(fd.0, &file, interest)?,
        raw::EPOLL_CTL_DEL => watcher.remove(fd.0, &file)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn wait(ctx: &Context, epoll: Fd, events: Addr, count: i32, deadline: Deadline) -> Result<usize> {
    if count <= 0 || count > i32::MAX / EVENT_SIZE as i32 {
        return Err(Errno::EINVAL);
    }
    casemate_platform::user::check_range(events.0, count as usize * EVENT_SIZE)?;
    let watcher = as_epoll(ctx.process().file(epoll)?)?;
    let reports = watcher.wait(count as usize, deadline)?;
    let mut bytes = Vec::with_capacity(reports.len() * EVENT_SIZE);
    for report in &reports {
        bytes.extend_from_slice(&report.events.bits().to_le_bytes());
        bytes.extend_from_slice(&report.data.to_le_bytes());
    }
    user_space::copy_out(events, &bytes)?;
    Ok(reports.len())
}

fn milliseconds(timeout: i32) -> Deadline {
    u64::try_from(timeout).map_or(Deadline::NEVER, |ms| Deadline::after(ms * 1_000_000))
}

/// epoll_wait(2).
pub fn sys_epoll_wait(ctx: &Context, epoll: Fd, events: Addr, count: i32, timeout: i32) -> Result<usize> {
    wait(ctx, epoll, events, count, milliseconds(timeout))
}

fn wait_with_mask(
    ctx: &Context,
    mask: Addr,
    size: usize,
    wait: impl FnOnce() -> Result<usize>,
) -> Result<usize> {
    if mask.is_null() {
        return wait();
    }
    if size != 8 {
        return Err(Errno::EINVAL);
    }
    lend_mask(ctx.thread, user_space::read_u64(mask)?);
    end_loan(ctx, wait())
}

/// epoll_pwait(2).
pub fn sys_epoll_pwait(
    ctx: &Context,
    epoll: Fd,
    events: Addr,
    count: i32,
    timeout: i32,
    mask: Addr,
    size: usize,
) -> Result<usize> {
    wait_with_mask(ctx, mask, size, || wait(ctx, epoll, events, count, milliseconds(timeout)))
}

/// epoll_pwait2(2).
pub fn sys_epoll_pwait2(
    ctx: &Context,
    epoll: Fd,
    events: Addr,
    count: i32,
    timeout: Addr,
    mask: Addr,
    size: usize,
) -> Result<usize> {
    let deadline = if timeout.is_null() { Deadline::NEVER } else { Deadline::after(read_timespec(timeout)?) };
    wait_with_mask(ctx, mask, size, || wait(ctx, epoll, events, count, deadline))
}
