//! The master's end: /dev/ptmx.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::Ordering::*;

use linux_raw_sys::ioctl::*;

use super::pair::Pair;
use super::{control, slave};
use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events, Poller, wait_until};
use crate::file::{File, OpenFlags, StatusFlags};
use crate::fs::Location;
use crate::fs::notify::Opened;
use crate::io::{Sink, Source};
use crate::process::current_process;
use crate::stat::Stat;
use crate::user_space::{self, Addr};

/// Bytes typed in one step.
const STEP: usize = 4096;

struct Master {
    pair: Arc<Pair>,
    at: Opened,
    status: StatusFlags,
}

/// open(2) of /dev/ptmx: a new pseudo-terminal.
pub fn open_master(at: &Location, flags: OpenFlags) -> Result<Arc<dyn File>> {
    let ids = current_process().credentials.read().clone();
    let pair = Pair::new(&ids)?;
    Ok(Arc::new(Master { pair, at: Opened::now(at.clone(), flags), status: StatusFlags::new(flags) }))
}

impl Master {
    fn has_lost_slaves(&self) -> bool {
        self.pair.lost_slaves.load(SeqCst)
    }

    fn wait<T>(&self, events: Events, mut step: impl FnMut() -> Option<Result<T>>) -> Result<T> {
        match step() {
            Some(outcome) => outcome,
            None if self.status.nonblocking() => Err(Errno::EAGAIN),
            None => wait_until(&self.pair.pollee, events, Deadline::NEVER, step)?,
        }
    }

    /// Types what the slave takes; signals are sent without the lock.
    fn type_in(&self, bytes: &[u8]) -> Option<usize> {
        let mut signals = Vec::new();
        let taken = self.pair.discipline.lock().type_in(bytes, &mut signals);
        for signal in signals {
            self.pair.signal(signal);
        }
        (taken > 0).then_some(taken)
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.pair.end();
    }
}

impl File for Master {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        self.at.place().stat()
    }

    fn path_text(&self) -> Vec<u8> {
        self.at.place().path_text()
    }

    fn read(&self, sink: &mut Sink) -> Result<usize> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        let room = sink.remaining().min(STEP);
        let bytes = self.wait(Events::READABLE, || {
            let bytes = self.pair.discipline.lock().take_output(room);
            match bytes.is_empty() {
                false => Some(Ok(bytes)),
                true => self.has_lost_slaves().then_some(Err(Errno::EIO)),
            }
        })?;
        self.pair.changed();
        sink.put(&bytes)
    }

    fn write(&self, source: &mut Source) -> Result<usize> {
        let mut outcome = Ok(());
        while source.remaining() > 0 {
            let step = source.peek(STEP).and_then(|bytes| {
                self.wait(Events::WRITABLE, || {
                    if self.has_lost_slaves() {
                        return Some(Err(Errno::EIO));
                    }
                    self.type_in(&bytes).map(Ok)
                })
            });
            match step {
                Ok(taken) => source.consume(taken),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
            self.pair.changed();
        }
        source.result(outcome)
    }

    fn poll(&self, poller: Option<&mut Poller>) -> Events {
        if let Some(poller) = poller {
            poller.observe(&self.pair.pollee, Events::READABLE | Events::WRITABLE);
        }
        let discipline = self.pair.discipline.lock();
        let mut ready = Events::empty();
        if discipline.waiting_output() > 0 {
            ready |= Events::READABLE;
        }
        if discipline.takes_input() {
            ready |= Events::WRITABLE;
        }
        if self.has_lost_slaves() {
            ready |= Events::HANG_UP;
        }
        ready
    }

    fn ioctl(&self, request: u32, argument: u64) -> Result<usize> {
        let (pair, argument) = (&self.pair, Addr(argument));
        match request {
            TIOCGPTN => user_space::write_u32(argument, pair.number)?,
            TIOCSPTLCK => pair.locked.store(user_space::read_u32(argument)? != 0, SeqCst),
            TIOCGPTLCK => user_space::write_u32(argument, pair.locked.load(SeqCst).into())?,
            TIOCGPTPEER => return slave::open_peer(pair, OpenFlags::from_bits_retain(argument.0 as u32)),
            FIONREAD => {
                let waiting = pair.discipline.lock().waiting_output();
                user_space::write_u32(argument, waiting as u32)?;
            }
            TIOCOUTQ => user_space::write_u32(argument, 0)?,
            _ => return control::common(pair, true, request, argument),
        }
        Ok(0)
    }

    fn location(&self) -> Option<&Location> {
        Some(self.at.place())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
