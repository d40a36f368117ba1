//! Messages into the peer's queue and out of the own one.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::*;

use super::endpoint::Message;
use super::{Endpoint, UnixSocket};
use crate::errno::{Errno, Result};
use crate::events::Events;
use crate::io::{Sink, Source};
use crate::ipc::raise_broken_pipe;
use crate::net::{Incoming, Outgoing, SEQUENCED, STREAM, Ucred, message};
use crate::room;

/// Bytes of a stream that go into one message.
const STREAM_CHUNK: usize = 32_768;

impl UnixSocket {
    pub(super) fn send_message(&self, source: &mut Source, outgoing: Outgoing) -> Result<usize> {
        let no_signal = outgoing.flags & message::NO_SIGNAL != 0;
        if self.endpoint.kind != STREAM {
            return self.send_record(source, outgoing);
        }
        let sent = self.send_stream(source, outgoing);
        if sent == Err(Errno::EPIPE) && !no_signal {
            raise_broken_pipe();
        }
        sent
    }

    fn may_not_wait(&self, flags: u32) -> bool {
        self.status.nonblocking() || flags & message::DONT_WAIT != 0
    }

    fn send_stream(&self, source: &mut Source, mut outgoing: Outgoing) -> Result<usize> {
        let peer = self.endpoint.peer();
        if outgoing.to.is_some() {
            return Err(if peer.is_some() { Errno::EISCONN } else { Errno::EOPNOTSUPP });
        }
        let peer = match peer {
            Some(peer) => peer,
            None => return Err(if self.is_shut_for_writing() { Errno::EPIPE } else { Errno::ENOTCONN }),
        };
        let mut count = 0;
        while source.remaining() > 0 {
            let step = source.peek(STREAM_CHUNK).and_then(|data| {
                let length = data.len();
                let files = core::mem::take(&mut outgoing.files);
                self.deliver(&peer, data, files, outgoing.flags).map(|()| length)
            });
            match step {
                Ok(length) => {
                    source.consume(length);
                    count += length;
                }
                Err(_) if count > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    /// Sends a datagram or a record.
    fn send_record(&self, source: &mut Source, outgoing: Outgoing) -> Result<usize> {
        let connected = self.endpoint.kind == SEQUENCED;
        let target = match &outgoing.to {
            Some(to) if !connected => self.find_receiver(to)?,
            _ => self.endpoint.peer().ok_or(Errno::ENOTCONN)?,
        };
        // A receiver that has chosen a peer of its own hears nobody else.
        if target.peer().is_some_and(|chosen| !Arc::ptr_eq(&chosen, &self.endpoint)) {
            return Err(Errno::EPERM);
        }
        if source.remaining() > self.send_limit() {
            return Err(Errno::EMSGSIZE);
        }
        let data = source.peek(source.remaining())?;
        let length = data.len();
        let outcome = self.deliver(&target, data, outgoing.files, outgoing.flags);
        if outcome == Err(Errno::ECONNREFUSED) {
            // The chosen peer is gone: it is no peer any more.
            let mut state = self.endpoint.state.lock();
            let chosen = state.peer.as_ref().is_some_and(|peer| Arc::ptr_eq(peer, &target));
            let old = if chosen { state.peer.take() } else { None };
            drop(state);
            drop(old);
        }
        outcome?;
        source.consume(length);
        Ok(length)
    }

    fn is_shut_for_writing(&self) -> bool {
        self.endpoint.state.lock().shut_write
    }

    /// Puts one message into `target`'s queue; waits for room.
    fn deliver(
        &self,
        target: &Arc<Endpoint>,
        data: Vec<u8>,
        files: Vec<Arc<dyn crate::file::File>>,
        flags: u32,
    ) -> Result<()> {
        room::check()?;
        let from = self.endpoint.name();
        let credentials = Ucred::of_caller(false);
        let mut message = Some(Message { data, at: 0, files, credentials, from });
        let limit = self.send_limit();
        let mut attempt = || {
            if self.is_shut_for_writing() {
                return Some(Err(Errno::EPIPE));
            }
            match target.push(&self.endpoint, limit, &mut || message.take()) {
                Ok(true) => Some(Ok(())),
                Ok(false) => None,
                Err(error) => Some(Err(error)),
            }
        };
        match attempt() {
            Some(outcome) => outcome,
            None if self.may_not_wait(flags) => Err(Errno::EAGAIN),
            None => {
                // The own end is told when the peer goes, the target when there is room.
                let _own = self.endpoint.pollee.register(crate::events::Waiter::current(), Events::OUT);
                self.sleep(&target.pollee, Events::OUT, self.options.send_deadline(), attempt)?
            }
        }
    }

    pub(super) fn receive_message(&self, sink: &mut Sink, flags: u32) -> Result<Incoming> {
        let mut incoming = Incoming::default();
        let started = sink.moved();
        loop {
            let turn = self.endpoint.reading.take()?;
            let taken = self.take_out(sink, flags, &mut incoming);
            drop(turn);
            let count = sink.moved() - started;
            let whole = flags & message::WAIT_ALL == 0
                || flags & message::PEEK != 0
                || self.endpoint.kind != STREAM
                || !incoming.files.is_empty();
            match taken {
                Err(_) if count > 0 => return Ok(incoming),
                Err(error) => return Err(error),
                Ok(true) if whole || sink.remaining() == 0 => return Ok(incoming),
                Ok(true) => continue,
                Ok(false) => {}
            }
            match self.end_of_input(flags) {
                Some(Err(_)) | Some(Ok(())) if count > 0 => return Ok(incoming),
                Some(outcome) => return outcome.map(|()| incoming),
                None => {}
            }
            let arrived = || {
                let state = self.endpoint.state.lock();
                (!state.queue.is_empty() || state.shut_read || state.reset).then_some(())
            };
            let deadline = self.options.receive_deadline();
            match self.sleep(&self.endpoint.pollee, Events::IN, deadline, arrived) {
                Err(_) if count > 0 => return Ok(incoming),
                outcome => outcome?,
            }
        }
    }

    /// With nothing in the queue: how a receive ends, if it does not wait.
    fn end_of_input(&self, flags: u32) -> Option<Result<()>> {
        let kind = self.endpoint.kind;
        let mut state = self.endpoint.state.lock();
        if !state.queue.is_empty() {
            return None;
        }
        if core::mem::take(&mut state.reset) {
            return Some(Err(Errno::ECONNRESET));
        }
        if self.endpoint.is_connected_kind() && state.peer.is_none() && !state.shut_read {
            return Some(Err(if kind == STREAM { Errno::EINVAL } else { Errno::ENOTCONN }));
        }
        let may_not_wait = self.may_not_wait(flags);
        if state.shut_read && (self.endpoint.is_connected_kind() || !may_not_wait) {
            return Some(Ok(()));
        }
        may_not_wait.then_some(Err(Errno::EAGAIN))
    }

    /// Moves what is in the queue to the reader, in its turn; whether there was something. A record is one message, a stream
    /// goes on until the sink is full or a message with files was met.
    fn take_out(&self, sink: &mut Sink, flags: u32, incoming: &mut Incoming) -> Result<bool> {
        let peeking = flags & message::PEEK != 0;
        let mut back = Vec::new();
        let mut any = false;
        let outcome = loop {
            let Some(mut message) = self.endpoint.take() else { break Ok(()) };
            if any && (!message.files.is_empty() || !incoming.files.is_empty()) {
                self.endpoint.give_back(message);
                break Ok(());
            }
            let moved = match sink.put(message.rest()) {
                Ok(moved) => moved,
                Err(error) => {
                    self.endpoint.give_back(message);
                    break if any { Ok(()) } else { Err(error) };
                }
            };
            any = true;
            self.describe(&mut message, moved, flags, incoming);
            let stream = self.endpoint.kind == STREAM;
            let whole = moved == message.rest().len();
            if peeking {
                back.push(message);
            } else if stream && !whole {
                message.at += moved;
                self.endpoint.give_back(message);
            } else {
                self.endpoint.done(message);
            }
            if !stream || !whole || sink.remaining() == 0 {
                break Ok(());
            }
        };
        for message in back.into_iter().rev() {
            self.endpoint.give_back(message);
        }
        outcome.map(|()| any)
    }

    /// Tells what came with a message of which `moved` bytes were read.
    fn describe(&self, message: &mut Message, moved: usize, flags: u32, incoming: &mut Incoming) {
        let stream = self.endpoint.kind == STREAM;
        let length = message.rest().len();
        let cut = !stream && moved < length;
        incoming.count += if cut && flags & message::TRUNCATED != 0 { length } else { moved };
        if cut {
            incoming.flags |= message::TRUNCATED;
        }
        incoming.from.clone_from(&message.from);
        if self.options.pass_credentials.load(Relaxed) {
            incoming.credentials = Some(message.credentials);
        }
        if flags & message::PEEK != 0 {
            incoming.files.clone_from(&message.files);
        } else {
            incoming.files.append(&mut message.files);
        }
    }

    /// FIONREAD: everything of a stream, else the next record.
    pub(super) fn readable_bytes(&self) -> Result<usize> {
        let state = self.endpoint.state.lock();
        if state.listener.is_some() {
            return Err(Errno::EINVAL);
        }
        let limit = if self.endpoint.kind == STREAM { usize::MAX } else { 1 };
        Ok(state.queue.iter().take(limit).map(|message| message.rest().len()).sum())
    }
}
