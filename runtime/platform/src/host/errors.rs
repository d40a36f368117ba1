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

/// What a transfer or an attribute of an open descriptor may fail with; a standard stream may be a socket.
const READ: &[u32] = &[
    EINTR,
    EAGAIN,
    EIO,
    EINVAL,
    EISDIR,
    ENOMEM,
    ESPIPE,
    EBADF,
    ENXIO,
    ECONNRESET,
    ECONNREFUSED,
    ENOTCONN,
    ETIMEDOUT,
    EOVERFLOW,
];
const WRITE: &[u32] = &[
    EINTR,
    EAGAIN,
    EIO,
    EINVAL,
    ENOSPC,
    EDQUOT,
    EFBIG,
    ENOMEM,
    ESPIPE,
    EPIPE,
    EBADF,
    ENXIO,
    EPERM,
    ECONNRESET,
    ENOTCONN,
    EDESTADDRREQ,
    ENOBUFS,
    EMSGSIZE,
    ETIMEDOUT,
];
const STAT: &[u32] = &[EBADF, EIO, ENOMEM, EOVERFLOW];
const SEEK: &[u32] = &[EBADF, EINVAL, ESPIPE, EOVERFLOW, ENXIO];
const TRUNCATE: &[u32] = &[EINTR, EBADF, EINVAL, EFBIG, EIO, EPERM, ETXTBSY, ENOSPC, EDQUOT, EROFS];
const SYNC: &[u32] = &[EINTR, EBADF, EINVAL, EIO, ENOSPC, EDQUOT, EROFS];
const LIST: &[u32] = &[EBADF, EINVAL, EIO, ENOENT, ENOTDIR, ENOMEM];
/// What a path may fail with, whatever is done with it.
const PATH: &[u32] = &[
    ENOENT,
    ENOTDIR,
    EACCES,
    EPERM,
    ELOOP,
    ENAMETOOLONG,
    ENOMEM,
    EMFILE,
    ENFILE,
    EIO,
    EINVAL,
    EXDEV,
    ENODEV,
    ENXIO,
    EOVERFLOW,
    EAGAIN,
    ENOSYS,
    EOPNOTSUPP,
];
/// What opening or changing may fail with besides.
const CHANGE: &[u32] =
    &[EEXIST, EISDIR, EROFS, ENOSPC, EDQUOT, ENOTEMPTY, EMLINK, EBUSY, ETXTBSY, EINTR, EFBIG];
/// What every call on a socket may fail with: an error of the network may show at any of them.
const SOCKET: &[u32] = &[
    EINTR,
    EAGAIN,
    EINVAL,
    EBADF,
    EIO,
    ENOMEM,
    ENOBUFS,
    EACCES,
    EPERM,
    EADDRNOTAVAIL,
    EAFNOSUPPORT,
    ECONNABORTED,
    ECONNREFUSED,
    ECONNRESET,
    EHOSTDOWN,
    EHOSTUNREACH,
    ENETDOWN,
    ENETUNREACH,
    ENOTCONN,
    EOPNOTSUPP,
    EPROTO,
    ETIMEDOUT,
    ENODEV,
];
const SOCKET_OPEN: &[u32] = &[EMFILE, ENFILE, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EPROTOTYPE, ENOPROTOOPT];
const SOCKET_CONNECT: &[u32] = &[EADDRINUSE, EALREADY, EINPROGRESS, EISCONN, EPROTOTYPE];
const SOCKET_SEND: &[u32] = &[EDESTADDRREQ, EISCONN, EMSGSIZE, EPIPE, EALREADY, EINPROGRESS, EADDRINUSE];
const SOCKET_OPTION: &[u32] = &[ENOPROTOOPT, EDOM, EADDRINUSE];
/// Why there is no quote: the service cannot be reached, does not answer, or refuses (`EREMOTEIO`).
const QUOTE: &[u32] = &[EINTR, ENOENT, EACCES, ECONNREFUSED, ETIMEDOUT, EREMOTEIO, EIO];

/// Errors that each call may return, in two lists.
fn allowed(call: HostCall) -> [&'static [u32]; 2] {
    use HostCall::*;
    match call {
        Log | Exit | Yield | SignalsTake | ClockRead | Unpark | ThreadInterrupt | FdClose | ImageClose
        | AnswerAwait => [&[], &[]],
        ThreadCreate => [&[EAGAIN, ENOMEM], &[]],
        Park => [&[EINTR, ETIMEDOUT], &[]],
        PageMap | PageProtect | PageUnmap | PageDiscard | PageMove | PageConvert | PageRemove => {
            [&[ENOMEM], &[]]
        }
        ImageOpen | PathOpen | PathChange => [PATH, CHANGE],
        PathStat | PathReadLink | VolumeStat => [PATH, &[]],
        FdRead | FdReadAt => [READ, &[]],
        FdWrite | FdWriteAt => [WRITE, &[]],
        FdStat => [STAT, &[]],
        FdSeek => [SEEK, &[]],
        FdTruncate => [TRUNCATE, &[]],
        FdSync => [SYNC, &[]],
        FdReadDirectory => [LIST, &[]],
        FdPoll | EpollWait => [&[EINTR, ENOMEM, EINVAL], &[]],
        FdIoctl => [&[ENOTTY, EINVAL, EINTR, EIO, EPERM], &[]],
        FdSetNonblocking => [&[EPERM], &[]],
        EpollOpen => [&[EMFILE, ENFILE, ENOMEM], &[]],
        EpollControl => [&[EPERM, EEXIST, ENOENT, ENOMEM, ENOSPC, EINVAL, ELOOP], &[]],
        SocketOpen | SocketAccept => [SOCKET, SOCKET_OPEN],
        SocketBind | SocketConnect | SocketListen => [SOCKET, SOCKET_CONNECT],
        SocketSend => [SOCKET, SOCKET_SEND],
        SocketReceive | SocketName | SocketShutdown => [SOCKET, &[]],
        NetworkRead => [SOCKET, SOCKET_OPEN],
        SocketGetOption | SocketSetOption => [SOCKET, SOCKET_OPTION],
        QuoteTarget | QuoteMake => [QUOTE, &[]],
    }
}

/// Whether a call may honestly fail with this errno (positive).
pub fn may_fail_with(call: HostCall, errno: i32) -> bool {
    let known = |list: &[u32]| u32::try_from(errno).is_ok_and(|errno| list.contains(&errno));
    allowed(call).into_iter().any(known)
}

/// Turns a negative result into an error of the call's own set; anything else is `EIO`.
pub(super) fn admit(call: HostCall, result: i64) -> HostError {
    match result.checked_neg().and_then(|errno| i32::try_from(errno).ok()) {
        Some(errno) if may_fail_with(call, errno) => HostError(errno),
        _ => HostError::IO,
    }
}
