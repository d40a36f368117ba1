//! Sockets of the host and its epoll.

use alloc::vec::Vec;

use casemate_abi::{EpollEntry, HostCall};
use zerocopy::IntoBytes;

use crate::boundary::HostRange;

use super::file::{admit_count, stage};
use super::{
    Bytes, HostError, HostFd, Received, SIDE, TRANSFER_LIMIT, TransferError, buffer, call_done, call_raw,
    put, read_u64,
};

/// Largest socket address (sizeof struct sockaddr_storage).
pub const ADDRESS_LIMIT: usize = 128;
/// Offset behind `SIDE` of the message header's address bytes.
const NAME: u64 = SIDE + 256;
/// Most control data of a message, bytes.
pub const CONTROL_LIMIT: usize = 256;
/// Offset behind `SIDE` of the message's control data.
const CONTROL: u64 = SIDE + 512;

/// socket(2) for AF_INET and AF_INET6, blocking.
pub fn socket_open(domain: u32, kind: u32, protocol: u32) -> Result<HostFd, HostError> {
    HostFd::admit(call_raw(HostCall::SocketOpen, [domain as u64, kind as u64, protocol as u64, 0, 0, 0])?)
}

fn stage_address(address: &[u8]) -> Result<u64, HostError> {
    if address.len() > ADDRESS_LIMIT {
        return Err(HostError(linux_raw_sys::errno::EINVAL as i32));
    }
    let range = buffer();
    put(range, NAME, address)?;
    Ok(range.address() + NAME)
}

/// bind(2).
pub fn socket_bind(fd: &HostFd, address: &[u8]) -> Result<(), HostError> {
    let at = stage_address(address)?;
    call_done(HostCall::SocketBind, [fd.arg(), at, address.len() as u64, 0, 0, 0])
}

/// listen(2).
pub fn socket_listen(fd: &HostFd, backlog: u32) -> Result<(), HostError> {
    call_done(HostCall::SocketListen, [fd.arg(), backlog as u64, 0, 0, 0, 0])
}

/// connect(2).
pub fn socket_connect(fd: &HostFd, address: &[u8]) -> Result<(), HostError> {
    let at = stage_address(address)?;
    call_done(HostCall::SocketConnect, [fd.arg(), at, address.len() as u64, 0, 0, 0])
}

fn read_address(length: u64) -> Result<Vec<u8>, HostError> {
    let mut address = alloc::vec![0; admit_count(length, ADDRESS_LIMIT)?];
    if buffer().read(NAME, &mut address) { Ok(address) } else { Err(HostError::IO) }
}

/// accept4(2): the new socket (blocking, close-on-exec) and the peer's address.
pub fn socket_accept(fd: &HostFd) -> Result<(HostFd, Vec<u8>), HostError> {
    let range = buffer();
    let args = [fd.arg(), range.address() + NAME, ADDRESS_LIMIT as u64, range.address() + SIDE, 0, 0];
    let accepted = HostFd::admit(call_raw(HostCall::SocketAccept, args)?)?;
    let address = read_address(read_u64(range, SIDE)?)?;
    Ok((accepted, address))
}

/// The socket's own address, or its peer's.
pub fn socket_name(fd: &HostFd, peer: bool) -> Result<Vec<u8>, HostError> {
    let range = buffer();
    let args = [fd.arg(), peer as u64, range.address() + NAME, ADDRESS_LIMIT as u64, 0, 0];
    read_address(call_raw(HostCall::SocketName, args)?)
}

fn write_header(data_length: usize, name_length: usize, control_length: usize) -> Result<u64, HostError> {
    let range = buffer();
    let words = [
        range.address(),
        data_length as u64,
        range.address() + NAME,
        name_length as u64,
        0,
        range.address() + CONTROL,
        control_length as u64,
    ];
    put(range, SIDE, words.as_bytes())?;
    Ok(range.address() + SIDE)
}

/// sendmsg(2) of one transfer, to `address` when it is not empty, with `control` data of at most [`CONTROL_LIMIT`] bytes; SIGPIPE is
/// never raised. A transfer over [`TRANSFER_LIMIT`] is cut.
pub fn socket_send(
    fd: &HostFd,
    bytes: Bytes,
    address: &[u8],
    control: &[u8],
    flags: u32,
) -> Result<usize, TransferError> {
    if control.len() > CONTROL_LIMIT {
        return Err(HostError(linux_raw_sys::errno::EINVAL as i32).into());
    }
    let length = stage(buffer(), bytes)?;
    stage_address(address)?;
    put(buffer(), CONTROL, control)?;
    let header = write_header(length, address.len(), control.len())?;
    let count = call_raw(HostCall::SocketSend, [fd.arg(), header, flags as u64, 0, 0, 0])?;
    Ok(admit_count(count, length)?)
}

/// What recvmsg(2) brought.
#[derive(Debug)]
pub struct ReceivedMessage {
    /// The bytes, waiting in the thread's buffer until its next host call.
    pub data: Received,
    /// The sender's address; empty when there is none.
    pub address: Vec<u8>,
    /// MSG_* flags.
    pub flags: u32,
    /// Control data; what it says is the host's word.
    pub control: Vec<u8>,
    /// The count that the call returned: with MSG_TRUNC it may exceed the bytes present.
    pub count: usize,
}

