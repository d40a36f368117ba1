//! The slave's end: the terminal that programs see.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::Ordering::*;

use linux_raw_sys::general as raw;
use linux_raw_sys::ioctl::*;

use super::control;
use super::pair::{self, Pair};
use super::session;
use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events, Poller, wait_until};
use crate::file::{File, OpenFlags, StatusFlags};
use crate::fs::Location;
use crate::fs::notify::Opened;
use crate::fs::turn::Turn;
use crate::io::{Sink, Source};
use crate::process::current_process;
use crate::stat::Stat;
use crate::user_space::{self, Addr};

/// Bytes written in one step.
const STEP: usize = 4096;
/// A unit of VTIME, ns.
const TENTH: u64 = 100_000_000;

struct Slave {
    pair: Arc<Pair>,
    at: Opened,
    status: StatusFlags,
    /// Hang-ups before it was opened.
    hang_ups: u32,
    reading: Turn,
}

/// open(2) of a name in /dev/pts: `EIO` while it is locked.
pub fn open_slave(number: u32, at: &Location, flags: OpenFlags) -> Result<Arc<dyn File>> {
    let pair = pair::find(number).ok_or(Errno::EIO)?;
    open(&pair, at, flags)
}

fn open(pair: &Arc<Pair>, at: &Location, flags: OpenFlags) -> Result<Arc<dyn File>> {
    if pair.locked.load(SeqCst) {
        return Err(Errno::EIO);
    }
    let hang_ups = pair.hang_ups.load(SeqCst);
    pair.slaves.fetch_add(1, SeqCst);
    pair.lost_slaves.store(false, SeqCst);
    if !flags.contains(OpenFlags::NO_CONTROLLING_TTY) {
        pair.control_opener();
    }
    Ok(Arc::new(Slave {
        pair: pair.clone(),
        at: Opened::now(at.clone(), flags),
        status: StatusFlags::new(flags),
        hang_ups,
        reading: Turn::new(),
    }))
}

/// open(2) of /dev/tty: the slave that controls this session, if one does.
pub fn open_controlling(session: u32, at: &Location, flags: OpenFlags) -> Option<Result<Arc<dyn File>>> {
    let pair = session::controlling(session)?;
    Some(open(&pair, at, flags | OpenFlags::NO_CONTROLLING_TTY))
}

/// TIOCGPTPEER: opens the slave of a master, whatever /dev/pts is to the caller.
pub fn open_peer(pair: &Arc<Pair>, flags: OpenFlags) -> Result<usize> {
    let at = pair::place(pair).ok_or(Errno::EIO)?;
    let file = open(pair, &at, flags)?;
    let close_on_exec = flags.contains(OpenFlags::CLOSE_ON_EXEC);
    current_process().files().add(file, close_on_exec).map(|fd| fd.0 as usize)
}

/// How long a read waits, and for how much (VMIN and VTIME).
struct Patience {
    at_least: usize,
    deadline: Deadline,
    /// Until the next byte, once there is one.
    between_bytes: Option<u64>,
}

impl Slave {
    fn is_dead(&self) -> bool {
        self.pair.hang_ups.load(SeqCst) != self.hang_ups
    }

    fn patience(&self, wanted: usize) -> Patience {
        let discipline = self.pair.discipline.lock();
        let termios = discipline.termios();
        let none = Patience { at_least: 1, deadline: Deadline::NEVER, between_bytes: None };
        if termios.has(raw::ICANON) {
            return none;
        }
        let minimum = usize::from(termios.character(raw::VMIN)).min(wanted);
        let time = u64::from(termios.character(raw::VTIME)) * TENTH;
        match (minimum, time) {
            (0, time) => Patience { at_least: 1, deadline: Deadline::after(time), ..none },
            (minimum, 0) => Patience { at_least: minimum, ..none },
            (minimum, time) => Patience { at_least: minimum, between_bytes: Some(time), ..none },
        }
    }

    /// What can be read now; `None` when there is nothing yet.
    fn take(&self, room: usize) -> Option<Result<Vec<u8>>> {
        if self.is_dead() {
            return Some(Ok(Vec::new()));
        }
        let mut discipline = self.pair.discipline.lock();
        discipline.has_line().then(|| Ok(discipline.take_input(room)))
    }

