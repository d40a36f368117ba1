//! The files that a container engine puts in: /etc/resolv.conf, /etc/hosts, /etc/hostname. They come from the host, so they are not
//! taken over: each field that is what it should be is admitted, and the files are written anew from those.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

/// Most name servers, as resolvers use them (MAXNS).
const SERVER_LIMIT: usize = 3;
/// Most domains to search in.
const SEARCH_LIMIT: usize = 32;
/// Most lines of /etc/hosts.
const HOSTS_LIMIT: usize = 4096;
/// Longest name (RFC 1035).
const NAME_LIMIT: usize = 253;
/// Longest node name.
const NODE_NAME_LIMIT: usize = 64;

/// Resolver options without a value that change nothing about what is believed (`trust-ad` would).
const FLAGS: [&str; 7] =
    ["rotate", "edns0", "single-request", "single-request-reopen", "use-vc", "no-tld-query", "inet6"];
/// Resolver options with a number, and the largest that resolvers take.
const NUMBERS: [(&str, u32); 3] = [("ndots", 15), ("timeout", 30), ("attempts", 5)];

/// What /etc/hosts says before anything else.
const LOCAL: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// A name of letters, digits, `-`, `_` and single dots; a dot may end it.
fn is_name(text: &str) -> bool {
    let plain = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    plain.len() <= NAME_LIMIT && plain.split('.').all(label)
}

/// The node name: the host's where it is one, else "casemate".
pub fn host_name(from_host: &[u8]) -> Vec<u8> {
    let good = |name: &&str| name.len() <= NODE_NAME_LIMIT && !name.ends_with('.') && is_name(name);
    let admitted = core::str::from_utf8(from_host).ok().map(str::trim).filter(good);
    admitted.unwrap_or("casemate").as_bytes().to_vec()
}

/// The lines of a file without comments, as words. What is no UTF-8 is no line.
fn lines(file: &[u8]) -> impl Iterator<Item = Vec<&str>> {
    file.split(|&byte| byte == b'\n').filter_map(|line| {
        let text = core::str::from_utf8(line).ok()?;
        let words: Vec<&str> = text.split(['#', ';']).next()?.split_ascii_whitespace().collect();
        (!words.is_empty()).then_some(words)
    })
}

/// A resolver option that is admitted, as it is written.
fn option(text: &str) -> Option<String> {
    if FLAGS.contains(&text) {
        return Some(text.to_string());
    }
    let (name, value) = text.split_once(':')?;
    let (name, limit) = NUMBERS.into_iter().find(|(known, _)| *known == name)?;
    let value: u32 = value.parse().ok()?;
    Some(format!("{name}:{}", value.min(limit)))
}

/// A new /etc/resolv.conf.
pub fn resolv_conf(from_host: &[u8]) -> Vec<u8> {
    let (mut servers, mut search, mut options) = (Vec::new(), Vec::new(), Vec::new());
    for words in lines(from_host) {
        match words[0] {
            "nameserver" => servers.extend(words.get(1).and_then(|word| word.parse::<IpAddr>().ok())),
            // The last line with domains counts.
            "search" | "domain" => {
                search = words[1..].iter().copied().filter(|word| is_name(word)).take(SEARCH_LIMIT).collect();
            }
            "options" => options.extend(words[1..].iter().filter_map(|word| option(word))),
            _ => {}
        }
    }
    servers.truncate(SERVER_LIMIT);
    options.sort();
    options.dedup();
    let mut text = String::new();
    if !search.is_empty() {
        text += &format!("search {}\n", search.join(" "));
    }
    for server in servers {
        text += &format!("nameserver {server}\n");
    }
    if !options.is_empty() {
        text += &format!("options {}\n", options.join(" "));
    }
    text.into_bytes()
}

/// Whether a name may stand for this address: what is called local must be.
fn may_stand_for(name: &str, address: &IpAddr) -> bool {
    let local = ["localhost", "ip6-localhost", "ip6-loopback"];
    let is_local = |known: &str| {
        name.len() >= known.len()
            && name[..known.len()].eq_ignore_ascii_case(known)
            && matches!(name.as_bytes().get(known.len()), None | Some(b'.'))
    };
    let below_localhost = name.to_ascii_lowercase().trim_end_matches('.').ends_with(".localhost");
    is_name(name) && (address.is_loopback() || !(below_localhost || local.into_iter().any(is_local)))
}

/// A new /etc/hosts; the node's own name is always in it.
pub fn hosts(from_host: &[u8], node: &[u8]) -> Vec<u8> {
    let mut text = String::from(LOCAL);
    let mut knows_itself = false;
    let node = String::from_utf8_lossy(node);
    for words in lines(from_host).take(HOSTS_LIMIT) {
        let Ok(address) = words[0].parse::<IpAddr>() else { continue };
        let names: Vec<&str> =
            words[1..].iter().copied().filter(|name| may_stand_for(name, &address)).collect();
        if !names.is_empty() && !names.iter().all(|name| name.eq_ignore_ascii_case("localhost")) {
            knows_itself |= names.contains(&&*node);
            text += &format!("{address}\t{}\n", names.join(" "));
        }
    }
    if !knows_itself {
        text += &format!("127.0.0.1\t{node}\n");
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn resolver_settings_are_taken_field_by_field() {
        let from_host = b"# made by an engine\nnameserver 10.0.0.2\nnameserver fe80::1%eth0\nnameserver evil;rm\n\
            nameserver 2001:db8::1\nnameserver 1.1.1.1\nnameserver 9.9.9.9\nsearch a.example b..c -x svc.cluster.local.\n\
            options ndots:99 trust-ad edns0 rotate rotate debug timeout:2\nsortlist 1.2.3.4\n\xff\xfe\n";
        assert_eq!(
            text(resolv_conf(from_host)),
            "search a.example svc.cluster.local.\nnameserver 10.0.0.2\nnameserver 2001:db8::1\nnameserver 1.1.1.1\n\
             options edns0 ndots:15 rotate timeout:2\n"
        );
        assert_eq!(text(resolv_conf(b"")), "");
    }

    #[test]
    fn what_is_called_local_stays_local() {
        let from_host = b"127.0.0.1 localhost\n6.6.6.6 localhost bank.example x.localhost LOCALHOST.localdomain\n\
            172.17.0.5\tbox box.example # comment\n300.1.1.1 wrong\n10.0.0.1 bad/name\n127.0.1.1 x.localhost\n";
        assert_eq!(
            text(hosts(from_host, b"box")),
            "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n6.6.6.6\tbank.example\n\
             172.17.0.5\tbox box.example\n127.0.1.1\tx.localhost\n"
        );
        assert!(text(hosts(b"", b"box")).ends_with("127.0.0.1\tbox\n"));
    }

    #[test]
    fn a_host_name_that_is_none_is_not_taken() {
        assert_eq!(host_name(b"web-1.example\n"), b"web-1.example");
        for wrong in [&b""[..], b"a b", b"-x", b"a..b", b"x.", b"\xff", b"$(id)", &[b'a'; 65]] {
            assert_eq!(host_name(wrong), b"casemate");
        }
    }
}
