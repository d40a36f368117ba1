//! What two UNIX sockets see of each other: a queue of messages, who is the peer, what is shut down.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use casemate_platform::sync::Mutex;

use super::UnixSocket;
use crate::errno::{Errno, Result};
use crate::events::{Events, Pollee};
use crate::file::File;
use crate::fs::turn::Turn;
use crate::net::{DATAGRAM, Ucred};

/// What a message counts for beside its bytes.
const MESSAGE_OVERHEAD: usize = 768;
/// Datagrams that may wait beyond the first, from senders who are not the receiver's own peer.
const DATAGRAM_BACKLOG: usize = 10;

/// Bytes in a queue, and what came with them.
pub struct Message {
    /// The bytes; those before `at` were read.
    pub data: Vec<u8>,
    /// See `data`.
    pub at: usize,
    /// SCM_RIGHTS.
    pub files: Vec<Arc<dyn File>>,
    /// Who sent it.
    pub credentials: Ucred,
    /// The sender's name.
    pub from: Vec<u8>,
}

impl Message {
    fn charge(&self) -> usize {
        self.data.len() + MESSAGE_OVERHEAD
    }

    /// Bytes not read yet.
    pub fn rest(&self) -> &[u8] {
        &self.data[self.at..]
    }
}

/// Connections that wait for accept(2).
#[derive(Default)]
pub struct Listener {
    pub(super) backlog: usize,
    pub(super) pending: VecDeque<Arc<UnixSocket>>,
    pub(super) credentials: Option<Ucred>,
}

/// The changing part of an endpoint.
#[derive(Default)]
pub struct State {
    pub(super) queue: VecDeque<Message>,
    /// What the messages in the queue, and the one that a reader holds, count for.
    pub(super) charged: usize,
    /// A reader has a message in its hands.
    pub(super) held: bool,
    pub(super) shut_read: bool,
    pub(super) shut_write: bool,
    /// The socket is closed.
    pub(super) dead: bool,
    /// The peer went away without reading everything: the next call says so.
    pub(super) reset: bool,
    pub(super) listener: Option<Listener>,
    /// The whole address; empty without a name.
    pub(super) name: Vec<u8>,
    /// The name was given by bind(2).
    pub(super) owns_name: bool,
    pub(super) peer: Option<Arc<Endpoint>>,
    pub(super) peer_credentials: Option<Ucred>,
}

/// One end.
pub struct Endpoint {
    /// SOCK_*.
    pub kind: u32,
    /// Told of input, and of room in this end's queue.
    pub pollee: Pollee,
    /// Readers take turns.
    pub reading: Turn,
    pub(super) state: Mutex<State>,
}

impl Endpoint {
    /// One without name or peer.
    pub fn new(kind: u32) -> Arc<Endpoint> {
        Arc::new(Endpoint { kind, pollee: Pollee::new(), reading: Turn::new(), state: Mutex::default() })
    }

    /// Whether it has connections.
    pub fn is_connected_kind(&self) -> bool {
        self.kind != DATAGRAM
    }

    /// Its peer.
    pub fn peer(&self) -> Option<Arc<Endpoint>> {
        self.state.lock().peer.clone()
    }

    /// Its address; empty without a name.
    pub fn name(&self) -> Vec<u8> {
        self.state.lock().name.clone()
    }

    fn is_full(&self, state: &State, sender: &Arc<Endpoint>, limit: usize) -> bool {
        let own_peer = state.peer.as_ref().is_some_and(|peer| Arc::ptr_eq(peer, sender));
        state.charged >= limit || !own_peer && state.queue.len() > DATAGRAM_BACKLOG
    }

    /// Whether a sender with this limit would be told to write.
    pub fn has_room(&self, sender: &Arc<Endpoint>, limit: usize) -> bool {
        let state = self.state.lock();
        !self.is_full(&state, sender, limit) && state.charged * 4 <= limit
    }

