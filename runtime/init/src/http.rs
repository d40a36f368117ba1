//! As much of HTTP/1.1 (RFC 9112) as one request and its answer need.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

const MAX_HEAD_BYTES: usize = 16 << 10;
const CHUNK_BYTES: usize = 4096;
const MAX_HEADERS: usize = 64;
/// 64 secrets of 1 MiB in Base64.
const MAX_BODY_BYTES: usize = 96 << 20;

/// An answer. The body is wiped when it is dropped.
pub struct Answer {
    pub status: u16,
    pub body: Zeroizing<Vec<u8>>,
}

/// Sends one request and reads the answer; the connection is of no use after it.
pub fn exchange(
    stream: &mut (impl Read + Write),
    method: &str,
    path: &str,
    host: &str,
    body: &[u8],
) -> io::Result<Answer> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    stream.flush()?;
    read_answer(stream)
}

fn read_answer(stream: &mut impl Read) -> io::Result<Answer> {
    // Room for all of it: growing would leave copies of what came with the head.
    let mut received = Zeroizing::new(Vec::with_capacity(MAX_HEAD_BYTES + CHUNK_BYTES));
    let (status, length, head) = loop {
        if let Some(found) = read_head(&received)? {
            break found;
        }
        if received.len() >= MAX_HEAD_BYTES {
            return Err(malformed("a head that does not end"));
        }
        let mut chunk = Zeroizing::new([0; CHUNK_BYTES]);
        match stream.read(&mut chunk[..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => received.extend_from_slice(&chunk[..count]),
        }
    };
    // In one piece, so that no copies are left behind when it grows.
    let mut body = Zeroizing::new(vec![0; length]);
    let here = (received.len() - head).min(length);
    body[..here].copy_from_slice(&received[head..head + here]);
    stream.read_exact(&mut body[here..])?;
    Ok(Answer { status, body })
}

/// Status, length of the body, length of the head; None when there is not all of it yet.
fn read_head(bytes: &[u8]) -> io::Result<Option<(u16, usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(malformed("no HTTP")),
    };
    let status = response.code.ok_or_else(|| malformed("no status"))?;
    let mut length = if status == 204 { Some(0) } else { None };
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(malformed("a transfer encoding"));
        }
        if header.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(header.value).ok().and_then(|text| text.trim().parse().ok());
            length = Some(text.ok_or_else(|| malformed("no length"))?);
        }
    }
    match length {
        Some(length) if length <= MAX_BODY_BYTES => Ok(Some((status, length, head))),
        _ => Err(malformed("no length, or one that is too large")),
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the answer has {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<(u16, Vec<u8>)> {
        read_answer(&mut text.as_bytes()).map(|answer| (answer.status, answer.body.to_vec()))
    }

    #[test]
    fn a_body_has_the_length_that_its_head_says() {
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay").unwrap(), (200, b"ok".to_vec()));
        assert_eq!(read("HTTP/1.1 204 No Content\r\n\r\n").unwrap(), (204, Vec::new()));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for wrong in [
            "",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "SSH-2.0-OpenSSH\r\n",
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        assert!(read(&format!("HTTP/1.1 200 OK\r\nX: {}\r\n", "a".repeat(20_000))).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_an_error(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
            let _ = read_answer(&mut &bytes[..]);
            let _ = read_answer(&mut &[b"HTTP/1.1 200 OK\r\n", &bytes[..]].concat()[..]);
        }
    }
}
