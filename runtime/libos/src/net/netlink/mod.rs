//! Sockets of rtnetlink(7), answered inside: what interfaces and addresses the host's network has. Nothing is changed by them,
//! and of changes nobody is told.

mod route;

use alloc::collections::{BTreeSet, VecDeque};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::Ordering::*;

use casemate_platform::sync::Mutex;

use super::unix::option::{self, Options};
use super::{DATAGRAM, Incoming, NETLINK, Outgoing, Socket, UNSPECIFIED, Ucred, address, interface, message};
use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events, Pollee, Poller, wait_until};
use crate::file::{File, OpenFlags, StatusFlags};
use crate::io::{Sink, Source};
use crate::ipc::anonymous_stat;
use crate::room;
use crate::stat::{FileType, Stat};

/// SOCK_RAW.
const RAW: u32 = 3;
/// NETLINK_ROUTE, the only protocol there is.
const ROUTE: u32 = 0;
/// sizeof(struct sockaddr_nl).
const ADDRESS: usize = 12;
/// Longest request.
const REQUEST_LIMIT: usize = 32_768;
/// Most bytes that wait to be received; what is beyond them is lost, and `ENOBUFS` tells.
const QUEUE_LIMIT: usize = 212_992;
/// Ports for those whose process has one already begin here and go down.
const SPARE_PORTS: u32 = -4097_i32 as u32;

/// Ports in use.
static PORTS: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

#[derive(Default)]
struct State {
    port: Option<u32>,
    queue: VecDeque<Vec<u8>>,
    queued: usize,
    /// Answers were lost.
    lost: bool,
}

/// A netlink socket.
pub struct NetlinkSocket {
    kind: u32,
    options: Options,
    status: StatusFlags,
    pollee: Pollee,
    state: Mutex<State>,
    stat: Stat,
}

impl NetlinkSocket {
    /// socket(2).
    pub fn open(kind: u32, protocol: u32, nonblocking: bool) -> Result<Arc<NetlinkSocket>> {
        if !matches!(kind, RAW | DATAGRAM) {
            return Err(Errno::ESOCKTNOSUPPORT);
        }
        if protocol != ROUTE {
            return Err(Errno::EPROTONOSUPPORT);
        }
        let mut flags = OpenFlags::READ_WRITE;
        flags.set(OpenFlags::NONBLOCK, nonblocking);
        Ok(Arc::new(NetlinkSocket {
            kind,
            options: Options::default(),
            status: StatusFlags::new(flags),
            pollee: Pollee::new(),
            state: Mutex::default(),
            stat: anonymous_stat(FileType::Socket, 0o777),
        }))
    }

    /// The port; takes one if there is none: the process's number, if that is free.
    fn port(&self) -> u32 {
        let mut state = self.state.lock();
        if let Some(port) = state.port {
            return port;
        }
        let mut ports = PORTS.lock();
        let mut port = Ucred::of_caller(false).pid;
        if !ports.insert(port) {
            port = SPARE_PORTS;
            while !ports.insert(port) {
                port -= 1;
            }
        }
        state.port = Some(port);
        port
    }

    fn enqueue(&self, answers: Vec<Vec<u8>>) {
        let mut state = self.state.lock();
        for answer in answers {
            if state.queued + answer.len() > QUEUE_LIMIT {
                state.lost = true;
                break;
            }
            state.queued += answer.len();
            state.queue.push_back(answer);
        }
        drop(state);
        self.pollee.notify(Events::READABLE);
    }

    /// The next answer, which stays when it is only looked at; or how a receive ends without one.
    fn next(&self, peek: bool) -> Option<Result<Vec<u8>>> {
        let mut state = self.state.lock();
        if core::mem::take(&mut state.lost) {
            return Some(Err(Errno::ENOBUFS));
        }
        if peek {
            return state.queue.front().cloned().map(Ok);
        }
        let answer = state.queue.pop_front()?;
        state.queued -= answer.len();
        Some(Ok(answer))
    }
}

impl Drop for NetlinkSocket {
    fn drop(&mut self) {
        if let Some(port) = self.state.lock().port {
            PORTS.lock().remove(&port);
        }
    }
}

/// Port and groups of a struct sockaddr_nl.
fn parse(at: &[u8]) -> Result<(u32, u32)> {
    if at.len() < ADDRESS || address::family(at)? != NETLINK {
        return Err(Errno::EINVAL);
    }
    let word = |from: usize| u32::from_le_bytes([at[from], at[from + 1], at[from + 2], at[from + 3]]);
    Ok((word(4), word(8)))
}

