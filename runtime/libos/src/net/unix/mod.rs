//! UNIX sockets: they never leave the library OS.

mod connection;
mod endpoint;
mod name;
pub(super) mod option;
mod transfer;

pub use endpoint::Endpoint;

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::Ordering::*;

use self::option::Options;
use super::{Incoming, Outgoing, Socket, Ucred, interface, message};
use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events, Pollee, Poller, wait_until};
use crate::file::{File, OpenFlags, StatusFlags};
use crate::io::{Sink, Source};
use crate::ipc::anonymous_stat;
use crate::stat::{FileType, Stat};
use crate::user_space::{self, Addr};

const FIONREAD: u32 = 0x541b;
const TIOCOUTQ: u32 = 0x5411;

/// A UNIX socket.
pub struct UnixSocket {
    endpoint: Arc<Endpoint>,
    options: Options,
    status: StatusFlags,
    stat: Stat,
}

impl UnixSocket {
    /// A socket without name or peer.
    pub fn new(kind: u32, nonblocking: bool) -> Arc<UnixSocket> {
        UnixSocket::with(Endpoint::new(kind), nonblocking)
    }

    fn with(endpoint: Arc<Endpoint>, nonblocking: bool) -> Arc<UnixSocket> {
        let mut flags = OpenFlags::READ_WRITE;
        flags.set(OpenFlags::NONBLOCK, nonblocking);
        Arc::new(UnixSocket {
            endpoint,
            options: Options::default(),
            status: StatusFlags::new(flags),
            stat: anonymous_stat(FileType::Socket, 0o777),
        })
    }

    /// socketpair(2).
    pub fn pair(kind: u32, nonblocking: bool) -> [Arc<UnixSocket>; 2] {
        let [first, second] = [UnixSocket::new(kind, nonblocking), UnixSocket::new(kind, nonblocking)];
        for (one, other) in [(&first, &second), (&second, &first)] {
            let mut state = one.endpoint.state.lock();
            state.peer = Some(other.endpoint.clone());
            state.peer_credentials = Some(Ucred::of_caller(true));
        }
        [first, second]
    }

    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    fn send_limit(&self) -> usize {
        self.options.send_buffer.load(Relaxed)
    }

    /// Sleeps until `condition` gives a value. With a time limit signals are not followed by a restart, as on Linux.
    fn sleep<T>(
        &self,
        pollee: &Pollee,
        events: Events,
        deadline: Deadline,
        condition: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        wait_until(pollee, events, deadline, condition).map_err(|error| match error {
            Errno::ETIMEDOUT => Errno::EAGAIN,
            Errno::ERESTARTSYS if deadline != Deadline::NEVER => Errno::EINTR,
            other => other,
        })
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let name = self.endpoint.name();
        self.endpoint.close();
        // An accepted connection has its listener's name, and does not own it.
        if self.endpoint.state.lock().owns_name {
            name::release(&name);
        }
    }
}

impl Socket for UnixSocket {
    fn bind(&self, address: &[u8]) -> Result<()> {
        if !self.endpoint.name().is_empty() {
            name::parse(address)?;
            return Err(Errno::EINVAL);
        }
        let name = name::bind(&self.endpoint, address)?;
        let mut state = self.endpoint.state.lock();
        state.name = name;
        state.owns_name = true;
        Ok(())
    }

    fn listen(&self, backlog: i32) -> Result<()> {
        self.start_listening(backlog)
    }

    fn accept(&self, nonblocking: bool) -> Result<(Arc<dyn File>, Vec<u8>)> {
        let accepted = self.take_connection()?;
        let flags = accepted.status.get().bits() | OpenFlags::NONBLOCK.bits();
        accepted.status.set(if nonblocking { flags } else { flags & !OpenFlags::NONBLOCK.bits() });
        let peer = accepted.name(true).unwrap_or_else(|_| name::unnamed());
        Ok((accepted, peer))
    }

    fn connect(&self, address: &[u8]) -> Result<()> {
        self.connect_to(address)
    }

    fn name(&self, peer: bool) -> Result<Vec<u8>> {
        let whose = if peer { self.endpoint.peer().ok_or(Errno::ENOTCONN)? } else { self.endpoint.clone() };
        let name = whose.name();
        Ok(if name.is_empty() { name::unnamed() } else { name })
    }

    fn shutdown(&self, how: u32) -> Result<()> {
        self.endpoint.shut(how != 1, how != 0);
        Ok(())
    }

    fn option(&self, level: u32, name: u32, capacity: usize) -> Result<Vec<u8>> {
        if level != option::SOCKET {
            return Err(Errno::EOPNOTSUPP);
        }
        let number = |value: u32| value.to_le_bytes().to_vec();
        let mut value = match name {
            3 => number(self.endpoint.kind),
            4 => {
                let reset = core::mem::take(&mut self.endpoint.state.lock().reset);
                number(if reset { Errno::ECONNRESET.0 as u32 } else { 0 })
            }
            17 => {
                let nobody = Ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
                let peer = self.endpoint.state.lock().peer_credentials;
                peer.unwrap_or(nobody).to_bytes().to_vec()
            }
            30 => number(self.endpoint.state.lock().listener.is_some() as u32),
            38 => number(0),
            39 => number(super::UNIX),
            _ => self.options.get(name)?,
        };
        value.truncate(capacity);
        Ok(value)
    }

    fn set_option(&self, level: u32, name: u32, value: &[u8]) -> Result<()> {
        if level == option::SOCKET { self.options.set(name, value) } else { Err(Errno::EOPNOTSUPP) }
    }

    fn send(&self, source: &mut Source, outgoing: Outgoing) -> Result<usize> {
        if outgoing.flags & message::OUT_OF_BAND != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        self.send_message(source, outgoing)
    }

    fn receive(&self, sink: &mut Sink, flags: u32) -> Result<Incoming> {
        if flags & message::OUT_OF_BAND != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        self.receive_message(sink, flags)
    }
}

impl File for UnixSocket {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        Ok(self.stat)
    }

    fn path_text(&self) -> Vec<u8> {
        format!("socket:[{}]", self.stat.inode).into_bytes()
    }

    fn read(&self, sink: &mut Sink) -> Result<usize> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        self.receive(sink, 0).map(|incoming| incoming.count)
    }

    fn write(&self, source: &mut Source) -> Result<usize> {
        self.send(source, Outgoing::default())
    }

    fn poll(&self, poller: Option<&mut Poller>) -> Events {
        if let Some(poller) = poller {
            poller.observe(&self.endpoint.pollee, Events::READABLE | Events::WRITABLE);
            // Room in a datagram peer's queue is made by its reader, who does not know everybody that waits.
            if let Some(peer) = self.endpoint.peer().filter(|_| !self.endpoint.is_connected_kind()) {
                poller.observe(&peer.pollee, Events::WRITABLE);
            }
        }
        self.endpoint.readiness(self.send_limit())
    }

    fn ioctl(&self, request: u32, argument: u64) -> Result<usize> {
        let bytes = match request {
            FIONREAD => self.readable_bytes()?,
            TIOCOUTQ => self.endpoint.peer().map_or(0, |peer| peer.state.lock().charged),
            _ => return interface::ioctl(super::UNIX, request, argument),
        };
        user_space::write_u32(Addr(argument), bytes as u32)?;
        Ok(0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests;
