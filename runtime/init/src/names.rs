//! From a name to addresses. A static program has no C library's resolver, so `/etc/hosts` and the servers of
//! `/etc/resolv.conf` are asked here. Answers may lie: who is at an address is proved by its key.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, TYPE};

const DNS_PORT: u16 = 53;
const TIMEOUT: Duration = Duration::from_secs(3);
/// UDP without EDNS carries 512; answers that are longer are cut and still hold addresses.
const MAX_ANSWER_BYTES: usize = 1500;
const MAX_SERVERS: usize = 3;

/// Splits `HOST:PORT` or `[IPV6]:PORT`.
pub fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host, port.parse().ok()?)).filter(|(host, _)| !host.is_empty())
}

/// The addresses of a host, at least one.
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut found = in_hosts(&read("/etc/hosts"), host);
    if found.is_empty() {
        found = ask_all(&servers(&read("/etc/resolv.conf")), host)?;
    }
    Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
        })
        .collect()
}

fn servers(text: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok())
        .take(MAX_SERVERS)
        .collect()
}

fn ask_all(servers: &[IpAddr], host: &str) -> io::Result<Vec<IpAddr>> {
    let mut reason = io::Error::new(
        io::ErrorKind::NotFound,
        format!("'{host}' is not in /etc/hosts, and /etc/resolv.conf names no server"),
    );
    for server in servers {
        let answers: Vec<_> =
            [TYPE::A, TYPE::AAAA].into_iter().map(|kind| ask(*server, host, kind)).collect();
        let mut found = Vec::new();
        for answer in answers {
            match answer {
                Ok(addresses) => found.extend(addresses),
                Err(error) => reason = io::Error::new(error.kind(), format!("DNS server {server}: {error}")),
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
        if reason.kind() == io::ErrorKind::NotFound {
            reason = io::Error::new(
                io::ErrorKind::NotFound,
                format!("DNS server {server} knows no address of '{host}'"),
            );
        }
    }
    Err(reason)
}

fn ask(server: IpAddr, host: &str, kind: TYPE) -> io::Result<Vec<IpAddr>> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect((server, DNS_PORT))?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    let (number, query) = query(host, kind)?;
    socket.send(&query)?;
    let mut buffer = [0; MAX_ANSWER_BYTES];
    // Datagrams that answer another question are not counted; the time-out ends a stream of them.
    for _ in 0..16 {
        let length = socket.recv(&mut buffer)?;
        if let Some(addresses) = addresses(&buffer[..length], number, host) {
            return Ok(addresses);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "no answer to the question"))
}

fn query(host: &str, kind: TYPE) -> io::Result<(u16, Vec<u8>)> {
    let mut number = [0; 2];
    SystemRandom::new().fill(&mut number).map_err(|_| io::Error::other("no random number"))?;
    let number = u16::from_be_bytes(number);
    let invalid = |_| io::Error::new(io::ErrorKind::InvalidInput, "this is no host name");
    let mut packet = Packet::new_query(number);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(host).map_err(invalid)?;
    packet.questions.push(Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
    Ok((number, packet.build_bytes_vec().map_err(invalid)?))
}

/// The addresses in an answer, or None when it is none to this question. Aliases are followed by the server.
fn addresses(bytes: &[u8], number: u16, host: &str) -> Option<Vec<IpAddr>> {
    let packet = Packet::parse(bytes).ok()?;
    let question = packet.questions.first()?;
    if packet.id() != number || !question.qname.to_string().eq_ignore_ascii_case(host.trim_end_matches('.')) {
        return None;
    }
    Some(
        packet
            .answers
            .iter()
            .filter_map(|record| match &record.rdata {
                RData::A(record) => Some(IpAddr::V4(record.address.into())),
                RData::AAAA(record) => Some(IpAddr::V6(record.address.into())),
                _ => None,
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_at_the_last_colon() {
        assert_eq!(split("broker.example:8443"), Some(("broker.example", 8443)));
        assert_eq!(split("[::1]:8443"), Some(("::1", 8443)));
        for wrong in ["broker.example", ":8443", "host:", "host:65536", "host:http"] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn hosts_are_found_by_any_of_their_names() {
        let text = "127.0.0.1 localhost # home\n# 10.0.0.9 broker\n10.0.0.7\tother Broker\nnonsense broker\n";
        assert_eq!(in_hosts(text, "broker"), ["10.0.0.7".parse::<IpAddr>().unwrap()]);
        assert_eq!(in_hosts(text, "home"), [] as [IpAddr; 0]);
    }

    #[test]
    fn servers_are_read_from_resolv_conf() {
        let text = "search a b\nnameserver 10.0.0.1\n  nameserver fd00::1\nnameserver x\noptions ndots:1\n";
        assert_eq!(servers(text), ["10.0.0.1".parse::<IpAddr>().unwrap(), "fd00::1".parse().unwrap()]);
    }

    #[test]
    fn an_answer_to_another_question_is_none() {
        let (number, query) = query("broker.example", TYPE::A).unwrap();
        assert_eq!(addresses(&query, number, "broker.example"), Some(Vec::new()));
        assert_eq!(addresses(&query, number ^ 1, "broker.example"), None);
        assert_eq!(addresses(&query, number, "other.example"), None);
        assert_eq!(addresses(b"", number, "broker.example"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_none(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = addresses(&bytes, 1, "broker.example");
            let (number, query) = query("broker.example", TYPE::A).unwrap();
            let _ = addresses(&[&query[..], &bytes[..]].concat(), number, "broker.example");
        }
    }
}
