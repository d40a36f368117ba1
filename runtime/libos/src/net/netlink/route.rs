//! What NETLINK_ROUTE answers: dumps of interfaces (RTM_GETLINK) and of addresses (RTM_GETADDR), errors to all else.

use alloc::vec::Vec;
use core::net::IpAddr;

use casemate_platform::host::{Interface, InterfaceAddress, network_addresses, network_interfaces};

use crate::errno::{Errno, Result};
use crate::net::{INET, INET6};

/// sizeof(struct nlmsghdr).
const HEADER: usize = 16;
// NLMSG_*.
const ERROR: u16 = 2;
const DONE: u16 = 3;
const FIRST_TYPE: u16 = 16;
// RTM_*.
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
/// The last of RTM_*, and which of four types asks rather than changes.
const LAST_TYPE: u16 = 123;
const GET: u16 = 2;
// NLM_F_*.
const REQUEST: u16 = 0x1;
const MULTI: u16 = 0x2;
const ACKNOWLEDGE: u16 = 0x4;
const DUMP: u16 = 0x300;
const CAPPED: u16 = 0x100;
/// AF_BRIDGE.
const BRIDGE: u32 = 7;
/// Most bytes of records in a datagram (NLMSG_GOODSIZE on x86-64).
const BATCH: usize = 3776;

/// The head of a request.
#[derive(Clone, Copy)]
struct Head {
    length: usize,
    kind: u16,
    flags: u16,
    sequence: u32,
    /// Of who asked.
    port: u32,
}

impl Head {
    fn read(bytes: &[u8], port: u32) -> Option<Head> {
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let word = |at: usize| u32::from(half(at)) | u32::from(half(at + 2)) << 16;
        if bytes.len() < HEADER {
            return None;
        }
        let head = Head { length: word(0) as usize, kind: half(4), flags: half(6), sequence: word(8), port };
        (HEADER..=bytes.len()).contains(&head.length).then_some(head)
    }
}

/// A message as it is put together.
struct Message(Vec<u8>);

impl Message {
    fn new(head: Head, kind: u16, flags: u16) -> Message {
        let mut bytes = alloc::vec![0; 4];
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(&head.sequence.to_le_bytes());
        bytes.extend_from_slice(&head.port.to_le_bytes());
        Message(bytes)
    }

    fn add(mut self, bytes: &[u8]) -> Message {
        self.0.extend_from_slice(bytes);
        self
    }

    fn attribute(self, kind: u16, value: &[u8]) -> Message {
        let length = (4 + value.len()) as u16;
        let mut message = self.add(&length.to_le_bytes()).add(&kind.to_le_bytes()).add(value);
        message.0.resize(message.0.len().next_multiple_of(4), 0);
        message
    }

    fn finish(mut self) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_le_bytes());
        self.0
    }
}

/// The datagrams that answer those requests, as netlink_rcv_skb does; none to requests behind an answer that goes beyond `limit`.
pub fn answer(mut requests: &[u8], port: u32, limit: usize) -> Vec<Vec<u8>> {
    let mut answers: Vec<Vec<u8>> = Vec::new();
    while let Some(head) = Head::read(requests, port) {
        if answers.iter().map(Vec::len).sum::<usize>() > limit {
            break;
        }
        let request = &requests[..head.length];
        let outcome = if head.flags & REQUEST == 0 || head.kind < FIRST_TYPE {
            Ok(None)
        } else {
            serve(head, &request[HEADER..])
        };
        match outcome {
            Ok(Some(dump)) => answers.extend(dump),
            Ok(None) if head.flags & ACKNOWLEDGE == 0 => {}
            Ok(None) => answers.push(acknowledge(head, request, 0)),
            Err(error) => answers.push(acknowledge(head, request, -error.0)),
        }
        requests = requests.get(head.length.next_multiple_of(4)..).unwrap_or(&[]);
    }
    answers
}

/// An NLMSG_ERROR; with an error the whole request comes back in it.
fn acknowledge(head: Head, request: &[u8], code: i32) -> Vec<u8> {
    let (flags, back) = if code == 0 { (CAPPED, &request[..HEADER]) } else { (0, request) };
    Message::new(head, ERROR, flags).add(&code.to_le_bytes()).add(back).finish()
}

/// The datagrams of a dump; nothing for a request without a body.
fn serve(head: Head, body: &[u8]) -> Result<Option<Vec<Vec<u8>>>> {
    if head.kind > LAST_TYPE {
        return Err(Errno::EOPNOTSUPP);
    }
    let Some(&family) = body.first() else { return Ok(None) };
    if head.kind & 3 != GET {
        return Err(Errno::EPERM);
    }
    if head.flags & DUMP == 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    let records = match (head.kind, u32::from(family)) {
        (GET_LINK, BRIDGE | INET6) => return Err(Errno::EOPNOTSUPP),
        (GET_LINK, _) => network_interfaces()?.iter().map(|each| link(head, each)).collect(),
        (GET_ADDRESS, family) => addresses(head, family)?,
        _ => return Err(Errno::EOPNOTSUPP),
    };
    let mut datagrams = batches(records);
    datagrams.push(Message::new(head, DONE, MULTI).add(&[0; 4]).finish());
    Ok(Some(datagrams))
}