    /// Adds a message from `sender`. `Ok(false)`: no room. `EPIPE` when this end reads no more, `ECONNREFUSED` when it is gone.
    /// The message is made only when there is room.
    pub fn push(
        &self,
        sender: &Arc<Endpoint>,
        limit: usize,
        make: &mut dyn FnMut() -> Option<Message>,
    ) -> Result<bool> {
        let mut state = self.state.lock();
        if state.dead {
            return Err(if self.is_connected_kind() { Errno::EPIPE } else { Errno::ECONNREFUSED });
        }
        if state.shut_read {
            return Err(Errno::EPIPE);
        }
        if self.is_full(&state, sender, limit) {
            return Ok(false);
        }
        if let Some(message) = make() {
            state.charged += message.charge();
            state.queue.push_back(message);
        }
        drop(state);
        self.pollee.notify(Events::READABLE);
        Ok(true)
    }

    /// Takes the next message out; it is given back or [`Self::done`] with.
    pub fn take(&self) -> Option<Message> {
        let mut state = self.state.lock();
        let message = state.queue.pop_front()?;
        state.held = true;
        Some(message)
    }

    /// Puts a message back to the front: it was only looked at, or not read to its end.
    pub fn give_back(&self, message: Message) {
        let mut state = self.state.lock();
        state.held = false;
        state.queue.push_front(message);
    }

    /// A message was read: there is room again.
    pub fn done(&self, message: Message) {
        let mut state = self.state.lock();
        state.held = false;
        state.charged -= message.charge().min(state.charged);
        let peer = state.peer.clone();
        drop(state);
        drop(message);
        self.pollee.notify(Events::WRITABLE);
        if let Some(peer) = peer {
            peer.pollee.notify(Events::WRITABLE);
        }
    }

    /// Shuts directions down, here and, for connections, the other way round at the peer.
    pub fn shut(&self, read: bool, write: bool) {
        let peer = {
            let mut state = self.state.lock();
            state.shut_read |= read;
            state.shut_write |= write;
            state.peer.clone()
        };
        if let Some(peer) = peer.filter(|_| self.is_connected_kind()) {
            let mut state = peer.state.lock();
            state.shut_read |= write;
            state.shut_write |= read;
            drop(state);
            peer.tell_all();
        }
        self.tell_all();
    }

    /// The socket was closed.
    pub fn close(&self) {
        let (unread, listener, peer) = {
            let mut state = self.state.lock();
            state.dead = true;
            state.charged = 0;
            (core::mem::take(&mut state.queue), state.listener.take(), state.peer.take())
        };
        if let Some(peer) = peer.filter(|_| self.is_connected_kind()) {
            let mut state = peer.state.lock();
            state.shut_read = true;
            state.shut_write = true;
            state.reset |= !unread.is_empty();
            drop(state);
            peer.tell_all();
        }
        for waiting in listener.into_iter().flat_map(|listener| listener.pending) {
            if let Some(client) = waiting.endpoint().peer() {
                client.state.lock().reset = true;
            }
        }
        drop(unread);
        self.tell_all();
    }

    /// Everything may have changed.
    pub fn tell_all(&self) {
        self.pollee.notify(Events::READABLE | Events::WRITABLE | Events::HANG_UP | Events::READ_HANG_UP);
    }

    /// What poll(2) says of this end for a sender with this limit.
    pub fn readiness(self: &Arc<Self>, limit: usize) -> Events {
        let mut ready = Events::empty();
        let state = self.state.lock();
        let listening = state.listener.as_ref().map(|listener| !listener.pending.is_empty());
        if state.reset {
            ready |= Events::ERROR;
        }
        if state.shut_read {
            ready |= Events::READABLE | Events::READ_HANG_UP;
        }
        if state.shut_read && state.shut_write
            || self.is_connected_kind() && state.peer.is_none() && listening.is_none()
        {
            ready |= Events::HANG_UP;
        }
        if !state.queue.is_empty() || state.held || listening == Some(true) {
            ready |= Events::READABLE;
        }
        let peer = state.peer.clone();
        drop(state);
        if listening.is_none() && peer.is_none_or(|peer| peer.has_room(self, limit)) {
            ready |= Events::WRITABLE | Events::WRITE_BAND;
        }
        ready
    }
}