    fn is_canonical(&self) -> bool {
        self.pair.discipline.lock().termios().has(raw::ICANON)
    }
}

impl Drop for Slave {
    fn drop(&mut self) {
        if self.pair.slaves.fetch_sub(1, SeqCst) == 1 {
            self.pair.lost_slaves.store(true, SeqCst);
            self.pair.changed();
        }
    }
}

impl File for Slave {
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
        let _turn = self.reading.take()?;
        let wanted = sink.remaining();
        if wanted == 0 {
            return Ok(0);
        }
        let Patience { at_least, mut deadline, between_bytes } = self.patience(wanted);
        let mut count = 0;
        loop {
            let room = sink.remaining().min(STEP);
            let next = match self.take(room) {
                None if count >= at_least => return Ok(count),
                None if self.status.nonblocking() && count > 0 => return Ok(count),
                None if self.status.nonblocking() => Err(Errno::EAGAIN),
                None => wait_until(&self.pair.pollee, Events::READABLE, deadline, || self.take(room))
                    .and_then(|taken| taken),
                Some(taken) => taken,
            };
            let bytes = match next {
                Err(Errno::ETIMEDOUT) => return Ok(count),
                Err(_) if count > 0 => return Ok(count),
                other => other?,
            };
            self.pair.changed();
            count += sink.put(&bytes)?;
            if bytes.is_empty() || sink.remaining() == 0 || self.is_canonical() {
                return Ok(count);
            }
            deadline = between_bytes.map_or(deadline, Deadline::after);
        }
    }

    fn write(&self, source: &mut Source) -> Result<usize> {
        let mut outcome = Ok(());
        while source.remaining() > 0 {
            let step = source.peek(STEP).and_then(|bytes| {
                let attempt = || {
                    if self.is_dead() {
                        return Some(Err(Errno::EIO));
                    }
                    let taken = self.pair.discipline.lock().write(&bytes);
                    (taken > 0).then_some(Ok(taken))
                };
                match attempt() {
                    Some(outcome) => outcome,
                    None if self.status.nonblocking() => Err(Errno::EAGAIN),
                    None => wait_until(&self.pair.pollee, Events::WRITABLE, Deadline::NEVER, attempt)?,
                }
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
        if self.is_dead() {
            return Events::READABLE | Events::WRITABLE | Events::ERROR | Events::HANG_UP;
        }
        let discipline = self.pair.discipline.lock();
        let termios = discipline.termios();
        // Without a timer a reader is not woken before as much as it waits for is there.
        let enough = match (termios.has(raw::ICANON), termios.character(raw::VTIME)) {
            (false, 0) => usize::from(termios.character(raw::VMIN)).max(1),
            _ => 1,
        };
        let mut ready = Events::empty();
        if discipline.has_line() && (enough == 1 || discipline.readable() >= enough) {
            ready |= Events::READABLE;
        }
        if !discipline.is_stopped() && discipline.has_room() {
            ready |= Events::WRITABLE;
        }
        ready
    }

    fn ioctl(&self, request: u32, argument: u64) -> Result<usize> {
        if self.is_dead() {
            return Err(if request == TIOCSPGRP { Errno::ENOTTY } else { Errno::EIO });
        }
        let (pair, argument) = (&self.pair, Addr(argument));
        match request {
            FIONREAD => {
                let readable = pair.discipline.lock().readable();
                user_space::write_u32(argument, readable as u32)?;
            }
            TIOCOUTQ => user_space::write_u32(argument, 0)?,
            TIOCSCTTY => pair.control_caller(argument.0 == 1)?,
            TIOCNOTTY => pair.release_caller()?,
            TCSBRK | TCSBRKP => control::drain(pair)?,
            TCXONC => control::flow(pair, argument.0 as u32)?,
            _ => return control::common(pair, false, request, argument),
        }
        Ok(0)
    }

    fn location(&self) -> Option<&Location> {
        Some(self.at.place())
    }

    fn details(&self) -> Vec<u8> {
        format!("tty-index:\t{}\n", self.pair.number).into_bytes()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
