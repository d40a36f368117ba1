//! Host-call numbers.
//!
//! A call is `fn(number: u64, args: *mut [u64; 6]) -> i64`; `args` is [`HostThread::args`](crate::HostThread). The result
//! is ≥ 0 or a negated Linux errno. *buf* arguments are offsets-free pointers to untrusted memory,
//! always inside the calling thread's own host buffer unless the text says otherwise. Calls marked *(blocks)* end
//! early with `EINTR` when the thread's `wake` word is set.

macro_rules! host_calls {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// The requests that the enclave can make of the host.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u64)]
        pub enum HostCall { $($(#[$doc])* $name = $number,)* }

        impl HostCall {
            /// Every call, in number order.
            pub const ALL: &'static [HostCall] = &[$(HostCall::$name,)*];

            /// The call's name as it stands in `docs/host-calls.md`.
            pub const fn name(self) -> &'static str {
                match self { $(HostCall::$name => stringify!($name),)* }
            }

            /// The call with this number, if there is one.
            pub const fn from_number(number: u64) -> Option<HostCall> {
                match number { $($number => Some(HostCall::$name),)* _ => None }
            }
        }
    };
}

host_calls! {
    /// `(buf, len)`: write a diagnostic line to the loader's standard error.
    Log = 0,
    /// `(status, signal)`: end the process with an exit status (0–255) or, when `signal` ≠ 0, by that signal. Does not return.
    Exit = 1,
    /// `(tcs)`: start a host thread that enters the enclave by this TCS; on `direct`, with [`EntryReason::Thread`](crate::EntryReason)
    /// and this value.
    ThreadCreate = 2,
    /// `(host_thread)`: interrupt a thread: sets its `wake` word, and if it runs user code or sleeps, makes it stop.
    ThreadInterrupt = 3,
    /// `(timeout_ns)` *(blocks)*: sleep until this thread's `wake` word is not 0; `u64::MAX` means no time-out. `ETIMEDOUT` on time-out.
    Park = 4,
    /// `(host_thread)`: set that thread's `wake` word and end its sleep, without disturbing user code.
    Unpark = 5,
    /// `()`: let another thread run.
    Yield = 6,
    /// `(buf)`: take the host signals that arrived, as a `u64` mask (bit n−1 for signal n), clearing it.
    SignalsTake = 7,
    /// `(buf)`: write a [`HostClock`](crate::HostClock).
    ClockRead = 8,

    /// `(address, length, protection, soon)`: put fresh zero pages into the enclave's range, replacing what is there. `soon` = 1: all of
    /// them will be written at once, so they may be brought in together. In an enclave with EDMM: EAUG, and the pages wait for
    /// EACCEPT; without: access alone, whatever is in them.
    PageMap = 9,
    /// `(address, length, protection, page_protection)`: change protection of mapped pages. In an enclave with EDMM
    /// `page_protection` is for EMODPR, and the pages wait for EACCEPT; 0: page tables alone. `protection` is always for those.
    PageProtect = 10,
    /// `(address, length)`: take pages away; the range stays reserved and inaccessible. Not in an enclave with EDMM.
    PageUnmap = 11,
    /// `(address, length)`: drop contents; the pages read as zero again. On `direct` only.
    PageDiscard = 12,

    /// `(buf, path_len, out)`: open a file of the image. buf: 32 bytes fs-verity digest, then the path (absolute in the image, no
    /// NUL). Writes handle, size in bytes, and the address of a read-only shared mapping (0 for an empty file) to the three `u64` at `out`.
    ImageOpen = 13,
    /// `(handle)`: close an image file and unmap it.
    ImageClose = 14,

    /// `(fd, buf, len)` *(blocks)*: read(2).
    FdRead = 15,
    /// `(fd, buf, len)` *(blocks)*: write(2); `SIGPIPE` is never raised in the loader.
    FdWrite = 16,
    /// `(fd, buf, len, offset)`: pread(2).
    FdReadAt = 17,
    /// `(fd, buf, len, offset)`: pwrite(2).
    FdWriteAt = 18,
    /// `(fd)`: close(2). Standard streams stay open in the loader.
    FdClose = 19,
    /// `(buf, count, timeout_ns)` *(blocks)*: ppoll(2) over [`PollEntry`](crate::PollEntry).
    FdPoll = 20,
    /// `(fd, request, buf, len)`: ioctl(2) of the small allowed set: terminal attributes, window size, FIONREAD.
    FdIoctl = 21,
    /// `(fd, nonblocking)`: set or clear O_NONBLOCK; result is the previous state (0 or 1).
    FdSetNonblocking = 22,
    /// `(fd, buf)`: fstat(2) into a [`HostStat`](crate::HostStat).
    FdStat = 23,
    /// `(fd, size)`: ftruncate(2).
    FdTruncate = 24,
    /// `(fd, data_only)`: fsync(2) or fdatasync(2).
    FdSync = 25,
    /// `(fd, buf, len)`: getdents64(2), entries as the kernel writes them.
    FdReadDirectory = 26,

    /// `(volume, buf, path_len, flags, mode)`: open a path in a host directory; never follows a symlink, never leaves the directory. Result: fd.
    PathOpen = 27,
    /// `(volume, buf, path_len, out)`: lstat into a [`HostStat`](crate::HostStat) at `out`.
    PathStat = 28,
    /// `(volume, buf, path_len, out, out_len)`: readlink(2).
    PathReadLink = 29,
    /// `(operation, volume, buf, path_len, second_len_or_a, b)`: see [`PathOperation`]; a second path follows the first in `buf`.
    PathChange = 30,
    /// `(volume, buf)`: statfs(2): block size, blocks, free, available, files, free files as six `u64`.
    VolumeStat = 31,

    /// `(domain, type, protocol)`: socket(2) for AF_INET and AF_INET6 (close-on-exec, blocking). Result: fd.
    SocketOpen = 32,
    /// `(fd, buf, addr_len)`: bind(2).
    SocketBind = 33,
    /// `(fd, backlog)`: listen(2).
    SocketListen = 34,
    /// `(fd, buf, addr_capacity, out_len)` *(blocks)*: accept4(2); writes the address and its length (`u64` at `out_len`). Result: fd.
    SocketAccept = 35,
    /// `(fd, buf, addr_len)` *(blocks)*: connect(2).
    SocketConnect = 36,
    /// `(fd, header, flags)` *(blocks)*: sendmsg(2) as described by a [`MessageHeader`](crate::MessageHeader).
    SocketSend = 37,
    /// `(fd, header, flags)` *(blocks)*: recvmsg(2); updates the header.
    SocketReceive = 38,
    /// `(fd, level, name, buf, capacity)`: getsockopt(2). Result: length.
    SocketGetOption = 39,
    /// `(fd, level, name, buf, len)`: setsockopt(2).
    SocketSetOption = 40,
    /// `(fd, peer, buf, capacity)`: getsockname(2) or, when `peer` = 1, getpeername(2). Result: length.
    SocketName = 41,
    /// `(fd, how)`: shutdown(2).
    SocketShutdown = 42,

    /// `()`: epoll_create1(2). Result: fd.
    EpollOpen = 43,
    /// `(epoll, operation, fd, events, data)`: epoll_ctl(2).
    EpollControl = 44,
    /// `(epoll, buf, count, timeout_ns)` *(blocks)*: epoll_pwait2(2) into [`EpollEntry`](crate::EpollEntry). Result: count.
    EpollWait = 45,

    /// `(from, to, length, protection)`: change the protection of mapped pages at `from`, then move them with their contents to `to`,
    /// replacing what is there in one step; `from` stays reserved and inaccessible. The ranges do not overlap.
    PageMove = 46,

    /// `(fd, offset, whence)`: lseek(2) with SEEK_SET, SEEK_CUR or SEEK_END. Result: the position.
    FdSeek = 47,

    /// `(address, length, page_type)`: EMODT to PT_TCS (1) or PT_TRIM (4); the pages wait for EACCEPT.
    PageConvert = 48,
    /// `(address, length)`: EREMOVE of pages accepted as PT_TRIM.
    PageRemove = 49,

    /// `(buf)` *(blocks)*: write the TARGETINFO (512 bytes) of the machine's quoting enclave. In an enclave only.
    QuoteTarget = 50,
    /// `(buf, capacity)` *(blocks)*: `buf` holds a REPORT (432 bytes) for the quoting enclave; its quote takes the report's place.
    /// Result: length.
    QuoteMake = 51,

    /// `()`: sleep until this thread's [`Request`](crate::Request) is answered, when a server has taken it.
    AnswerAwait = 52,

    /// `(what, buf, capacity)`: the network's interfaces as [`HostInterface`](crate::HostInterface) (`what` = 0) or their addresses as
    /// [`HostAddress`](crate::HostAddress) (1), as many as fit into half of the capacity. Result: count.
    NetworkRead = 53,
}

/// How many calls there are.
pub const CALL_COUNT: usize = HostCall::ALL.len();

/// What [`HostCall::PathChange`] does; `a` and `b` are its last two arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum PathOperation {
    /// mkdir, `a` = mode.
    MakeDirectory = 0,
    /// rmdir.
    RemoveDirectory = 1,
    /// unlink.
    Unlink = 2,
    /// renameat2, `a` = length of the second path, `b` = flags.
    Rename = 3,
    /// link, `a` = length of the second path (the new name).
    Link = 4,
    /// symlink: the first path is the new name, the second (`a` bytes) the target text.
    Symlink = 5,
    /// chmod, `a` = mode.
    SetMode = 6,
    /// lchown, `a` = uid, `b` = gid (`u32::MAX` leaves one).
    SetOwner = 7,
    /// utimensat, `a` = access time, `b` = modification time, in ns since 1970 (`u64::MAX` leaves one).
    SetTimes = 8,
    /// mknod of a FIFO or regular file, `a` = mode.
    MakeNode = 9,
}

impl PathOperation {
    /// The operation with this number, if there is one.
    pub const fn from_number(number: u64) -> Option<PathOperation> {
        use PathOperation::*;
        const ALL: [PathOperation; 10] = [
            MakeDirectory,
            RemoveDirectory,
            Unlink,
            Rename,
            Link,
            Symlink,
            SetMode,
            SetOwner,
            SetTimes,
            MakeNode,
        ];
        if number < ALL.len() as u64 { Some(ALL[number as usize]) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_named() {
        for (position, call) in HostCall::ALL.iter().enumerate() {
            assert_eq!(*call as u64, position as u64, "{}", call.name());
            assert_eq!(HostCall::from_number(position as u64), Some(*call));
        }
        assert_eq!(HostCall::from_number(CALL_COUNT as u64), None);
    }
}
