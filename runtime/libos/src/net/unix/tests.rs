//! What pairs do without ever having to wait.

use alloc::vec;

use super::*;
use crate::net::{DATAGRAM, SEQUENCED, STREAM};

fn send(socket: &UnixSocket, bytes: &[u8]) -> Result<usize> {
    socket.write(&mut Source::kernel(bytes))
}

fn receive(socket: &UnixSocket, length: usize, flags: u32) -> Result<(Vec<u8>, u32)> {
    let mut buffer = vec![0; length];
    let incoming = socket.receive(&mut Sink::kernel(&mut buffer), flags)?;
    buffer.truncate(incoming.count);
    Ok((buffer, incoming.flags))
}

#[test]
fn a_stream_has_no_borders_and_records_do() {
    let [a, b] = UnixSocket::pair(STREAM, true);
    send(&a, b"first").unwrap();
    send(&a, b"second").unwrap();
    assert_eq!(receive(&b, 3, message::PEEK).unwrap().0, b"fir");
    assert_eq!(receive(&b, 3, 0).unwrap().0, b"fir");
    assert_eq!(receive(&b, 100, 0).unwrap().0, b"stsecond");
    for kind in [DATAGRAM, SEQUENCED] {
        let [a, b] = UnixSocket::pair(kind, true);
        send(&a, b"first").unwrap();
        send(&a, b"second").unwrap();
        assert_eq!(receive(&b, 3, 0).unwrap(), (b"fir".to_vec(), message::TRUNCATED));
        assert_eq!(receive(&b, 100, 0).unwrap(), (b"second".to_vec(), 0));
    }
}

#[test]
fn a_full_queue_takes_no_more_and_tells_when_it_does() {
    let [a, b] = UnixSocket::pair(STREAM, true);
    let mut sent = 0;
    while let Ok(count) = send(&a, &[7; 10_000]) {
        sent += count;
    }
    assert!(sent > 100_000);
    assert!(!a.poll(None).contains(Events::OUT));
    let mut received = 0;
    while let Ok((bytes, _)) = receive(&b, 8192, 0) {
        received += bytes.len();
    }
    assert_eq!(received, sent);
    assert!(a.poll(None).contains(Events::OUT));
}

#[test]
fn the_end_of_a_peer_is_seen() {
    let [a, b] = UnixSocket::pair(STREAM, true);
    send(&a, b"x").unwrap();
    drop(a);
    assert!(b.poll(None).contains(Events::IN | Events::HANG_UP | Events::READ_HANG_UP));
    assert_eq!(receive(&b, 4, 0).unwrap().0, b"x");
    assert_eq!(receive(&b, 4, 0).unwrap().0, b"");
    assert_eq!(send(&b, b"y"), Err(Errno::EPIPE));
    let [a, b] = UnixSocket::pair(STREAM, true);
    send(&b, b"unread").unwrap();
    drop(a);
    assert_eq!(receive(&b, 4, 0).unwrap_err(), Errno::ECONNRESET);
    let [a, b] = UnixSocket::pair(DATAGRAM, true);
    drop(a);
    assert_eq!(send(&b, b"y"), Err(Errno::ECONNREFUSED));
    assert_eq!(send(&b, b"y"), Err(Errno::ENOTCONN));
}

#[test]
fn a_file_travels_with_its_message() {
    let [a, b] = UnixSocket::pair(STREAM, true);
    let [passed, kept] = UnixSocket::pair(STREAM, true);
    let outgoing = Outgoing { files: vec![passed as Arc<dyn File>], ..Outgoing::default() };
    a.send(&mut Source::kernel(b"f"), outgoing).unwrap();
    send(&a, b"more").unwrap();
    let mut buffer = [0; 10];
    let incoming = b.receive(&mut Sink::kernel(&mut buffer), 0).unwrap();
    assert_eq!((incoming.count, incoming.files.len()), (1, 1), "a message with files ends the read");
    send(&kept, b"through").unwrap();
    let mut data = [0; 7];
    assert_eq!(incoming.files[0].read(&mut Sink::kernel(&mut data)), Ok(7));
    drop(incoming);
    assert_eq!(receive(&kept, 1, 0).unwrap().0, b"", "the last holder is gone");
}
