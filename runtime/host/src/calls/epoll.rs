//! epoll of the host.

use casemate_abi::EpollEntry;
use core::sync::atomic::{AtomicBool, Ordering::*};
use linux_raw_sys::general::*;

use super::{Args, timespec};
use crate::arena::Thread;
use crate::blocking;
use crate::sys::{self, Errno, Reply};

/// Set when the kernel (before 5.11) or the container's seccomp profile has no epoll_pwait2.
static COARSE: AtomicBool = AtomicBool::new(false);

pub(super) fn open() -> Reply {
    // SAFETY: touches no memory.
    unsafe { sys::call(__NR_epoll_create1, [EPOLL_CLOEXEC as u64]) }
}

pub(super) fn control([epoll, operation, fd, events, data, _]: Args) -> Reply {
    let event = epoll_event { events: events as _, data };
    // SAFETY: the kernel reads the local event.
    unsafe { sys::call(__NR_epoll_ctl, [epoll, operation, fd, &raw const event as u64]) }
}

pub(super) fn wait(caller: &Thread, [epoll, buffer, count, timeout_ns, ..]: Args) -> Reply {
    let length = count.checked_mul(size_of::<EpollEntry>() as u64).ok_or(Errno::EINVAL)?;
    if count == 0 || !caller.owns(buffer, length) {
        return Err(Errno::EINVAL);
    }
    let ready = wait_raw(caller, epoll, buffer, count, timeout_ns)?;
    // The kernel's entries are packed, 12 bytes each. Spread them from the last on: entry i moves up by 4·i bytes.
    for index in (0..ready as u64).rev() {
        // SAFETY: both places lie in the range checked above; later entries were moved away already.
        unsafe {
            let packed =
                ((buffer + index * size_of::<epoll_event>() as u64) as *const epoll_event).read_unaligned();
            let entry = EpollEntry { events: packed.events as u32, reserved: 0, data: packed.data };
            ((buffer + index * size_of::<EpollEntry>() as u64) as *mut EpollEntry).write_unaligned(entry);
        }
    }
    Ok(ready)
}

fn wait_raw(caller: &Thread, epoll: u64, buffer: u64, count: u64, timeout_ns: u64) -> Reply {
    if !COARSE.load(Relaxed) {
        let time = timespec(timeout_ns);
        let timeout = time.as_ref().map_or(0, |time| time as *const _ as u64);
        let args = [epoll, buffer, count, timeout, 0, 8];
        // SAFETY: the kernel fills the checked range. A look is no sleep, and no wake-up ends it.
        let reply = unsafe {
            match timeout_ns {
                0 => sys::call(__NR_epoll_pwait2, args),
                _ => blocking::call(caller, __NR_epoll_pwait2, args),
            }
        };
        if !matches!(reply, Err(Errno::ENOSYS | Errno::EPERM)) {
            return reply;
        }
        COARSE.store(true, Relaxed);
    }
    // Rounded up: the program must not wake before its time.
    let timeout_ms =
        if timeout_ns == u64::MAX { -1 } else { timeout_ns.div_ceil(1_000_000).min(i32::MAX as u64) as i64 };
    let args = [epoll, buffer, count, timeout_ms as u64, 0, 8];
    // SAFETY: as above.
    unsafe {
        match timeout_ns {
            0 => sys::call(__NR_epoll_pwait, args),
            _ => blocking::call(caller, __NR_epoll_pwait, args),
        }
    }
}