fn batches(records: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut datagrams: Vec<Vec<u8>> = Vec::new();
    for record in records {
        match datagrams.last_mut() {
            Some(last) if last.len() + record.len() <= BATCH => last.extend_from_slice(&record),
            _ => datagrams.push(record),
        }
    }
    datagrams
}

fn with_nul(name: &[u8]) -> Vec<u8> {
    [name, b"\0"].concat()
}

/// RTM_NEWLINK with a struct ifinfomsg.
fn link(head: Head, each: &Interface) -> Vec<u8> {
    // IFLA_IFNAME, IFLA_TXQLEN, IFLA_MTU, IFLA_ADDRESS, IFLA_BROADCAST.
    let message = Message::new(head, NEW_LINK, MULTI)
        .add(&[0, 0])
        .add(&each.kind.to_le_bytes())
        .add(&each.index.to_le_bytes())
        .add(&each.flags.to_le_bytes())
        .add(&[0; 4])
        .attribute(3, &with_nul(&each.name))
        .attribute(13, &each.queue.to_le_bytes())
        .attribute(4, &each.mtu.to_le_bytes());
    if each.hardware.is_empty() {
        return message.finish();
    }
    message.attribute(1, &each.hardware).attribute(2, &each.broadcast).finish()
}

/// RTM_NEWADDR for each address of a family, or of both. Those of an interface that came or went in between are left out.
fn addresses(head: Head, family: u32) -> Result<Vec<Vec<u8>>> {
    let interfaces = network_interfaces()?;
    let mut records = Vec::new();
    for each in network_addresses()? {
        let wanted = match family {
            INET => each.address.is_ipv4(),
            INET6 => each.address.is_ipv6(),
            _ => true,
        };
        let interface = interfaces.iter().find(|it| it.index == each.interface);
        if let Some(interface) = interface.filter(|_| wanted) {
            records.push(address(head, interface, &each));
        }
    }
    Ok(records)
}

/// RTM_NEWADDR with a struct ifaddrmsg.
fn address(head: Head, interface: &Interface, each: &InterfaceAddress) -> Vec<u8> {
    let family = if each.address.is_ipv4() { INET } else { INET6 };
    let message = Message::new(head, NEW_ADDRESS, MULTI)
        .add(&[family as u8, each.prefix, each.flags, each.scope])
        .add(&each.interface.to_le_bytes());
    // IFA_ADDRESS is the other end's where there is one, IFA_LOCAL the own; IFA_BROADCAST, IFA_LABEL.
    match (each.address, each.other) {
        (IpAddr::V6(own), _) => message.attribute(1, &own.octets()).finish(),
        (IpAddr::V4(own), other) => {
            let other = other.and_then(|it| if let IpAddr::V4(it) = it { Some(it) } else { None });
            let (peer, everybody) =
                if interface.has_broadcast() { (own, other) } else { (other.unwrap_or(own), None) };
            let message = message.attribute(1, &peer.octets()).attribute(2, &own.octets());
            let message = match everybody {
                Some(everybody) => message.attribute(4, &everybody.octets()),
                None => message,
            };
            message.attribute(3, &with_nul(&interface.name)).finish()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        let head = Head { length: 0, kind, flags, sequence: 7, port: 0 };
        Message::new(head, kind, flags).add(body).finish()
    }

    fn code(answer: &[u8]) -> i32 {
        assert_eq!(Head::read(answer, 0).map(|head| (head.kind, head.sequence)), Some((ERROR, 7)));
        i32::from_le_bytes(answer[16..20].try_into().unwrap())
    }

    #[test]
    fn requests_without_an_answer_get_none_and_bad_ones_an_error() {
        for (kind, flags, expected) in [
            (GET_LINK, REQUEST, Errno::EOPNOTSUPP),
            (26, REQUEST | DUMP, Errno::EOPNOTSUPP),
            (NEW_ADDRESS, REQUEST | ACKNOWLEDGE, Errno::EPERM),
            (4096, REQUEST, Errno::EOPNOTSUPP),
        ] {
            let asked = request(kind, flags, &[0; 16]);
            let answers = answer(&asked, 5, 4096);
            assert_eq!((answers.len(), code(&answers[0])), (1, -expected.0), "{kind}");
            assert_eq!(answers[0][20..], asked);
        }
        assert!(answer(&request(GET_LINK, DUMP, &[0; 16]), 5, 4096).is_empty(), "no request");
        assert!(answer(&request(GET_LINK, REQUEST | DUMP, &[]), 5, 4096).is_empty(), "no family");
        let acknowledged = answer(&request(1, REQUEST | ACKNOWLEDGE, &[]), 5, 4096);
        assert_eq!(code(&acknowledged[0]), 0);
    }

    #[test]
    fn requests_that_are_cut_are_passed_over() {
        let mut two = request(26, REQUEST | DUMP, &[0; 2]);
        two.resize(two.len().next_multiple_of(4), 0);
        two.extend_from_slice(&request(26, REQUEST | DUMP, &[0; 16]));
        assert_eq!(answer(&two, 5, 4096).len(), 2);
        for end in 0..two.len() {
            assert!(answer(&two[..end], 5, 4096).len() <= 1);
        }
        let many = request(4000, REQUEST, &[]).repeat(1000);
        assert_eq!(answer(&many, 5, 4096).len(), 4096 / 36 + 1);
        two[0] = 3;
        assert!(answer(&two, 5, 4096).is_empty());
    }
}
