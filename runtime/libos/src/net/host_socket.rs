//! Sockets of the Internet families: descriptors of the host. What it says is checked here and in the platform layer; what
//! it does with the bytes is its own business, so programs that care use TLS.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, Ordering::*};

use casemate_platform::host::{self, Beside, Bytes, HostFd, TRANSFER_LIMIT};
use casemate_platform::sync::Mutex;
use casemate_platform::thread;

use super::control::{self, ControlMessage, Stamp};
use super::host_option::{Access, access};
use super::{ADDRESS_LIMIT, Incoming, Outgoing, STREAM, Socket, address, interface, message};
use crate::errno::{Errno, Result};
use crate::events::{Events, Poller, blocking, poll_host};
use crate::file::{File, OpenFlags, StatusFlags};
use crate::io::{Sink, Source};
use crate::ipc::{anonymous_stat, raise_broken_pipe};
use crate::stat::{FileType, Stat};
use crate::user_space::{self, Addr};

const FIONREAD: u32 = 0x541b;
const TIOCOUTQ: u32 = 0x5411;
/// MSG_* flags that a send may hand to the host: OOB DONTROUTE DONTWAIT EOR MORE.
const SEND_FLAGS: u32 = message::OUT_OF_BAND | 0x4 | message::DONT_WAIT | message::END_OF_RECORD | 0x8000;
/// MSG_* flags that a receive may hand to the host.
const RECEIVE_FLAGS: u32 =
    message::OUT_OF_BAND | message::PEEK | message::TRUNCATED | message::DONT_WAIT | message::WAIT_ALL;

/// Level and name of SO_SNDTIMEO.
const SEND_TIMEOUT: (u32, u32) = (1, 21);

/// A socket of the host.
pub struct HostSocket {
    fd: HostFd,
    domain: u32,
    kind: u32,
    protocol: u32,
    status: StatusFlags,
    /// O_NONBLOCK as the host has it.
    host_nonblocking: AtomicBool,
    /// SO_SNDTIMEO is set: a send that was cut short is over.
    send_times_out: AtomicBool,
    /// An option asks for control messages.
    wants_control: AtomicBool,
    /// SO_TIMESTAMP or SO_TIMESTAMPNS.
    stamp: Mutex<Option<Stamp>>,
    stat: Stat,
}

impl HostSocket {
    /// socket(2).
    pub fn open(domain: u32, kind: u32, protocol: u32, nonblocking: bool) -> Result<Arc<HostSocket>> {
        let fd = host::socket_open(domain, kind, protocol)?;
        let protocol = match (kind, protocol) {
            (STREAM, 0) => 6,
            (super::DATAGRAM, 0) => 17,
            (_, other) => other,
        };
        Ok(HostSocket::new(fd, domain, kind, protocol, nonblocking))
    }

    fn new(fd: HostFd, domain: u32, kind: u32, protocol: u32, nonblocking: bool) -> Arc<HostSocket> {
        let mut flags = OpenFlags::READ_WRITE;
        flags.set(OpenFlags::NONBLOCK, nonblocking);
        Arc::new(HostSocket {
            fd,
            domain,
            kind,
            protocol,
            status: StatusFlags::new(flags),
            host_nonblocking: AtomicBool::new(false),
            send_times_out: AtomicBool::new(false),
            wants_control: AtomicBool::new(false),
            stamp: Mutex::new(None),
            stat: anonymous_stat(FileType::Socket, 0o777),
        })
    }

    /// MSG_* flags of a transfer as the host gets them. O_NONBLOCK means MSG_DONTWAIT for each (net/socket.c); said with the
    /// call, it need not leave the enclave (`casemate_abi::is_short`).
    fn with_mode(&self, flags: u32) -> u32 {
        if self.status.nonblocking() { flags | message::DONT_WAIT } else { flags }
    }

    /// Makes a host call that may sleep, in the program's mode. A call that does not sleep is not ended by signals.
    fn call<T, E: Into<Errno>>(&self, dont_wait: bool, mut call: impl FnMut() -> Result<T, E>) -> Result<T> {
        let nonblocking = self.status.nonblocking();
        if self.host_nonblocking.load(Relaxed) != nonblocking {
            host::fd_set_nonblocking(&self.fd, nonblocking)?;
            self.host_nonblocking.store(nonblocking, Relaxed);
        }
        if !nonblocking && !dont_wait {
            return blocking(call);
        }
        loop {
            thread::clear_wake();
            match call().map_err(Into::into) {
                Err(Errno::ERESTARTSYS) => {}
                outcome => {
                    // A wake-up that came for a signal must not be lost on a later sleep: sleeps look for signals first.
                    return outcome;
                }
            }
        }
    }

