//! Signals that wait, and what comes with them.

use alloc::collections::VecDeque;

use super::{FIRST_REAL_TIME, Signal};
use crate::errno::{Errno, Result};
use crate::time::FROM_TIMER;

/// Most real-time signals queued per target (RLIMIT_SIGPENDING stands behind it on Linux).
const QUEUE_LIMIT: usize = 8192;

/// siginfo_t: number, code, and the 112 bytes that depend on them, from offset 16 on.
#[derive(Clone, Copy, Debug)]
pub struct SignalInfo {
    /// The signal.
    pub signal: Signal,
    /// si_errno.
    pub errno: i32,
    /// si_code.
    pub code: i32,
    /// The union, as words of 8 bytes.
    pub fields: [u64; 14],
}

impl SignalInfo {
    /// With nothing but number and code.
    pub fn new(signal: Signal, code: i32) -> SignalInfo {
        SignalInfo { signal, errno: 0, code, fields: [0; 14] }
    }

    /// Sent by a process: si_pid and si_uid.
    pub fn from_process(signal: Signal, code: i32, pid: u32, uid: u32) -> SignalInfo {
        let mut info = SignalInfo::new(signal, code);
        info.fields[0] = pid as u64 | (uid as u64) << 32;
        info
    }

    /// From a fault: si_addr.
    pub fn from_fault(signal: Signal, code: i32, address: u64) -> SignalInfo {
        let mut info = SignalInfo::new(signal, code);
        info.fields[0] = address;
        info
    }

    /// The 128 bytes that a handler sees.
    pub fn to_bytes(self) -> [u8; 128] {
        let mut bytes = [0; 128];
        bytes[0..4].copy_from_slice(&self.signal.number().to_le_bytes());
        bytes[4..8].copy_from_slice(&self.errno.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.code.to_le_bytes());
        for (word, place) in self.fields.iter().zip(bytes[16..].chunks_exact_mut(8)) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// From the 128 bytes that a program gives (rt_sigqueueinfo(2)); the number comes from the call.
    pub fn from_bytes(signal: Signal, bytes: &[u8; 128]) -> SignalInfo {
        let word = |at: usize| i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mut info = SignalInfo { signal, errno: word(4), code: word(8), fields: [0; 14] };
        for (field, place) in info.fields.iter_mut().zip(bytes[16..].chunks_exact(8)) {
            let mut value = [0; 8];
            value.copy_from_slice(place);
            *field = u64::from_le_bytes(value);
        }
        info
    }
}

fn is_same_timer(a: &SignalInfo, b: &SignalInfo) -> bool {
    a.code == b.code && a.signal == b.signal && a.fields[0] as u32 == b.fields[0] as u32
}

/// Signals that wait for one target: each standard signal once, real-time signals in order.
#[derive(Debug, Default)]
pub struct Pending {
    set: u64,
    queue: VecDeque<SignalInfo>,
}

impl Pending {
    /// Which signals wait.
    pub fn set(&self) -> u64 {
        self.set
    }

    /// Adds one. A standard signal that waits already is dropped; `EAGAIN` when a real-time signal finds `limit` in the queue.
    pub fn add(&mut self, info: SignalInfo, limit: u64) -> Result<()> {
        if info.code == FROM_TIMER
            && let Some(waiting) = self.queue.iter_mut().find(|waiting| is_same_timer(waiting, &info))
        {
            // A timer has one signal at a time; what comes meanwhile is counted in it.
            waiting.fields[0] = waiting.fields[0].saturating_add(((info.fields[0] >> 32) + 1) << 32);
            return Ok(());
        }
        if info.signal.number() < FIRST_REAL_TIME && self.set & info.signal.bit() != 0 {
            return Ok(());
        }
        let is_real_time = info.signal.number() >= FIRST_REAL_TIME;
        if is_real_time && self.queue.len() as u64 >= limit || self.queue.len() >= QUEUE_LIMIT {
            return Err(Errno::EAGAIN);
        }
        self.set |= info.signal.bit();
        self.queue.push_back(info);
        Ok(())
    }

    /// Takes the next signal of `wanted`: faults first, then by number, then in order of arrival.
    pub fn take(&mut self, wanted: u64) -> Option<SignalInfo> {
        /// Signals that a fault raises (SYNCHRONOUS_MASK): SEGV BUS ILL TRAP FPE SYS.
        const SYNCHRONOUS: u64 = 1 << 10 | 1 << 6 | 1 << 3 | 1 << 4 | 1 << 7 | 1 << 30;
        let candidates = self.set & wanted;
        let first = if candidates & SYNCHRONOUS != 0 { candidates & SYNCHRONOUS } else { candidates };
        if first == 0 {
            return None;
        }
        let number = first.trailing_zeros() + 1;
        let position = self.queue.iter().position(|info| info.signal.number() == number)?;
        let info = self.queue.remove(position)?;
        if !self.queue.iter().any(|other| other.signal == info.signal) {
            self.set &= !info.signal.bit();
        }
        Some(info)
    }

    /// Forgets the signals of `which`.
    pub fn discard(&mut self, which: u64) {
        self.queue.retain(|info| info.signal.bit() & which == 0);
        self.set &= !which;
    }
}
