//! Sockets: those of the Internet families are the host's, every result checked; UNIX sockets stay inside, and netlink is
//! answered there.

mod address;
pub mod control;
mod host_option;
mod host_socket;
mod interface;
mod netlink;
mod unix;

pub use address::{ADDRESS_LIMIT, INET, INET6, NETLINK, UNIX, UNSPECIFIED, family};
pub use control::ControlMessage;
pub use host_socket::HostSocket;
pub use netlink::NetlinkSocket;
pub use unix::UnixSocket;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::errno::{Errno, Result};
use crate::file::File;
use crate::io::{Sink, Source};

/// SOCK_STREAM.
pub const STREAM: u32 = 1;
/// SOCK_DGRAM.
pub const DATAGRAM: u32 = 2;
/// SOCK_SEQPACKET.
pub const SEQUENCED: u32 = 5;

/// MSG_* flags of send(2) and recv(2).
#[allow(missing_docs)]
pub mod message {
    pub const OUT_OF_BAND: u32 = 0x1;
    pub const PEEK: u32 = 0x2;
    pub const CONTROL_TRUNCATED: u32 = 0x8;
    pub const TRUNCATED: u32 = 0x20;
    pub const DONT_WAIT: u32 = 0x40;
    pub const END_OF_RECORD: u32 = 0x80;
    pub const WAIT_ALL: u32 = 0x100;
    pub const ERROR_QUEUE: u32 = 0x2000;
    pub const NO_SIGNAL: u32 = 0x4000;
    pub const CLOSE_ON_EXEC: u32 = 0x4000_0000;
}

/// SCM_CREDENTIALS and SO_PEERCRED: process, user, group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Ucred {
    pub pid: u32,
    pub uid: u32,
    pub gid: u32,
}

impl Ucred {
    /// Of the calling process: effective ids, or real ones.
    pub fn of_caller(effective: bool) -> Ucred {
        if cfg!(test) {
            return Ucred { pid: 1, uid: 0, gid: 0 };
        }
        let process = crate::process::current_process();
        let ids = process.credentials.read();
        let (uid, gid) = if effective { (ids.euid, ids.egid) } else { (ids.uid, ids.gid) };
        Ucred { pid: process.pid, uid, gid }
    }

    /// As struct ucred.
    pub fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        for (place, word) in bytes.chunks_exact_mut(4).zip([self.pid, self.uid, self.gid]) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// What goes with the bytes of a send.
#[derive(Default)]
pub struct Outgoing {
    /// The destination, if the call names one.
    pub to: Option<Vec<u8>>,
    /// SCM_RIGHTS.
    pub files: Vec<Arc<dyn File>>,
    /// Control messages of other kinds.
    pub control: Vec<ControlMessage>,
    /// MSG_* flags.
    pub flags: u32,
}

/// What comes with the bytes of a receive.
#[derive(Default)]
pub struct Incoming {
    /// The result of the call.
    pub count: usize,
    /// The sender; empty when it has no name.
    pub from: Vec<u8>,
    /// MSG_* flags of the message.
    pub flags: u32,
    /// SCM_RIGHTS.
    pub files: Vec<Arc<dyn File>>,
    /// SCM_CREDENTIALS, where they were asked for.
    pub credentials: Option<Ucred>,
    /// Control messages of other kinds.
    pub control: Vec<ControlMessage>,
}

/// What sockets do beyond being files.
pub trait Socket: File {
    /// bind(2).
    fn bind(&self, address: &[u8]) -> Result<()>;
    /// listen(2).
    fn listen(&self, backlog: i32) -> Result<()>;
    /// accept(2): the connection and the peer's address.
    fn accept(&self, nonblocking: bool) -> Result<(Arc<dyn File>, Vec<u8>)>;
    /// connect(2).
    fn connect(&self, address: &[u8]) -> Result<()>;
    /// getsockname(2), or getpeername(2).
    fn name(&self, peer: bool) -> Result<Vec<u8>>;
    /// shutdown(2); `how` is 0 to 2.
    fn shutdown(&self, how: u32) -> Result<()>;
    /// getsockopt(2).
    fn option(&self, level: u32, name: u32, capacity: usize) -> Result<Vec<u8>>;
    /// setsockopt(2).
    fn set_option(&self, level: u32, name: u32, value: &[u8]) -> Result<()>;
    /// send(2) and its relatives.
    fn send(&self, source: &mut Source, outgoing: Outgoing) -> Result<usize>;
    /// recv(2) and its relatives.
    fn receive(&self, sink: &mut Sink, flags: u32) -> Result<Incoming>;
}

/// The socket that a file is; `ENOTSOCK`.
pub fn as_socket(file: &Arc<dyn File>) -> Result<&dyn Socket> {
    let any = file.as_any();
    if let Some(socket) = any.downcast_ref::<HostSocket>() {
        return Ok(socket);
    }
    if let Some(socket) = any.downcast_ref::<UnixSocket>() {
        return Ok(socket);
    }
    if let Some(socket) = any.downcast_ref::<NetlinkSocket>() {
        return Ok(socket);
    }
    Err(Errno::ENOTSOCK)
}
