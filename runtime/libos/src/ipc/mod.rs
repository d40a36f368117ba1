//! Communication between threads and processes that stays inside: futexes, pipes, event counters, readiness sets.

pub mod epoll;
pub mod eventfd;
pub mod futex;
pub mod pidfd;
pub mod pipe;

use core::sync::atomic::{AtomicU64, Ordering::*};

use crate::process::current_thread;
use crate::signal::{Signal, SignalInfo, send_to_thread};
use crate::stat::{FileType, Stat, Timestamp};

static NEXT_INODE: AtomicU64 = AtomicU64::new(1024);

/// Status of a file without a name: its number is new, its owner the caller, its times now.
pub fn anonymous_stat(kind: FileType, permissions: u32) -> Stat {
    let mut stat = Stat::anonymous(kind, permissions, NEXT_INODE.fetch_add(1, Relaxed));
    #[cfg(not(test))]
    {
        let credentials = crate::process::current_process().credentials.read().clone();
        (stat.uid, stat.gid) = (credentials.fsuid, credentials.fsgid);
    }
    let now = Timestamp::now();
    (stat.accessed, stat.modified, stat.changed) = (now, now, now);
    stat
}

/// SIGPIPE for the calling thread: it wrote where nobody reads.
pub fn raise_broken_pipe() {
    if cfg!(test) {
        return;
    }
    let thread = current_thread();
    let process = thread.process();
    let uid = process.credentials.read().uid;
    let _ = send_to_thread(&thread, SignalInfo::from_process(Signal::PIPE, 0, process.pid, uid));
}
