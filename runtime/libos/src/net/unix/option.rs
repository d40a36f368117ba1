//! Options of UNIX sockets.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};

use crate::errno::{Errno, Result};
use crate::events::Deadline;

/// SOL_SOCKET.
pub const SOCKET: u32 = 1;
/// Default of SO_SNDBUF and SO_RCVBUF, and the most that may be asked for.
const BUFFER: usize = 212_992;
const BUFFER_FLOOR: usize = 4608;

/// Settings.
pub struct Options {
    /// SO_PASSCRED.
    pub pass_credentials: AtomicBool,
    /// SO_SNDBUF.
    pub send_buffer: AtomicUsize,
    receive_buffer: AtomicUsize,
    reuse: AtomicBool,
    /// SO_RCVTIMEO and SO_SNDTIMEO in microseconds; 0 for none.
    receive_timeout: AtomicU64,
    send_timeout: AtomicU64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            pass_credentials: AtomicBool::new(false),
            send_buffer: AtomicUsize::new(BUFFER),
            receive_buffer: AtomicUsize::new(BUFFER),
            reuse: AtomicBool::new(false),
            receive_timeout: AtomicU64::new(0),
            send_timeout: AtomicU64::new(0),
        }
    }
}

fn deadline(timeout: &AtomicU64) -> Deadline {
    match timeout.load(Relaxed) {
        0 => Deadline::NEVER,
        micro => Deadline::after(micro.saturating_mul(1000)),
    }
}

fn to_timeval(timeout: &AtomicU64) -> Vec<u8> {
    let micro = timeout.load(Relaxed);
    [(micro / 1_000_000).to_le_bytes(), (micro % 1_000_000).to_le_bytes()].concat()
}

fn from_timeval(value: &[u8]) -> Result<u64> {
    let word = |at: usize| {
        let bytes = value.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map(i64::from_le_bytes).ok_or(Errno::EINVAL)
    };
    let (seconds, micro) = (word(0)?, word(8)?);
    if !(0..1_000_000).contains(&micro) {
        return Err(Errno::EDOM);
    }
    // A negative time is one that has passed.
    Ok(if seconds < 0 { 1 } else { (seconds as u64).saturating_mul(1_000_000).saturating_add(micro as u64) })
}

fn buffer_size(asked: i32) -> usize {
    ((asked.max(0) as usize).min(BUFFER) * 2).max(BUFFER_FLOOR)
}

impl Options {
    /// When a receive that begins now gives up.
    pub fn receive_deadline(&self) -> Deadline {
        deadline(&self.receive_timeout)
    }

    /// When a send that begins now gives up.
    pub fn send_deadline(&self) -> Deadline {
        deadline(&self.send_timeout)
    }

    /// getsockopt(2) of SOL_SOCKET, for what is a plain setting.
    pub fn get(&self, name: u32) -> Result<Vec<u8>> {
        let number = |value: usize| Ok((value as u32).to_le_bytes().to_vec());
        match name {
            2 => number(self.reuse.load(Relaxed) as usize),
            5 | 6 | 9 | 12 | 15 => number(0),
            7 => number(self.send_buffer.load(Relaxed)),
            8 => number(self.receive_buffer.load(Relaxed)),
            13 => Ok(alloc::vec![0; 8]),
            16 => number(self.pass_credentials.load(Relaxed) as usize),
            18 | 19 => number(1),
            20 => Ok(to_timeval(&self.receive_timeout)),
            21 => Ok(to_timeval(&self.send_timeout)),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    /// setsockopt(2) of SOL_SOCKET. Options without a meaning inside are accepted, as Linux does.
    pub fn set(&self, name: u32, value: &[u8]) -> Result<()> {
        let first = value.get(..4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_le_bytes);
        let number = first.ok_or(Errno::EINVAL)?;
        match name {
            2 => self.reuse.store(number != 0, Relaxed),
            5 | 6 | 9 | 12 | 13 | 18 => {}
            7 => self.send_buffer.store(buffer_size(number), Relaxed),
            8 => self.receive_buffer.store(buffer_size(number), Relaxed),
            16 => self.pass_credentials.store(number != 0, Relaxed),
            20 => self.receive_timeout.store(from_timeval(value)?, Relaxed),
            21 => self.send_timeout.store(from_timeval(value)?, Relaxed),
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }
}
