//! listen(2), accept(2), connect(2) of UNIX sockets.

use alloc::sync::Arc;

use super::{Endpoint, UnixSocket, name};
use crate::errno::{Errno, Result};
use crate::events::Events;
use crate::net::{UNSPECIFIED, Ucred, family};

/// Longest queue of listen(2) (/proc/sys/net/core/somaxconn).
const BACKLOG_LIMIT: u32 = 4096;

impl UnixSocket {
    pub(super) fn start_listening(&self, backlog: i32) -> Result<()> {
        if !self.endpoint.is_connected_kind() {
            return Err(Errno::EOPNOTSUPP);
        }
        let credentials = Some(Ucred::of_caller(true));
        let mut state = self.endpoint.state.lock();
        if state.name.is_empty() || state.peer.is_some() {
            return Err(Errno::EINVAL);
        }
        let listener = state.listener.get_or_insert_default();
        listener.backlog = (backlog as u32).min(BACKLOG_LIMIT) as usize;
        listener.credentials = credentials;
        state.peer_credentials = credentials;
        drop(state);
        // Who waits for a place in the queue.
        self.endpoint.pollee.notify(Events::WRITABLE);
        Ok(())
    }

    /// The next connection; waits for it.
    pub(super) fn take_connection(&self) -> Result<Arc<UnixSocket>> {
        if !self.endpoint.is_connected_kind() {
            return Err(Errno::EOPNOTSUPP);
        }
        let next = || {
            let mut state = self.endpoint.state.lock();
            let shut = state.shut_read;
            let Some(listener) = &mut state.listener else { return Some(Err(Errno::EINVAL)) };
            match listener.pending.pop_front() {
                Some(connection) => Some(Ok(connection)),
                None if shut => Some(Err(Errno::EINVAL)),
                None => None,
            }
        };
        let accepted = match next() {
            Some(found) => found?,
            None if self.status.nonblocking() => return Err(Errno::EAGAIN),
            None => {
                let deadline = self.options.receive_deadline();
                self.sleep(&self.endpoint.pollee, Events::IN, deadline, next)??
            }
        };
        self.endpoint.pollee.notify(Events::WRITABLE);
        Ok(accepted)
    }

    pub(super) fn connect_to(&self, address: &[u8]) -> Result<()> {
        if !self.endpoint.is_connected_kind() {
            return self.choose_peer(address);
        }
        loop {
            let target = name::find(address)?;
            if target.kind != self.endpoint.kind {
                return Err(Errno::EPROTOTYPE);
            }
            match self.try_connect(&target) {
                Err(Errno::EAGAIN) if !self.status.nonblocking() => {}
                outcome => return outcome,
            }
            let room = || {
                let state = target.state.lock();
                let full = state.listener.as_ref().is_some_and(|it| it.pending.len() > it.backlog);
                (!full || state.dead || state.shut_read).then_some(())
            };
            self.sleep(&target.pollee, Events::OUT, self.options.send_deadline(), room)?;
        }
    }

    /// Enters the listener's queue with the other end of the new connection; `EAGAIN` when it is full.
    fn try_connect(&self, target: &Arc<Endpoint>) -> Result<()> {
        let server = UnixSocket::new(target.kind, false);
        {
            let mut state = server.endpoint.state.lock();
            state.peer = Some(self.endpoint.clone());
            state.peer_credentials = Some(Ucred::of_caller(true));
        }
        let entered = self.enter_queue(target, &server);
        if entered.is_err() {
            // It never was a connection: its end must not reach the client.
            let client = server.endpoint.state.lock().peer.take();
            drop(client);
        }
        entered
    }

    /// One lock at a time: the client is connected first, and no more when the listener does not take it.
    fn enter_queue(&self, target: &Arc<Endpoint>, server: &Arc<UnixSocket>) -> Result<()> {
        {
            let mut state = target.state.lock();
            let shut = state.shut_read;
            let listener = state.listener.as_mut().filter(|_| !shut).ok_or(Errno::ECONNREFUSED)?;
            if listener.pending.len() > listener.backlog {
                return Err(Errno::EAGAIN);
            }
        }
        {
            let mut client = self.endpoint.state.lock();
            if client.peer.is_some() {
                return Err(Errno::EISCONN);
            }
            if client.listener.is_some() {
                return Err(Errno::EINVAL);
            }
            client.peer = Some(server.endpoint.clone());
        }
        let mut state = target.state.lock();
        let name = state.name.clone();
        let outcome = match &mut state.listener {
            None => Err(Errno::ECONNREFUSED),
            Some(listener) if listener.pending.len() > listener.backlog => Err(Errno::EAGAIN),
            Some(listener) => {
                server.endpoint.state.lock().name = name;
                listener.pending.push_back(server.clone());
                Ok(listener.credentials)
            }
        };
        drop(state);
        let mut client = self.endpoint.state.lock();
        let old = if outcome.is_err() { client.peer.take() } else { None };
        client.peer_credentials = outcome.unwrap_or_default();
        drop(client);
        drop(old);
        outcome?;
        target.pollee.notify(Events::READABLE);
        self.endpoint.pollee.notify(Events::WRITABLE);
        Ok(())
    }

    /// connect(2) of a datagram socket: where it sends to, and from whom it receives.
    fn choose_peer(&self, address: &[u8]) -> Result<()> {
        if family(address)? == UNSPECIFIED {
            let old = self.endpoint.state.lock().peer.take();
            drop(old);
            return Ok(());
        }
        let target = self.find_receiver(address)?;
        let mut state = self.endpoint.state.lock();
        let old = state.peer.replace(target);
        drop(state);
        drop(old);
        Ok(())
    }

    /// The datagram socket with this name, if this one may send to it.
    pub(super) fn find_receiver(&self, address: &[u8]) -> Result<Arc<Endpoint>> {
        let target = name::find(address)?;
        if target.kind != self.endpoint.kind {
            return Err(Errno::EPROTOTYPE);
        }
        match target.peer() {
            Some(chosen) if !Arc::ptr_eq(&chosen, &self.endpoint) => Err(Errno::EPERM),
            _ => Ok(target),
        }
    }
}
