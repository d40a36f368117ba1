//! What splice(2) and tee(2) need of a pipe: its bytes looked at, handed on, and then taken.

use alloc::vec::Vec;

use super::{PAGE, Pipe};
use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events, wait_until};

impl Pipe {
    /// Hands the bytes at the front, at most `limit`, to `take`, which says how many it took; these leave the pipe unless
    /// `keep`. Waits for the first byte unless `nonblocking`; 0 when nobody writes any more.
    pub fn hand_on(
        &self,
        limit: usize,
        nonblocking: bool,
        keep: bool,
        take: &mut dyn FnMut(&[u8]) -> Result<usize>,
    ) -> Result<usize> {
        loop {
            // While it is our turn nobody else takes from the front.
            let turn = self.reading.take()?;
            let (bytes, ended) = self.front(limit);
            if !bytes.is_empty() {
                let taken = take(&bytes)?;
                if !keep {
                    self.discard(taken);
                }
                return Ok(taken);
            }
            drop(turn);
            if ended || limit == 0 {
                return Ok(0);
            }
            if nonblocking {
                return Err(Errno::EAGAIN);
            }
            wait_until(&self.pollee, Events::IN, Deadline::NEVER, || {
                let state = self.state.lock();
                (!state.slots.is_empty() || state.writers == 0).then_some(())
            })?;
        }
    }

    /// A copy of the bytes at the front, and whether nobody writes any more.
    fn front(&self, limit: usize) -> (Vec<u8>, bool) {
        let state = self.state.lock();
        let mut bytes = Vec::new();
        for slot in &state.slots {
            let step = (slot.end - slot.start).min(limit - bytes.len());
            bytes.extend_from_slice(&slot.page[slot.start..slot.start + step]);
            if bytes.len() == limit {
                break;
            }
        }
        (bytes, state.writers == 0)
    }

    fn discard(&self, count: usize) {
        let mut left = count;
        let mut state = self.state.lock();
        let was_full = state.is_full();
        while left > 0
            && let Some(slot) = state.slots.front_mut()
        {
            let step = left.min(slot.end - slot.start);
            slot.start += step;
            let empty = slot.start == slot.end;
            left -= step;
            state.bytes -= step;
            if empty && let Some(slot) = state.slots.pop_front() {
                state.keep(slot.page);
            }
        }
        drop(state);
        if was_full {
            self.pollee.notify(Events::WRITABLE);
        }
    }

    /// How many bytes can be written at once; waits for room unless `nonblocking`. `EPIPE` when nobody reads.
    pub fn room(&self, nonblocking: bool) -> Result<usize> {
        let look = || {
            let state = self.state.lock();
            let free = state.limit.saturating_sub(state.slots.len() + state.in_hand);
            (free > 0 || state.readers == 0).then_some(if state.readers == 0 { 0 } else { free * PAGE })
        };
        let room = match look() {
            Some(room) => room,
            None if nonblocking => return Err(Errno::EAGAIN),
            None => wait_until(&self.pollee, Events::OUT, Deadline::NEVER, look)?,
        };
        if room == 0 {
            super::raise_broken_pipe();
            return Err(Errno::EPIPE);
        }
        Ok(room)
    }
}
