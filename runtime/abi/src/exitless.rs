//! Exitless host calls: the ring in untrusted memory, a thread's request, and which calls go this way.

use core::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};

use linux_raw_sys::general::{O_DIRECTORY, O_EXCL, O_NONBLOCK};
use linux_raw_sys::ioctl::{FIONREAD, TCGETS, TIOCGWINSZ, TIOCOUTQ};
use linux_raw_sys::net::MSG_DONTWAIT;

use crate::HostCall;

/// Entries of the ring.
pub const RING_ENTRIES: usize = 256;

/// The ring by which requests reach the loader's servers (`casemate_exitless::ring`); made by the loader, in untrusted memory.
/// The counter of the pushing side is not here: the enclave keeps it inside.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct ExitlessRing {
    /// Its entries.
    pub entries: [AtomicU64; RING_ENTRIES],
    /// How many servers look at the ring; with 0 nobody would come soon. A hint.
    pub awake: AtomicU32,
    /// The servers' counter, which the enclave does not look at.
    pub head: AtomicU32,
}

/// One thread's request ([`HostThread::request`](crate::HostThread)).
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Request {
    /// Who has it (`casemate_exitless::request`).
    pub state: AtomicU32,
    /// A [`HostCall`] as a number.
    pub call: AtomicU32,
    /// Arguments, as of an ordinary call; *buf* is the calling thread's own buffer.
    pub args: [AtomicU64; 6],
    /// The result, as of an ordinary call.
    pub result: AtomicI64,
}

const _: () = assert!(size_of::<Request>() == 64);

/// Whether a call is one for the ring: it must neither wait for somebody nor concern the calling thread itself. What waits
/// would keep a server from all others; so a call that may wait is one for the ring only with arguments that forbid it.
///
/// File calls count as short, as they do in Linux, where nothing interrupts them.
pub fn is_short(call: HostCall, args: &[u64; 6]) -> bool {
    use HostCall::*;
    let has = |word: u64, flags: u32| word as u32 & flags != 0;
    match call {
        FdReadAt | FdWriteAt | FdClose | FdSetNonblocking | FdStat | FdTruncate | FdReadDirectory
        | FdSeek => true,
        PathStat | PathReadLink | PathChange | VolumeStat | ImageOpen | ImageClose => true,
        // Opening a FIFO waits for its other end.
        PathOpen => has(args[3], O_NONBLOCK | O_DIRECTORY | O_EXCL),
        SocketOpen | SocketBind | SocketListen | SocketGetOption | SocketSetOption | SocketName
        | SocketShutdown => true,
        SocketSend | SocketReceive => has(args[2], MSG_DONTWAIT),
        EpollOpen | EpollControl | NetworkRead => true,
        FdPoll => args[2] == 0,
        EpollWait => args[3] == 0,
        // The others wait for a terminal's output.
        FdIoctl => matches!(args[1] as u32, FIONREAD | TIOCOUTQ | TCGETS | TIOCGWINSZ),
        Unpark => true,
        // How long it took says how good it is.
        ClockRead => false,
        // Of the thread itself, or the end.
        Log | Exit | ThreadCreate | ThreadInterrupt | Park | Yield | SignalsTake | AnswerAwait => false,
        // As long as the range, under the lock of the address space.
        PageMap | PageProtect | PageUnmap | PageDiscard | PageMove | PageConvert | PageRemove => false,
        // May wait without end, for a disk, or for the quoting service.
        FdRead | FdWrite | SocketAccept | SocketConnect | FdSync | QuoteTarget | QuoteMake => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_wait_is_short_only_when_it_is_told_not_to() {
        for call in HostCall::ALL {
            // Every argument 1: flags that forbid nothing, time-outs of a nanosecond.
            let waits = matches!(
                call,
                HostCall::FdRead
                    | HostCall::FdWrite
                    | HostCall::FdPoll
                    | HostCall::SocketAccept
                    | HostCall::SocketConnect
                    | HostCall::SocketSend
                    | HostCall::SocketReceive
                    | HostCall::EpollWait
                    | HostCall::Park
                    | HostCall::QuoteTarget
                    | HostCall::QuoteMake
                    | HostCall::AnswerAwait
            );
            assert!(!waits || !is_short(*call, &[1; 6]), "{}", call.name());
        }
        assert!(is_short(HostCall::FdPoll, &[1, 1, 0, 0, 0, 0]));
        assert!(is_short(HostCall::EpollWait, &[1, 1, 1, 0, 0, 0]));
        assert!(is_short(HostCall::SocketReceive, &[1, 1, 0x40, 0, 0, 0]));
        assert!(is_short(HostCall::PathOpen, &[0, 0, 0, 0o4000, 0, 0]));
        assert!(!is_short(HostCall::PathOpen, &[0, 0, 0, 1, 0, 0]));
        assert!(is_short(HostCall::FdIoctl, &[1, 0x541b, 0, 0, 0, 0]));
        assert!(!is_short(HostCall::FdIoctl, &[1, 0x5409, 0, 0, 0, 0]), "TCSBRK");
    }
}
