//! Pipes: a queue of pages between those who write and those who read. The queue is Linux's, page for page, so that a
//! pipe is full, and a write atomic, exactly when it is there.

mod file;
mod splice;

pub use file::{PipeFile, open_fifo};

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use casemate_platform::sync::Mutex;

use super::{anonymous_stat, raise_broken_pipe};
use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events, Pollee, wait_until};
use crate::fs::lock::FileLocks;
use crate::fs::turn::Turn;
use crate::io::{Sink, Source};
use crate::room;
use crate::stat::{FileType, Stat};

const PAGE: usize = 4096;
/// Pages of a new pipe.
const DEFAULT_PAGES: usize = 16;
/// Most pages that F_SETPIPE_SZ gives without privilege (/proc/sys/fs/pipe-max-size).
const UNPRIVILEGED_PAGES: usize = 256;
/// Pages kept for the next write instead of being freed.
const SPARE_PAGES: usize = 2;

type Page = Box<[u8; PAGE]>;

/// A page in the queue: bytes `start` to `end` wait.
struct Slot {
    page: Page,
    start: usize,
    end: usize,
    /// Written in packet mode: never joined with others, and what one read leaves of it is dropped.
    packet: bool,
}

struct State {
    slots: VecDeque<Slot>,
    /// Slots that a reader has taken out and may put back.
    in_hand: usize,
    bytes: usize,
    /// Most slots.
    limit: usize,
    spare: Vec<Page>,
    readers: usize,
    writers: usize,
    /// How often an end was opened, ever.
    reader_opens: u64,
    writer_opens: u64,
}

impl State {
    fn is_full(&self) -> bool {
        self.slots.len() + self.in_hand >= self.limit
    }

    fn keep(&mut self, page: Page) {
        if self.spare.len() < SPARE_PAGES {
            self.spare.push(page);
        }
    }
}

/// What stands between the ends.
pub struct Pipe {
    state: Mutex<State>,
    /// Readers, and writers, take turns: both touch program memory in the middle.
    reading: Turn,
    writing: Turn,
    pollee: Pollee,
    stat: Stat,
    locks: FileLocks,
}

/// What a look at the front of the queue found.
enum Drained {
    Bytes(usize),
    Nothing,
    /// Nothing, and nobody writes any more.
    End,
}

enum Filled {
    All,
    Full,
    /// Nobody reads.
    Broken,
}

impl Pipe {
    /// An empty pipe that nobody has opened.
    pub fn new() -> Arc<Pipe> {
        Arc::new(Pipe {
            state: Mutex::new(State {
                slots: VecDeque::new(),
                in_hand: 0,
                bytes: 0,
                limit: DEFAULT_PAGES,
                spare: Vec::new(),
                readers: 0,
                writers: 0,
                reader_opens: 0,
                writer_opens: 0,
            }),
            reading: Turn::new(),
            writing: Turn::new(),
            pollee: Pollee::new(),
            stat: anonymous_stat(FileType::Fifo, 0o600),
            locks: FileLocks::new(),
        })
    }

    /// Bytes that wait.
    pub fn available(&self) -> usize {
        self.state.lock().bytes
    }

    /// F_GETPIPE_SZ.
    pub fn capacity(&self) -> usize {
        self.state.lock().limit * PAGE
    }

    /// F_SETPIPE_SZ: the new capacity; `EBUSY` when more is in it, `EPERM`.
    pub fn set_capacity(&self, bytes: usize, privileged: bool) -> Result<usize> {
        if bytes > 1 << 31 {
            return Err(Errno::EINVAL);
        }
        let pages = bytes.div_ceil(PAGE).max(1).next_power_of_two();
        let mut state = self.state.lock();
        if pages > state.limit && pages > UNPRIVILEGED_PAGES && !privileged {
            return Err(Errno::EPERM);
        }
        if pages < state.slots.len() + state.in_hand {
            return Err(Errno::EBUSY);
        }
        let grown = pages > state.limit;
        state.limit = pages;
        drop(state);
        if grown {
            self.pollee.notify(Events::WRITABLE);
        }
        Ok(pages * PAGE)
    }

