//! Sockets on the loopback address, and epoll over them.

use core::sync::atomic::{AtomicU64, Ordering::*};

use casemate_abi::{EpollEntry, HostAddress, HostCall, HostInterface, MessageHeader};
use linux_raw_sys::errno::*;
use linux_raw_sys::net::*;

use crate::enclave::{Thread, buffer, get, host, put, seen, spawn};

/// IFF_LOOPBACK.
const IFF_LOOPBACK: u32 = 0x8;
/// sizeof(struct sockaddr_in).
const ADDRESS: u64 = 16;
/// Offsets in the host buffer.
const NAME: u64 = 8192;
const HEADER: u64 = 8192 + 256;

fn loopback(port: u16) -> [u8; 16] {
    let mut address = [0; 16];
    address[0] = AF_INET as u8;
    address[2..4].copy_from_slice(&port.to_be_bytes());
    address[4..8].copy_from_slice(&[127, 0, 0, 1]);
    address
}

fn port_of(fd: u64, peer: u64) -> u16 {
    same!(host(HostCall::SocketName, [fd, peer, buffer() + NAME, 128, 0, 0]), ADDRESS as i64);
    u16::from_be_bytes(get(NAME + 2))
}

fn bound(kind: u32) -> (u64, u16) {
    let fd = host(HostCall::SocketOpen, [AF_INET as u64, kind as u64, 0, 0, 0, 0]);
    check!(fd > 2);
    let at = put(NAME, &loopback(0));
    same!(host(HostCall::SocketBind, [fd as u64, at, ADDRESS, 0, 0, 0]), 0);
    (fd as u64, port_of(fd as u64, 0))
}

/// A UDP socket on a free port.
pub fn udp_socket() -> (u64, u16) {
    bound(2)
}

fn send(fd: u64, data: &[u8], to: Option<u16>) -> i64 {
    let name_length = if let Some(port) = to {
        put(NAME, &loopback(port));
        ADDRESS
    } else {
        0
    };
    let header = [put(0, data), data.len() as u64, buffer() + NAME, name_length, 0, 0, 0];
    put_words(HEADER, &header);
    host(HostCall::SocketSend, [fd, buffer() + HEADER, 0, 0, 0, 0])
}

fn receive(fd: u64, capacity: u64, flags: u32) -> (i64, MessageHeader) {
    put_words(HEADER, &[buffer(), capacity, buffer() + NAME, 128, 0, 0, 0]);
    let count = host(HostCall::SocketReceive, [fd, buffer() + HEADER, flags as u64, 0, 0, 0]);
    (count, get(HEADER))
}

fn put_words(offset: u64, words: &[u64]) {
    for (index, word) in words.iter().enumerate() {
        put(offset + index as u64 * 8, &word.to_le_bytes());
    }
}

static PORT: AtomicU64 = AtomicU64::new(0);

fn client(_: u64) {
    let fd = host(HostCall::SocketOpen, [AF_INET as u64, 1, 0, 0, 0, 0]) as u64;
    let at = put(NAME, &loopback(PORT.load(SeqCst) as u16));
    same!(host(HostCall::SocketConnect, [fd, at, ADDRESS, 0, 0, 0]), 0);
    same!(port_of(fd, 1) as u64, PORT.load(SeqCst));
    put(0, b"ping");
    same!(host(HostCall::FdWrite, [fd, buffer(), 4, 0, 0, 0]), 4);
    same!(receive(fd, 100, 0).0, 5);
    same!(seen(0, 5), b"pong!");
    same!(host(HostCall::SocketShutdown, [fd, 2, 0, 0, 0, 0]), 0);
    // Written after the end: an error, not SIGPIPE.
    same!(send(fd, b"x", None), -(EPIPE as i64));
    same!(host(HostCall::FdClose, [fd, 0, 0, 0, 0, 0]), 0);
}

/// A server and a client, options, and the errors of a closed connection.
pub fn tcp() {
    static CLIENT: Thread = Thread::new(client, 0);
    let (server, port) = bound(1);
    let option = put(0, &1u32.to_le_bytes());
    same!(host(HostCall::SocketSetOption, [server, SOL_SOCKET as u64, SO_KEEPALIVE as u64, option, 4, 0]), 0);
    put(0, &[0xff; 8]);
    same!(
        host(HostCall::SocketGetOption, [server, SOL_SOCKET as u64, SO_KEEPALIVE as u64, buffer(), 8, 0]),
        4
    );
    same!(get::<u32>(0), 1);
    same!(host(HostCall::SocketListen, [server, 5, 0, 0, 0, 0]), 0);
    PORT.store(port as u64, SeqCst);
    same!(spawn(&CLIENT), 0);
    let accepted = host(HostCall::SocketAccept, [server, buffer() + NAME, 128, buffer() + HEADER, 0, 0]);
    check!(accepted > 2);
    same!((get::<u64>(HEADER), get::<u16>(NAME)), (ADDRESS, AF_INET as u16));
    same!(host(HostCall::FdRead, [accepted as u64, buffer(), 100, 0, 0, 0]), 4);
    same!(seen(0, 4), b"ping");
    same!(send(accepted as u64, b"pong!", None), 5);
    same!(host(HostCall::FdRead, [accepted as u64, buffer(), 100, 0, 0, 0]), 0);
    CLIENT.join();
}

