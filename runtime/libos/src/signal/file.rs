//! signalfd: pending signals as something to read.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering::*};

use super::{Signal, SignalInfo};
use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events, Poller, wait_until};
use crate::file::{File, OpenFlags, StatusFlags};
use crate::io::Sink;
use crate::process::{Thread, current_thread};
use crate::stat::{FileType, Stat};
use crate::time::FROM_TIMER;

/// Size of struct signalfd_siginfo.
const RECORD: usize = 128;

/// A set of signals, to be read by whoever has them pending.
pub struct SignalFile {
    set: AtomicU64,
    status: StatusFlags,
}

impl SignalFile {
    /// For the signals of `set`; `flags` may hold O_NONBLOCK.
    pub fn open(set: u64, flags: OpenFlags) -> Arc<SignalFile> {
        let status = StatusFlags::new(flags | OpenFlags::READ_WRITE);
        Arc::new(SignalFile { set: AtomicU64::new(set), status })
    }

    /// Another set; readers of the caller's process look again.
    pub fn set(&self, set: u64) {
        self.set.store(set, SeqCst);
        current_thread().process().signals.notify();
    }

    fn take(&self, thread: &Thread) -> Option<SignalInfo> {
        let set = self.set.load(SeqCst);
        let own = thread.signals.pending.lock().take(set);
        let taken = own.or_else(|| thread.process().signals.pending.lock().take(set))?;
        thread.process().clocks.delivered(&taken);
        Some(taken)
    }
}

impl File for SignalFile {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        Ok(Stat::anonymous(FileType::Regular, 0o600, 1))
    }

    fn path_text(&self) -> Vec<u8> {
        b"anon_inode:[signalfd]".to_vec()
    }

    fn read(&self, sink: &mut Sink) -> Result<usize> {
        if sink.remaining() < RECORD {
            return Err(Errno::EINVAL);
        }
        let thread = current_thread();
        let first = match self.take(&thread) {
            Some(info) => info,
            None if self.status.nonblocking() => return Err(Errno::EAGAIN),
            None => {
                let arrivals = &thread.process().signals.arrivals;
                wait_until(arrivals, Events::READABLE, Deadline::NEVER, || self.take(&thread))?
            }
        };
        let mut read = sink.put(&record(&first))?;
        while sink.remaining() >= RECORD {
            let Some(info) = self.take(&thread) else { break };
            read += sink.put(&record(&info))?;
        }
        Ok(read)
    }

    fn poll(&self, poller: Option<&mut Poller>) -> Events {
        let thread = current_thread();
        let process = thread.process();
        if let Some(poller) = poller {
            poller.observe(&process.signals.arrivals, Events::READABLE);
        }
        let pending = thread.signals.pending.lock().set() | process.signals.pending.lock().set();
        if pending & self.set.load(SeqCst) != 0 { Events::READABLE } else { Events::empty() }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// struct signalfd_siginfo: what of siginfo_t has a meaning for the signal's origin.
fn record(info: &SignalInfo) -> [u8; RECORD] {
    const IS_KERNELS: core::ops::Range<i32> = 1..0x80;
    let mut bytes = [0; RECORD];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    let [first, second] = [info.fields[0], info.fields[1]];
    put(0, &info.signal.number().to_le_bytes());
    put(4, &info.errno.to_le_bytes());
    put(8, &info.code.to_le_bytes());
    let is_fault =
        matches!(info.signal, Signal::SEGV | Signal::BUS | Signal::ILL | Signal::FPE | Signal::TRAP);
    if info.code == FROM_TIMER {
        // tid, overrun, then the value as a number and as a pointer
        put(24, &first.to_le_bytes()[..4]);
        put(32, &first.to_le_bytes()[4..]);
        put(44, &second.to_le_bytes()[..4]);
        put(48, &second.to_le_bytes());
    } else if is_fault && IS_KERNELS.contains(&info.code) {
        put(72, &first.to_le_bytes());
    } else {
        put(12, &first.to_le_bytes());
        if info.signal == Signal::CHLD && IS_KERNELS.contains(&info.code) {
            put(40, &second.to_le_bytes()[..4]);
        } else if info.code < 0 {
            put(44, &second.to_le_bytes()[..4]);
            put(48, &second.to_le_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn records_show_what_the_origin_gives() {
        let mut queued = SignalInfo::from_process(Signal::HUP, -1, 12, 34);
        queued.fields[1] = 0x1_0000_0007;
        let bytes = record(&queued);
        assert_eq!([0, 8, 12, 16, 44].map(|at| word(&bytes, at)), [1, u32::MAX, 12, 34, 7]);
        assert_eq!(word(&bytes, 52), 1);

        let mut child = SignalInfo::from_process(Signal::CHLD, 1, 5, 6);
        child.fields[1] = 3;
        assert_eq!([12, 16, 40, 44].map(|at| word(&record(&child), at)), [5, 6, 3, 0]);

        let mut timer = SignalInfo::new(Signal::ALRM, FROM_TIMER);
        timer.fields[0] = 9 | 4 << 32;
        timer.fields[1] = 77;
        assert_eq!([12, 24, 32, 44, 48].map(|at| word(&record(&timer), at)), [0, 9, 4, 77, 77]);

        let fault = SignalInfo::from_fault(Signal::SEGV, 1, 0x1234);
        assert_eq!([12, 72].map(|at| word(&record(&fault), at)), [0, 0x1234]);
    }
}
