//! Errors of system calls.

use casemate_platform::host::{HostError, TransferError};
use casemate_platform::pages::PageError;
use casemate_platform::user::Fault;
use linux_raw_sys::errno;

/// A Linux errno, positive; or one of the kernel-internal restart codes, which never reach the program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

/// What a call gives.
pub type Result<T, E = Errno> = core::result::Result<T, E>;

macro_rules! errnos {
    ($($name:ident)*) => {
        #[allow(missing_docs)]
        impl Errno {
            $(pub const $name: Errno = Errno(errno::$name as i32);)*

            /// The symbolic name, as strace prints it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Errno::$name => stringify!($name),)*
                    Errno::ERESTARTSYS => "ERESTARTSYS",
                    Errno::ERESTARTNOINTR => "ERESTARTNOINTR",
                    Errno::ERESTARTNOHAND => "ERESTARTNOHAND",
                    Errno::ERESTART_RESTARTBLOCK => "ERESTART_RESTARTBLOCK",
                    _ => "E?",
                }
            }
        }
    };
}

errnos! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV
    ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG
    ENOLCK ENOSYS ENOTEMPTY ELOOP ELIBBAD ENODATA ETIME EPROTO EBADMSG EOVERFLOW ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT
    EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH
    ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS
    ESTALE EDQUOT ECANCELED EOWNERDEAD ENOTRECOVERABLE
}

/// The kernel's internal restart codes (include/linux/errno.h); the signal code turns them into a restart or `EINTR`.
impl Errno {
    /// Restart unless a handler without SA_RESTART runs.
    pub const ERESTARTSYS: Errno = Errno(512);
    /// Always restart.
    pub const ERESTARTNOINTR: Errno = Errno(513);
    /// Restart only when no handler runs.
    pub const ERESTARTNOHAND: Errno = Errno(514);
    /// As ERESTARTNOHAND, by restart_syscall(2) with the time left.
    pub const ERESTART_RESTARTBLOCK: Errno = Errno(516);
}

impl core::fmt::Debug for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

impl From<HostError> for Errno {
    fn from(error: HostError) -> Errno {
        // A host call ends early only for a wake-up: whoever waits looks again or is restarted.
        if error == HostError::INTERRUPTED { Errno::ERESTARTSYS } else { Errno(error.0) }
    }
}

impl From<Fault> for Errno {
    fn from(_: Fault) -> Errno {
        Errno::EFAULT
    }
}

impl From<TransferError> for Errno {
    fn from(error: TransferError) -> Errno {
        match error {
            TransferError::Host(error) => error.into(),
            TransferError::Fault => Errno::EFAULT,
        }
    }
}

impl From<PageError> for Errno {
    fn from(error: PageError) -> Errno {
        match error {
            PageError::BadRange => Errno::EINVAL,
            PageError::OutOfMemory => Errno::ENOMEM,
        }
    }
}