    fn check_address(&self, address: &[u8]) -> Result<()> {
        if address.len() > ADDRESS_LIMIT {
            return Err(Errno::EINVAL);
        }
        address::family(address).map(drop)
    }

    fn send_datagram(
        &self,
        source: &mut Source,
        to: &[u8],
        control: &[ControlMessage],
        flags: u32,
    ) -> Result<usize> {
        let control = control::outgoing(control)?;
        if source.remaining() > TRANSFER_LIMIT {
            return Err(Errno::EMSGSIZE);
        }
        let bytes = source.peek(TRANSFER_LIMIT)?;
        let dont_wait = flags & message::DONT_WAIT != 0;
        let send = || host::socket_send(&self.fd, Bytes::Kernel(&bytes), to, &control, flags);
        let sent = self.call(dont_wait, send)?;
        source.consume(sent);
        Ok(sent)
    }

    /// Sends everything that may wait for room; else what there is room for.
    fn send_stream(&self, source: &mut Source, to: &[u8], flags: u32) -> Result<usize> {
        let dont_wait = flags & message::DONT_WAIT != 0;
        let before = source.moved();
        let outcome = loop {
            let wanted = source.remaining().min(TRANSFER_LIMIT);
            // Several segments go together; one goes without a copy in between.
            let sent = if source.is_contiguous() {
                source.send(TRANSFER_LIMIT, |bytes| {
                    self.call(dont_wait, || host::socket_send(&self.fd, bytes, to, &[], flags))
                })
            } else {
                source.peek(TRANSFER_LIMIT).and_then(|bytes| {
                    let send = || host::socket_send(&self.fd, Bytes::Kernel(&bytes), to, &[], flags);
                    self.call(dont_wait, send).inspect(|&sent| source.consume(sent))
                })
            };
            match sent {
                Ok(sent) if source.remaining() == 0 || sent < wanted && self.may_not_wait(dont_wait) => {
                    break Ok(());
                }
                Ok(0) => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        match (outcome, source.moved() - before) {
            (Err(error), 0) => Err(error),
            (_, count) => Ok(count),
        }
    }

    fn may_not_wait(&self, dont_wait: bool) -> bool {
        dont_wait || self.status.nonblocking() || self.send_times_out.load(Relaxed)
    }
}

impl Socket for HostSocket {
    fn bind(&self, address: &[u8]) -> Result<()> {
        self.check_address(address)?;
        Ok(host::socket_bind(&self.fd, address)?)
    }

    fn listen(&self, backlog: i32) -> Result<()> {
        Ok(host::socket_listen(&self.fd, backlog as u32)?)
    }

    fn accept(&self, nonblocking: bool) -> Result<(Arc<dyn File>, Vec<u8>)> {
        let (fd, peer) = self.call(false, || host::socket_accept(&self.fd))?;
        let peer = address::admit(peer, self.domain)?;
        Ok((HostSocket::new(fd, self.domain, self.kind, self.protocol, nonblocking), peer))
    }

    fn connect(&self, address: &[u8]) -> Result<()> {
        self.check_address(address)?;
        self.call(false, || host::socket_connect(&self.fd, address))
    }

    fn name(&self, peer: bool) -> Result<Vec<u8>> {
        address::admit(host::socket_name(&self.fd, peer)?, self.domain)
    }

    fn shutdown(&self, how: u32) -> Result<()> {
        Ok(host::socket_shutdown(&self.fd, how)?)
    }

    fn option(&self, level: u32, name: u32, capacity: usize) -> Result<Vec<u8>> {
        if let Some(stamp) = Stamp::of_option(level, name) {
            let on = u32::from(*self.stamp.lock() == Some(stamp));
            return Ok(on.to_le_bytes()[..capacity.min(4)].to_vec());
        }
        // SO_TYPE, SO_PROTOCOL, SO_DOMAIN: known here.
        let known = match (level, name) {
            (1, 3) => self.kind,
            (1, 38) => self.protocol,
            (1, 39) => self.domain,
            _ => {
                access(level, name).ok_or(Errno::ENOPROTOOPT)?;
                return Ok(host::socket_get_option(&self.fd, level, name, capacity)?);
            }
        };
        Ok(known.to_le_bytes()[..capacity.min(4)].to_vec())
    }

    fn set_option(&self, level: u32, name: u32, value: &[u8]) -> Result<()> {
        if let Some(stamp) = Stamp::of_option(level, name) {
            let number = value.get(..4).ok_or(Errno::EINVAL)?;
            *self.stamp.lock() = number.iter().any(|&byte| byte != 0).then_some(stamp);
            return Ok(());
        }
        if access(level, name) != Some(Access::Both) {
            return Err(Errno::ENOPROTOOPT);
        }
        host::socket_set_option(&self.fd, level, name, value)?;
        if control::is_asked_by(level, name) {
            self.wants_control.store(true, Relaxed);
        }
        if (level, name) == SEND_TIMEOUT {
            self.send_times_out.store(value.iter().any(|&byte| byte != 0), Relaxed);
        }
        Ok(())
    }

    fn send(&self, source: &mut Source, outgoing: Outgoing) -> Result<usize> {
        let to = outgoing.to.unwrap_or_default();
        if to.len() > ADDRESS_LIMIT {
            return Err(Errno::EINVAL);
        }
        let flags = self.with_mode(outgoing.flags & SEND_FLAGS);
        if self.kind != STREAM {
            return self.send_datagram(source, &to, &outgoing.control, flags);
        }
        let sent = self.send_stream(source, &to, flags);
        if sent == Err(Errno::EPIPE) && outgoing.flags & message::NO_SIGNAL == 0 {
            raise_broken_pipe();
        }
        sent
    }

    fn receive(&self, sink: &mut Sink, flags: u32) -> Result<Incoming> {
        if flags & message::ERROR_QUEUE != 0 {
            return Err(Errno::EAGAIN);
        }
        let wanted = self.with_mode(flags & RECEIVE_FLAGS);
        // A stream's other end is known, and only the urgent byte comes with a flag.
        let beside = match self.kind {
            STREAM if wanted & message::OUT_OF_BAND == 0 => Beside::Nothing,
            STREAM => Beside::Sender,
            _ if self.wants_control.load(Relaxed) => Beside::SenderAndControl,
            _ => Beside::Sender,
        };
        let mut incoming = Incoming::default();
        loop {
            let length = sink.remaining().min(TRANSFER_LIMIT);
            sink.prepare(length)?;
            let dont_wait = wanted & message::DONT_WAIT != 0;
            let receive = || host::socket_receive(&self.fd, length, wanted, beside);
            let got = match self.call(dont_wait, receive) {
                Err(_) if incoming.count > 0 => return Ok(incoming),
                other => other?,
            };
            let present = sink.put_received(&got.data)?;
            // The length of a cut datagram is the host's word beyond the bytes that are here.
            let count = if wanted & message::TRUNCATED != 0 { got.count } else { present };
            incoming.count += count;
            incoming.flags = got.flags & (message::OUT_OF_BAND | message::TRUNCATED);
            incoming.from = address::admit(got.address, self.domain)?;
            if self.kind != STREAM {
                incoming.control = self.stamp.lock().map(Stamp::message).into_iter().collect();
                incoming.control.extend(control::incoming(&got.control)?);
            }
            let more = wanted & message::WAIT_ALL != 0 && wanted & message::PEEK == 0 && self.kind == STREAM;
            if !more || present < length || sink.remaining() == 0 {
                return Ok(incoming);
            }
        }
    }
}

impl File for HostSocket {
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
        let wanted = Events::READABLE
            | Events::WRITABLE
            | Events::PRIORITY
            | Events::READ_BAND
            | Events::WRITE_BAND
            | Events::READ_HANG_UP;
        if let Some(poller) = poller {
            poller.observe_host(&self.fd, wanted);
        }
        poll_host(&self.fd, wanted)
    }

    fn ioctl(&self, request: u32, argument: u64) -> Result<usize> {
        if !matches!(request, FIONREAD | TIOCOUTQ) {
            return interface::ioctl(self.domain, request, argument);
        }
        let mut value = [0; 4];
        host::fd_ioctl(&self.fd, request, &mut value)?;
        user_space::copy_out(Addr(argument), &value)?;
        Ok(0)
    }

    fn host_fd(&self) -> Option<&HostFd> {
        Some(&self.fd)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