/// What a receive asks for beside the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// No address, no flags.
    Nothing,
    /// The sender's address, and flags.
    Sender,
    /// Control data, too.
    SenderAndControl,
}

/// recvmsg(2) of at most `length` bytes.
pub fn socket_receive(
    fd: &HostFd,
    length: usize,
    flags: u32,
    beside: Beside,
) -> Result<ReceivedMessage, HostError> {
    const MSG_TRUNC: u32 = 0x20;
    let range = buffer();
    let length = length.min(TRANSFER_LIMIT);
    let (name_room, control_room) = match beside {
        Beside::Nothing => (0, 0),
        Beside::Sender => (ADDRESS_LIMIT, 0),
        Beside::SenderAndControl => (ADDRESS_LIMIT, CONTROL_LIMIT),
    };
    let header = write_header(length, name_room, control_room)?;
    let count = call_raw(HostCall::SocketReceive, [fd.arg(), header, flags as u64, 0, 0, 0])?;
    let present =
        if flags & MSG_TRUNC != 0 { count.min(length as u64) as usize } else { admit_count(count, length)? };
    if count > 1 << 30 {
        return Err(HostError::IO);
    }
    let (address, flags) = if name_room != 0 { read_sender(range)? } else { (Vec::new(), 0) };
    let mut control = Vec::new();
    if control_room != 0 {
        control.resize(admit_count(read_u64(range, SIDE + 48)?, control_room)?, 0);
        if !range.read(CONTROL, &mut control) {
            return Err(HostError::IO);
        }
    }
    let data = Received::new(range, present);
    Ok(ReceivedMessage { data, address, flags, control, count: count as usize })
}

/// Address and flags from the header of a receive.
fn read_sender(range: HostRange) -> Result<(Vec<u8>, u32), HostError> {
    // Behind the data's place and length and the name's place.
    let mut words = [0u64; 2];
    if !range.read(SIDE + 24, words.as_mut_bytes()) {
        return Err(HostError::IO);
    }
    let [name_length, flags] = words;
    Ok((read_address(name_length)?, u32::try_from(flags).map_err(|_| HostError::IO)?))
}

/// getsockopt(2); at most 256 bytes.
pub fn socket_get_option(fd: &HostFd, level: u32, name: u32, capacity: usize) -> Result<Vec<u8>, HostError> {
    let range = buffer();
    let capacity = capacity.min(256);
    let args = [fd.arg(), level as u64, name as u64, range.address() + SIDE, capacity as u64, 0];
    let count = call_raw(HostCall::SocketGetOption, args)?;
    let mut value = alloc::vec![0; admit_count(count, capacity)?];
    if range.read(SIDE, &mut value) { Ok(value) } else { Err(HostError::IO) }
}

/// setsockopt(2); at most 256 bytes.
pub fn socket_set_option(fd: &HostFd, level: u32, name: u32, value: &[u8]) -> Result<(), HostError> {
    if value.len() > 256 {
        return Err(HostError(linux_raw_sys::errno::EINVAL as i32));
    }
    let range = buffer();
    put(range, SIDE, value)?;
    let args = [fd.arg(), level as u64, name as u64, range.address() + SIDE, value.len() as u64, 0];
    call_done(HostCall::SocketSetOption, args)
}

/// shutdown(2).
pub fn socket_shutdown(fd: &HostFd, how: u32) -> Result<(), HostError> {
    call_done(HostCall::SocketShutdown, [fd.arg(), how as u64, 0, 0, 0, 0])
}

/// epoll_create1(2).
pub fn epoll_open() -> Result<HostFd, HostError> {
    HostFd::admit(call_raw(HostCall::EpollOpen, [0; 6])?)
}

/// epoll_ctl(2).
pub fn epoll_control(
    epoll: &HostFd,
    operation: u32,
    fd: &HostFd,
    events: u32,
    data: u64,
) -> Result<(), HostError> {
    call_done(HostCall::EpollControl, [epoll.arg(), operation as u64, fd.arg(), events as u64, data, 0])
}

/// epoll_pwait2(2) for at most `capacity` events; `None` waits without end. `data` values are the host's word: look them up, never trust them.
pub fn epoll_wait(
    epoll: &HostFd,
    capacity: usize,
    timeout_ns: Option<u64>,
) -> Result<Vec<EpollEntry>, HostError> {
    /// EPOLLIN to EPOLLRDHUP: the events proper, without the manner of reporting.
    const EVENTS: u32 = 0x27df;
    let range = buffer();
    let capacity = capacity.min(1024);
    let args = [epoll.arg(), range.address(), capacity as u64, timeout_ns.unwrap_or(u64::MAX), 0, 0];
    let count = admit_count(call_raw(HostCall::EpollWait, args)?, capacity)?;
    let mut entries = Vec::with_capacity(count);
    for index in 0..count as u64 {
        let events = read_u64(range, index * 16)? as u32 & EVENTS;
        entries.push(EpollEntry { events, reserved: 0, data: read_u64(range, index * 16 + 8)? });
    }
    Ok(entries)
}
