//! What the caller of a write may do: how far it may write (RLIMIT_FSIZE), and whether set-id bits outlive its writes.

use alloc::sync::Arc;

use casemate_platform::thread;

use crate::errno::{Errno, Result};
use crate::process::{Capability, Resource, Thread};
use crate::signal::{Signal, SignalInfo, send_to_thread};

/// The limit of the calling process; none before there are processes (and in unit tests).
fn limit() -> u64 {
    let of = |thread: &Arc<Thread>| thread.process().limits.get(Resource::FileSize).0;
    thread::with_local::<Arc<Thread>, _>(of).unwrap_or(u64::MAX)
}

/// The call goes too far: SIGXFSZ and `EFBIG`.
fn refuse() -> Result<()> {
    let current = thread::with_local::<Arc<Thread>, _>(Arc::clone);
    if let Some(current) = current {
        let uid = current.process().credentials.read().uid;
        let info = SignalInfo::from_process(Signal::XFSZ, 0, current.process().pid, uid);
        send_to_thread(&current, info)?;
    }
    Err(Errno::EFBIG)
}

/// Checks a change of a file's size.
pub fn check_size(old: u64, new: u64) -> Result<()> {
    if new > old && new > limit() { refuse() } else { Ok(()) }
}

/// Whether the caller may write to a set-id file without it losing those bits (CAP_FSETID).
pub fn keeps_set_id() -> bool {
    let overrides = |thread: &Arc<Thread>| thread.process().credentials.read().may(Capability::FileSetId);
    thread::with_local::<Arc<Thread>, _>(overrides).unwrap_or(false)
}

/// Bytes that may be written at `offset`; none is an error.
pub fn room(offset: u64) -> Result<u64> {
    match limit().saturating_sub(offset) {
        0 => refuse().map(|()| 0),
        room => Ok(room),
    }
}
