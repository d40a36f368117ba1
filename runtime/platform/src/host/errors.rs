//! Errors from the host: only what a call may honestly return gets through.

use casemate_abi::HostCall;
use linux_raw_sys::errno::*;

/// An errno (positive) that the host gave and the platform layer admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostError(pub i32);

impl HostError {
    /// Stands for every answer that an honest host does not give.
    pub const IO: HostError = HostError(EIO as i32);
    /// The call was interrupted by a wake-up.
    pub const INTERRUPTED: HostError = HostError(EINTR as i32);
    /// The call would block.
    pub const AGAIN: HostError = HostError(EAGAIN as i32);
    /// The time-out passed.
    pub const TIMED_OUT: HostError = HostError(ETIMEDOUT as i32);
}

const FILE: &[u32] = &[
    EINTR, EAGAIN, EIO, EINVAL, ENOSPC, EDQUOT, EFBIG, EISDIR, ENOMEM, ESPIPE, EPIPE, EBADF, ENXIO, EPERM,
    ECONNRESET, EOVERFLOW,
];
const PATH: &[u32] = &[
    ENOENT,
    ENOTDIR,
    EACCES,
    EPERM,
    EEXIST,
    EISDIR,
    ELOOP,
    ENAMETOOLONG,
    EROFS,
    ENOSPC,
    EDQUOT,
    ENOMEM,
    EMFILE,
    ENFILE,
    EIO,
    EINVAL,
    ENOTEMPTY,
    EXDEV,
    EMLINK,
    EBUSY,
    ETXTBSY,
    ENODEV,
    ENXIO,
    EOVERFLOW,
    EINTR,
    EAGAIN,
    ENOSYS,
    EOPNOTSUPP,
];
const SOCKET: &[u32] = &[
    EINTR,
    EAGAIN,
    EACCES,
    EPERM,
    EADDRINUSE,
    EADDRNOTAVAIL,
    EAFNOSUPPORT,
    EALREADY,
    ECONNABORTED,
    ECONNREFUSED,
    ECONNRESET,
    EDESTADDRREQ,
    EHOSTDOWN,
    EHOSTUNREACH,
    EINPROGRESS,
    EINVAL,
    EISCONN,
    EMFILE,
    EMSGSIZE,
    ENETDOWN,
    ENETUNREACH,
    ENFILE,
    ENOBUFS,
    ENOMEM,
    ENOPROTOOPT,
    ENOTCONN,
    EOPNOTSUPP,
    EPIPE,
    EPROTO,
    EPROTONOSUPPORT,
    ETIMEDOUT,
    ESOCKTNOSUPPORT,
    EDOM,
    EIO,
    EBADF,
    ENODEV,
    EPROTOTYPE,
];

/// Errors that each call may return.
fn allowed(call: HostCall) -> &'static [u32] {
    use HostCall::*;
    match call {
        Log | Exit | Yield | SignalsTake | ClockRead | Unpark | ThreadInterrupt => &[],
        ThreadCreate => &[EAGAIN, ENOMEM],
        Park => &[EINTR, ETIMEDOUT],
        PageMap | PageProtect | PageUnmap | PageDiscard | PageMove => &[ENOMEM],
        ImageOpen | ImageClose | PathOpen | PathStat | PathReadLink | PathChange | VolumeStat => PATH,
        FdRead | FdWrite | FdReadAt | FdWriteAt | FdTruncate | FdSync | FdSeek | FdReadDirectory
        | FdClose | FdStat => FILE,
        FdPoll | EpollWait => &[EINTR, ENOMEM, EINVAL],
        FdIoctl => &[ENOTTY, EINVAL, EINTR, EIO, EPERM],
        FdSetNonblocking => &[EPERM],
        EpollOpen => &[EMFILE, ENFILE, ENOMEM],
        EpollControl => &[EPERM, EEXIST, ENOENT, ENOMEM, ENOSPC, EINVAL, ELOOP],
        SocketOpen | SocketBind | SocketListen | SocketAccept | SocketConnect | SocketSend
        | SocketReceive | SocketGetOption | SocketSetOption | SocketName | SocketShutdown => SOCKET,
    }
}

/// Turns a negative result into an error of the call's own set; anything else is `EIO`.
pub(super) fn admit(call: HostCall, result: i64) -> HostError {
    match result.checked_neg().and_then(|errno| u32::try_from(errno).ok()) {
        Some(errno) if allowed(call).contains(&errno) => HostError(errno as i32),
        _ => HostError::IO,
    }
}
