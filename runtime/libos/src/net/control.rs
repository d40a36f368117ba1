//! Control messages of host sockets: which may go out, and what the host may say in them. Passed descriptors and
//! credentials are a UNIX socket's and never leave.

use alloc::vec::Vec;

use crate::errno::{Errno, Result};

/// sizeof(struct cmsghdr).
pub const HEADER: usize = 16;
/// SOL_SOCKET.
pub const SOCKET: u32 = 1;
const IP: u32 = 0;
const UDP: u32 = 17;
const IPV6: u32 = 41;

/// One control message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlMessage {
    /// cmsg_level.
    pub level: u32,
    /// cmsg_type.
    pub kind: u32,
    /// What follows the header.
    pub data: Vec<u8>,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes)
}

/// Takes control data apart; `None` where a length is none (CMSG_OK).
pub fn parse(control: &[u8]) -> Option<Vec<ControlMessage>> {
    let mut messages = Vec::new();
    let mut rest = control;
    while rest.len() >= HEADER {
        let length = word(rest, 0)? as usize;
        if word(rest, 4)? != 0 || length < HEADER || length > rest.len() {
            return None;
        }
        let data = rest[HEADER..length].to_vec();
        messages.push(ControlMessage { level: word(rest, 8)?, kind: word(rest, 12)?, data });
        rest = rest.get(length.next_multiple_of(8)..).unwrap_or(&[]);
    }
    Some(messages)
}

/// Puts messages together for the host.
fn build(messages: &[&ControlMessage]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for ControlMessage { level, kind, data } in messages {
        bytes.extend_from_slice(&((HEADER + data.len()) as u64).to_le_bytes());
        bytes.extend_from_slice(&level.to_le_bytes());
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    bytes
}

/// What goes to the host with a datagram: `EINVAL` for what it would not know. Other levels' messages are left out, as Linux
/// passes over them.
pub fn outgoing(messages: &[ControlMessage]) -> Result<Vec<u8>> {
    let mut passed = Vec::new();
    for message in messages {
        match (message.level, message.kind, message.data.len()) {
            // IP_TOS, IP_TTL, IP_PKTINFO.
            (IP, 1, 1 | 4) | (IP, 2, 4) | (IP, 8, 12) => passed.push(message),
            // IPV6_PKTINFO, IPV6_HOPLIMIT, IPV6_TCLASS.
            (IPV6, 50, 20) | (IPV6, 52 | 67, 4) => passed.push(message),
            // UDP_SEGMENT.
            (UDP, 103, 2) => passed.push(message),
            (IP | IPV6 | UDP, ..) => return Err(Errno::EINVAL),
            _ => {}
        }
    }
    let bytes = build(&passed);
    if bytes.len() > casemate_platform::host::CONTROL_LIMIT { Err(Errno::EINVAL) } else { Ok(bytes) }
}

/// What the host says came with a datagram: each message of a known kind, whole, with a value that it can have; `EIO`.
pub fn incoming(control: &[u8]) -> Result<Vec<ControlMessage>> {
    let messages = parse(control).ok_or(Errno::EIO)?;
    let is_known = |message: &ControlMessage| {
        let number = word(&message.data, 0);
        match (message.level, message.kind, message.data.len()) {
            (IP, 1, 1) | (IP, 8, 12) | (IPV6, 50, 20) => true,
            // IP_TTL, IPV6_HOPLIMIT, IPV6_TCLASS.
            (IP, 2, 4) | (IPV6, 52 | 67, 4) => number.is_some_and(|number| number <= 255),
            // UDP_GRO: the size of the datagrams that were joined.
            (UDP, 104, 4) => number.is_some_and(|number| (1..=65_535).contains(&number)),
            _ => false,
        }
    };
    if messages.iter().all(is_known) { Ok(messages) } else { Err(Errno::EIO) }
}

/// Whether an option asks the host for control messages.
pub fn is_asked_by(level: u32, name: u32) -> bool {
    // IP_PKTINFO, IP_RECVTTL, IP_RECVTOS; IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS; UDP_GRO.
    matches!((level, name), (IP, 8 | 12 | 13) | (IPV6, 49 | 51 | 66) | (UDP, 104))
}

/// SO_TIMESTAMP and SO_TIMESTAMPNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// A struct timeval.
    Micro,
    /// A struct timespec.
    Nano,
}

impl Stamp {
    /// What the option of this name asks for.
    pub fn of_option(level: u32, name: u32) -> Option<Stamp> {
        match (level, name) {
            (SOCKET, 29) => Some(Stamp::Micro),
            (SOCKET, 35) => Some(Stamp::Nano),
            _ => None,
        }
    }

    /// The message for a datagram that is received now. When it came in only the host knows, and it is not asked.
    pub fn message(self) -> ControlMessage {
        let now = crate::stat::Timestamp::now();
        let (kind, fraction) = match self {
            Stamp::Micro => (29, now.nanoseconds / 1000),
            Stamp::Nano => (35, now.nanoseconds),
        };
        let data = [now.seconds.to_le_bytes(), i64::from(fraction).to_le_bytes()].concat();
        ControlMessage { level: SOCKET, kind, data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(level: u32, kind: u32, data: &[u8]) -> ControlMessage {
        ControlMessage { level, kind, data: data.into() }
    }

    #[test]
    fn what_is_built_is_parsed_again() {
        let messages = [one(IP, 2, &64u32.to_le_bytes()), one(IP, 1, &[3]), one(IP, 8, &[7; 12])];
        let bytes = build(&messages.iter().collect::<Vec<_>>());
        assert_eq!(incoming(&bytes), Ok(messages.to_vec()));
        for end in 1..bytes.len() {
            // Cut anywhere: refused, or the whole messages before (padding and a rest below a header are passed over).
            if let Ok(some) = incoming(&bytes[..end]) {
                assert!(messages.starts_with(&some));
            }
        }
    }

    #[test]
    fn the_host_says_only_what_there_is_to_say() {
        for bad in [
            one(IP, 2, &256u32.to_le_bytes()),
            one(IP, 2, &[1]),
            one(SOCKET, 1, &[1, 0, 0, 0]),
            one(SOCKET, 29, &[0; 16]),
            one(UDP, 104, &0u32.to_le_bytes()),
            one(IPV6, 50, &[0; 12]),
        ] {
            assert_eq!(incoming(&build(&[&bad])), Err(Errno::EIO), "{bad:?}");
        }
        assert_eq!(incoming(&[0xff; 16]), Err(Errno::EIO));
    }

    #[test]
    fn only_known_messages_go_out() {
        assert_eq!(outgoing(&[one(UDP, 103, &[1])]), Err(Errno::EINVAL));
        assert_eq!(outgoing(&[one(IP, 99, &[1; 4])]), Err(Errno::EINVAL));
        assert_eq!(outgoing(&[one(SOCKET, 1, &[1; 4])]), Ok(Vec::new()));
        assert_eq!(outgoing(&[one(UDP, 103, &[1, 0])]).map(|bytes| bytes.len()), Ok(24));
    }
}
