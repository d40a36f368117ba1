//! Which options of a host socket a program may get and set. Others are `ENOPROTOOPT`, as where a kernel lacks them.

/// What may be done with an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Get and set.
    Both,
    /// Get only.
    Get,
}

const SOCKET: u32 = 1;
const IP: u32 = 0;
const TCP: u32 = 6;
const UDP: u32 = 17;
const IPV6: u32 = 41;

/// Whether the host is asked.
pub fn access(level: u32, name: u32) -> Option<Access> {
    match (level, name) {
        // SO_ERROR, SO_ACCEPTCONN, TCP_INFO.
        (SOCKET, 4 | 30) | (TCP, 11) => Some(Access::Get),
        // REUSEADDR DONTROUTE BROADCAST SNDBUF RCVBUF KEEPALIVE OOBINLINE PRIORITY LINGER REUSEPORT RCVLOWAT SNDLOWAT RCVTIMEO SNDTIMEO
        (SOCKET, 2 | 5..=10 | 12 | 13 | 15 | 18..=21) => Some(Access::Both),
        // NODELAY MAXSEG CORK KEEP* SYNCNT LINGER2 DEFER_ACCEPT WINDOW_CLAMP QUICKACK CONGESTION USER_TIMEOUT FASTOPEN NOTSENT_LOWAT
        (TCP, 1..=10 | 12 | 13 | 18 | 23 | 25 | 30) => Some(Access::Both),
        // TOS TTL PKTINFO MTU_DISCOVER RECVERR RECVTTL RECVTOS BIND_ADDRESS_NO_PORT MULTICAST_IF … DROP_MEMBERSHIP
        (IP, 1 | 2 | 8 | 10..=13 | 24 | 32..=36) => Some(Access::Both),
        // UNICAST_HOPS MULTICAST_IF … DROP_MEMBERSHIP MTU_DISCOVER RECVERR V6ONLY RECVPKTINFO RECVHOPLIMIT RECVTCLASS TCLASS
        (IPV6, 16..=21 | 23 | 25 | 26 | 49 | 51 | 66 | 67) => Some(Access::Both),
        // SEGMENT GRO
        (UDP, 103 | 104) => Some(Access::Both),
        _ => None,
    }
}