    /// Reads what is there; waits for the first byte unless `nonblocking`. 0 when nobody writes any more.
    pub fn read(&self, sink: &mut Sink, nonblocking: bool) -> Result<usize> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        loop {
            let turn = self.reading.take()?;
            match self.drain(sink)? {
                Drained::Bytes(count) => return Ok(count),
                Drained::End => return Ok(0),
                Drained::Nothing if nonblocking => return Err(Errno::EAGAIN),
                Drained::Nothing => {}
            }
            drop(turn);
            wait_until(&self.pollee, Events::IN, Deadline::NEVER, || {
                let state = self.state.lock();
                (!state.slots.is_empty() || state.writers == 0).then_some(())
            })?;
        }
    }

    /// Moves slots from the front to the reader, in its turn.
    fn drain(&self, sink: &mut Sink) -> Result<Drained> {
        let mut count = 0;
        let mut made_room = false;
        let outcome = loop {
            let (mut slot, was_full) = {
                let mut state = self.state.lock();
                let was_full = state.is_full();
                match state.slots.pop_front() {
                    Some(slot) => {
                        state.in_hand += 1;
                        (slot, was_full)
                    }
                    None if count == 0 && state.writers == 0 => return Ok(Drained::End),
                    None => break Ok(()),
                }
            };
            let moved = sink.put(&slot.page[slot.start..slot.end]);
            let (packet, short) = (slot.packet, moved.is_ok_and(|moved| moved < slot.end - slot.start));
            slot.start += moved.unwrap_or(0);
            let mut state = self.state.lock();
            state.in_hand -= 1;
            state.bytes -= moved.unwrap_or(0);
            if moved.is_err() || short && !packet {
                state.slots.push_front(slot);
            } else {
                state.bytes -= slot.end - slot.start;
                state.keep(slot.page);
                made_room |= was_full;
            }
            drop(state);
            match moved {
                Err(error) => break Err(error),
                Ok(moved) => count += moved,
            }
            if packet || short || sink.remaining() == 0 {
                break Ok(());
            }
        };
        if made_room {
            self.pollee.notify(Events::WRITABLE);
        }
        match outcome {
            Err(error) if count == 0 => Err(error),
            _ if count == 0 => Ok(Drained::Nothing),
            _ => Ok(Drained::Bytes(count)),
        }
    }

    /// Writes everything; stops short when it is full and `nonblocking`, or when a signal comes. `EPIPE` (and SIGPIPE) when
    /// nobody reads.
    pub fn write(&self, source: &mut Source, nonblocking: bool, packet: bool) -> Result<usize> {
        let total = source.remaining();
        let mut merge = !packet && !total.is_multiple_of(PAGE);
        if total == 0 {
            return Ok(0);
        }
        let outcome = loop {
            let turn = match self.writing.take() {
                Ok(turn) => turn,
                Err(error) => break Err(error),
            };
            let filled = self.fill(source, packet, core::mem::take(&mut merge));
            drop(turn);
            if source.remaining() < total {
                self.pollee.notify(Events::READABLE);
            }
            match filled {
                Ok(Filled::All) => break Ok(()),
                Ok(Filled::Broken) => {
                    raise_broken_pipe();
                    break Err(Errno::EPIPE);
                }
                Ok(Filled::Full) if nonblocking => break Err(Errno::EAGAIN),
                Ok(Filled::Full) => {}
                Err(error) => break Err(error),
            }
            let room = || {
                let state = self.state.lock();
                (!state.is_full() || state.readers == 0).then_some(())
            };
            if let Err(error) = wait_until(&self.pollee, Events::OUT, Deadline::NEVER, room) {
                break Err(error);
            }
        };
        match (outcome, total - source.remaining()) {
            (Err(error), 0) => Err(error),
            (_, count) => Ok(count),
        }
    }

    /// Moves bytes from the writer to the end of the queue, in its turn. `merge`: what exceeds whole pages may go into the
    /// last page.
    fn fill(&self, source: &mut Source, packet: bool, merge: bool) -> Result<Filled> {
        let mut merge = merge;
        while source.remaining() > 0 {
            let odd = source.remaining() % PAGE;
            let (mut page, joined) = {
                let mut state = self.state.lock();
                if state.readers == 0 {
                    return Ok(Filled::Broken);
                }
                let fits = |last: &Slot| !last.packet && last.end + odd <= PAGE;
                let joined = core::mem::take(&mut merge) && state.slots.back().is_some_and(fits);
                if !joined && state.is_full() {
                    return Ok(Filled::Full);
                }
                (state.spare.pop(), joined)
            };
            let mut page = match page.take() {
                Some(page) => page,
                None => room::check().map(|()| Box::new([0; PAGE]))?,
            };
            let wanted = if joined { odd } else { source.remaining().min(PAGE) };
            let taken = source.take(&mut page[..wanted])?;
            let mut state = self.state.lock();
            state.bytes += taken;
            match state.slots.back_mut().filter(|last| joined && last.end + taken <= PAGE) {
                Some(last) => {
                    last.page[last.end..last.end + taken].copy_from_slice(&page[..taken]);
                    last.end += taken;
                    state.keep(page);
                }
                None => state.slots.push_back(Slot { page, start: 0, end: taken, packet }),
            }
            if taken < wanted {
                return Err(Errno::EFAULT);
            }
        }
        Ok(Filled::All)
    }

    /// What is ready at an end; `writers_before` is how often the pipe had been opened for writing when a reader came
    /// that met no writer: such a reader sees no hang-up until one was there.
    fn readiness(&self, reads: bool, writes: bool, writers_before: Option<u64>) -> Events {
        let state = self.state.lock();
        let mut ready = Events::empty();
        if reads {
            if !state.slots.is_empty() || state.in_hand > 0 {
                ready |= Events::READABLE;
            }
            if state.writers == 0 && writers_before != Some(state.writer_opens) {
                ready |= Events::HANG_UP;
            }
        }
        if writes {
            if !state.is_full() {
                ready |= Events::WRITABLE;
            }
            if state.readers == 0 {
                ready |= Events::ERROR;
            }
        }
        ready
    }
}

#[cfg(test)]
mod tests;