/// Datagrams with addresses; a truncated one says so.
pub fn udp() {
    let (left, left_port) = udp_socket();
    let (right, right_port) = udp_socket();
    same!(send(left, b"datagram", Some(right_port)), 8);
    let (count, header) = receive(right, 100, 0);
    same!((count, header.name_length, seen(0, 8)), (8, ADDRESS, b"datagram".as_slice()));
    same!(u16::from_be_bytes(get(NAME + 2)), left_port);
    same!(send(left, b"datagram", Some(right_port)), 8);
    let (count, header) = receive(right, 4, MSG_TRUNC);
    same!((count, header.flags as u32 & MSG_TRUNC), (8, MSG_TRUNC));
    same!(receive(right, 4, MSG_DONTWAIT).0, -(EAGAIN as i64));
    // Without a place for the sender's address the header stays as it is.
    same!(send(left, b"datagram", Some(right_port)), 8);
    put_words(HEADER, &[buffer(), 4, 0, 0, 77, 0, 0]);
    same!(host(HostCall::SocketReceive, [right, buffer() + HEADER, MSG_TRUNC as u64, 0, 0, 0]), 8);
    same!((get::<MessageHeader>(HEADER).flags, seen(0, 4)), (77, b"data".as_slice()));
    same!(send(left, b"x", None), -(EDESTADDRREQ as i64));
}

/// Several events at once, whose entries are spread in place; time-outs; removal.
pub fn epoll() {
    let epoll = host(HostCall::EpollOpen, [0; 6]) as u64;
    let wait = |count, timeout_ns| host(HostCall::EpollWait, [epoll, buffer(), count, timeout_ns, 0, 0]);
    let sockets: [(u64, u16); 5] = core::array::from_fn(|_| udp_socket());
    let (sender, _) = udp_socket();
    for (index, (fd, _)) in sockets.iter().enumerate() {
        let data = 0x1111_2222_3333_4400 + index as u64;
        same!(host(HostCall::EpollControl, [epoll, 1, *fd, 1, data, 0]), 0);
        same!(host(HostCall::EpollControl, [epoll, 1, *fd, 1, data, 0]), -(EEXIST as i64));
    }
    let start = super::memory::now_ns();
    same!(wait(8, 2_500_000), 0);
    check!(super::memory::now_ns() - start >= 2_500_000);
    for (_, port) in &sockets {
        same!(send(sender, b"x", Some(*port)), 1);
    }
    same!(wait(5, u64::MAX), 5);
    let mut found = 0;
    for index in 0..5 {
        let entry: EpollEntry = get(index * 16);
        same!((entry.events, entry.reserved, entry.data >> 8), (1, 0, 0x11_1122_2233_3344));
        found |= 1 << (entry.data & 0xff);
    }
    same!(found, 0b11111);
    same!(wait(2, 0), 2);
    for (fd, _) in &sockets {
        same!(host(HostCall::EpollControl, [epoll, 2, *fd, 0, 0, 0]), 0);
    }
    same!(wait(5, 0), 0);
    same!(wait(0, 0), -(EINVAL as i64));
}

/// The loopback interface with its address; buffers that are none.
pub fn interfaces() {
    let capacity = casemate_abi::HOST_BUFFER_SIZE as u64;
    let read = |what, length| host(HostCall::NetworkRead, [what, buffer(), length, 0, 0, 0]);
    let count = read(0, capacity);
    check!(count > 0);
    let interfaces =
        (0..count as u64).map(|each| get::<HostInterface>(each * size_of::<HostInterface>() as u64));
    let Some(own) = interfaces.into_iter().find(|each| each.flags & IFF_LOOPBACK != 0) else {
        return check!(false);
    };
    same!((&own.name[..own.name_length as usize], own.kind), (b"lo".as_slice(), 772));
    check!(own.index > 0 && own.mtu > 0 && own.hardware_length == 6);
    let count = read(1, capacity);
    let mut addresses =
        (0..count as u64).map(|each| get::<HostAddress>(each * size_of::<HostAddress>() as u64));
    check!(addresses.any(|each| {
        each.interface == own.index
            && each.family == AF_INET as u8
            && each.prefix == 8
            && each.address[..4] == [127, 0, 0, 1]
    }));
    same!(read(2, capacity), -(EINVAL as i64));
    same!(read(0, 4096), -(EFAULT as i64));
    same!(read(0, capacity + 1), -(EFAULT as i64));
}
