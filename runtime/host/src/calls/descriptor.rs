//! Open descriptors: transfers, readiness, attributes.

use casemate_abi::{HostCall, HostStat};
use linux_raw_sys::general::*;
use linux_raw_sys::ioctl::*;

use super::{Args, put, timespec};
use crate::arena::Thread;
use crate::blocking;
use crate::sys::{self, Errno, Reply};

pub(super) fn serve(call: HostCall, caller: &Thread, args: Args) -> Reply {
    use HostCall::*;
    let [fd, a, b, c, ..] = args;
    // SAFETY: all calls below: the kernel checks every address; the enclave names memory of its host buffer.
    unsafe {
        match call {
            FdRead => blocking::call(caller, __NR_read, [fd, a, b]),
            FdWrite => blocking::call(caller, __NR_write, [fd, a, b]),
            FdReadAt => sys::call(__NR_pread64, [fd, a, b, c]),
            FdWriteAt => sys::call(__NR_pwrite64, [fd, a, b, c]),
            FdClose => close(fd),
            FdPoll => poll(caller, fd, a, b),
            FdIoctl => ioctl(caller, fd, a, b, c),
            FdSetNonblocking => set_nonblocking(fd, a != 0),
            FdStat => {
                let stat = sys::stat(fd as i32)?;
                put(caller, a, to_host_stat(&stat))
            }
            FdTruncate => sys::call(__NR_ftruncate, [fd, a]),
            FdSeek => sys::call(__NR_lseek, [fd, a, b]),
            FdSync if a != 0 => sys::call(__NR_fdatasync, [fd]),
            FdSync => sys::call(__NR_fsync, [fd]),
            FdReadDirectory => sys::call(__NR_getdents64, [fd, a, b]),
            _ => Err(Errno::ENOSYS),
        }
    }
}

fn close(fd: u64) -> Reply {
    // The standard streams stay open, so that no other file ever gets their numbers.
    if fd > 2 {
        sys::close(fd as i32);
    }
    Ok(0)
}

fn poll(caller: &Thread, entries: u64, count: u64, timeout_ns: u64) -> Reply {
    let time = timespec(timeout_ns);
    let timeout = time.as_ref().map_or(0, |time| time as *const _ as u64);
    let args = [entries, count, timeout, 0, 8];
    // SAFETY: the kernel writes to the enclave's entries and to the local time-out.
    unsafe {
        // A look is no sleep, and no wake-up ends it.
        if timeout_ns == 0 { sys::call(__NR_ppoll, args) } else { blocking::call(caller, __NR_ppoll, args) }
    }
}

/// What a request's argument is.
enum Argument {
    /// Nothing, or a number.
    Value,
    /// A structure of this size in the host buffer.
    Structure(u64),
}

/// sizeof(struct termios) as the kernel's ioctls have it.
const TERMIOS: u64 = 36;

fn admitted(request: u64) -> Option<Argument> {
    Some(match request as u32 {
        TCGETS | TCSETS | TCSETSW | TCSETSF => Argument::Structure(TERMIOS),
        TIOCGWINSZ | TIOCSWINSZ => Argument::Structure(8),
        FIONREAD | TIOCOUTQ => Argument::Structure(4),
        TCSBRK | TCFLSH | TCXONC => Argument::Value,
        _ => return None,
    })
}

fn ioctl(caller: &Thread, fd: u64, request: u64, argument: u64, length: u64) -> Reply {
    match admitted(request).ok_or(Errno::ENOTTY)? {
        Argument::Structure(size) if length < size || !caller.owns(argument, length) => {
            return Err(Errno::EINVAL);
        }
        _ => {}
    }
    // SAFETY: the structure lies in the caller's host buffer.
    unsafe { sys::call(__NR_ioctl, [fd, request, argument]) }
}

fn set_nonblocking(fd: u64, nonblocking: bool) -> Reply {
    // SAFETY: these requests touch no memory.
    let flags = unsafe { sys::call(__NR_fcntl, [fd, F_GETFL as u64, 0]) }? as u64;
    let before = flags & O_NONBLOCK as u64 != 0;
    if before != nonblocking {
        // SAFETY: as above.
        unsafe { sys::call(__NR_fcntl, [fd, F_SETFL as u64, flags ^ O_NONBLOCK as u64]) }?;
    }
    Ok(before as i64)
}

/// The kernel's file status in the boundary's form.
pub(super) fn to_host_stat(stat: &stat) -> HostStat {
    let ns = |seconds: u64, ns: u64| (seconds as i64).wrapping_mul(1_000_000_000).wrapping_add(ns as i64);
    HostStat {
        dev: stat.st_dev,
        ino: stat.st_ino,
        mode: stat.st_mode,
        nlink: stat.st_nlink.min(u32::MAX as u64) as u32,
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: stat.st_rdev,
        size: stat.st_size as u64,
        blocks: stat.st_blocks as u64,
        atime_ns: ns(stat.st_atime, stat.st_atime_nsec),
        mtime_ns: ns(stat.st_mtime, stat.st_mtime_nsec),
        ctime_ns: ns(stat.st_ctime, stat.st_ctime_nsec),
    }
}