/// A struct sockaddr_nl without groups.
fn sockaddr(port: u32) -> Vec<u8> {
    let words = [NETLINK, port, 0];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Only the kernel may be spoken to, whose port is 0.
fn check_destination(at: &[u8]) -> Result<()> {
    if parse(at)? == (0, 0) { Ok(()) } else { Err(Errno::EPERM) }
}

impl Socket for NetlinkSocket {
    /// Groups would tell of changes, which nobody can here: `EPERM`.
    fn bind(&self, address: &[u8]) -> Result<()> {
        let (port, groups) = parse(address)?;
        if groups != 0 {
            return Err(Errno::EPERM);
        }
        let mut state = self.state.lock();
        match state.port {
            Some(own) if own != port => return Err(Errno::EINVAL),
            Some(_) => return Ok(()),
            None if port != 0 => {
                if !PORTS.lock().insert(port) {
                    return Err(Errno::EADDRINUSE);
                }
                state.port = Some(port);
                return Ok(());
            }
            None => {}
        }
        drop(state);
        self.port();
        Ok(())
    }

    fn listen(&self, _backlog: i32) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    fn accept(&self, _nonblocking: bool) -> Result<(Arc<dyn File>, Vec<u8>)> {
        Err(Errno::EOPNOTSUPP)
    }

    fn connect(&self, address: &[u8]) -> Result<()> {
        if address::family(address)? != UNSPECIFIED {
            check_destination(address)?;
            self.port();
        }
        Ok(())
    }

    fn name(&self, peer: bool) -> Result<Vec<u8>> {
        let port = self.state.lock().port.filter(|_| !peer);
        Ok(sockaddr(port.unwrap_or(0)))
    }

    fn shutdown(&self, _how: u32) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    fn option(&self, level: u32, name: u32, capacity: usize) -> Result<Vec<u8>> {
        if level != option::SOCKET {
            return Err(Errno::ENOPROTOOPT);
        }
        let number = |value: u32| value.to_le_bytes().to_vec();
        let mut value = match name {
            3 => number(self.kind),
            4 | 30 | 38 => number(0),
            39 => number(NETLINK),
            _ => self.options.get(name)?,
        };
        value.truncate(capacity);
        Ok(value)
    }

    fn set_option(&self, level: u32, name: u32, value: &[u8]) -> Result<()> {
        if level == option::SOCKET { self.options.set(name, value) } else { Err(Errno::ENOPROTOOPT) }
    }

    fn send(&self, source: &mut Source, outgoing: Outgoing) -> Result<usize> {
        if outgoing.flags & message::OUT_OF_BAND != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if let Some(to) = &outgoing.to {
            check_destination(to)?;
        }
        if source.remaining() > REQUEST_LIMIT {
            return Err(Errno::EMSGSIZE);
        }
        room::check_for(2 * QUEUE_LIMIT)?;
        let port = self.port();
        let requests = source.peek(source.remaining())?;
        source.consume(requests.len());
        self.enqueue(route::answer(&requests, port, QUEUE_LIMIT));
        Ok(requests.len())
    }

    fn receive(&self, sink: &mut Sink, flags: u32) -> Result<Incoming> {
        if flags & message::OUT_OF_BAND != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let peek = flags & message::PEEK != 0;
        let answer = match self.next(peek) {
            Some(answer) => answer?,
            None if self.status.nonblocking() || flags & message::DONT_WAIT != 0 => {
                return Err(Errno::EAGAIN);
            }
            None => {
                let deadline = self.options.receive_deadline();
                let waited = wait_until(&self.pollee, Events::IN, deadline, || self.next(peek));
                waited.map_err(|error| match error {
                    Errno::ETIMEDOUT => Errno::EAGAIN,
                    Errno::ERESTARTSYS if deadline != Deadline::NEVER => Errno::EINTR,
                    other => other,
                })??
            }
        };
        let moved = sink.put(&answer)?;
        let cut = moved < answer.len();
        let nobody = Ucred { pid: 0, uid: 0, gid: 0 };
        Ok(Incoming {
            count: if cut && flags & message::TRUNCATED != 0 { answer.len() } else { moved },
            from: sockaddr(0),
            flags: if cut { message::TRUNCATED } else { 0 },
            credentials: self.options.pass_credentials.load(Relaxed).then_some(nobody),
            ..Incoming::default()
        })
    }
}

impl File for NetlinkSocket {
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
        self.receive(sink, 0).map(|incoming| incoming.count)
    }

    fn write(&self, source: &mut Source) -> Result<usize> {
        self.send(source, Outgoing::default())
    }

    fn poll(&self, poller: Option<&mut Poller>) -> Events {
        if let Some(poller) = poller {
            poller.observe(&self.pollee, Events::READABLE);
        }
        let state = self.state.lock();
        let mut ready = Events::WRITABLE | Events::WRITE_BAND;
        if !state.queue.is_empty() {
            ready |= Events::READABLE;
        }
        if state.lost {
            ready |= Events::ERROR;
        }
        ready
    }

    fn ioctl(&self, request: u32, argument: u64) -> Result<usize> {
        interface::ioctl(NETLINK, request, argument)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
