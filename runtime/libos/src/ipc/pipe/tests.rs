//! What a pipe does without ever having to wait.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::file::{File, OpenFlags};

fn write(end: &PipeFile, bytes: &[u8]) -> Result<usize> {
    end.write(&mut Source::kernel(bytes))
}

fn read(end: &PipeFile, length: usize) -> Result<Vec<u8>> {
    let mut buffer = vec![0; length];
    let count = end.read(&mut Sink::kernel(&mut buffer))?;
    buffer.truncate(count);
    Ok(buffer)
}

#[test]
fn bytes_come_out_in_order_across_pages() {
    let (reader, writer) = PipeFile::pair(OpenFlags::NONBLOCK);
    let sent: Vec<u8> = (0..20_000u32).map(|n| (n * 7 % 251) as u8).collect();
    assert_eq!(write(&writer, &sent[..9000]), Ok(9000));
    assert_eq!(write(&writer, &sent[9000..]), Ok(11_000));
    assert_eq!(reader.pipe().available(), 20_000);
    let mut received = read(&reader, 5).unwrap();
    while let Ok(more) = read(&reader, 4999) {
        received.extend(more);
    }
    assert_eq!(received, sent);
}

#[test]
fn a_small_write_is_all_or_nothing() {
    let (_reader, writer) = PipeFile::pair(OpenFlags::NONBLOCK);
    // Each page takes four of these; the fifth does not fit and opens the next page.
    for _ in 0..64 {
        assert_eq!(write(&writer, &[1; 1000]), Ok(1000));
    }
    assert_eq!(write(&writer, &[1; 1000]), Err(Errno::EAGAIN));
    assert_eq!(write(&writer, &[1; 96]), Ok(96), "fits into the last page");
}

#[test]
fn a_large_write_is_cut_when_it_may_not_wait() {
    let (reader, writer) = PipeFile::pair(OpenFlags::NONBLOCK);
    assert_eq!(write(&writer, &[2; 100_000]), Ok(65_536));
    assert!(!writer.poll(None).intersects(Events::OUT));
    assert_eq!(read(&reader, 4095).unwrap().len(), 4095);
    assert!(!writer.poll(None).intersects(Events::OUT));
    assert_eq!(read(&reader, 1).unwrap().len(), 1);
    assert!(writer.poll(None).intersects(Events::OUT));
}

#[test]
fn closed_ends_are_seen() {
    let (reader, writer) = PipeFile::pair(OpenFlags::NONBLOCK);
    assert_eq!(read(&reader, 1), Err(Errno::EAGAIN));
    write(&writer, b"last").unwrap();
    drop(writer);
    assert_eq!(reader.poll(None), Events::READABLE | Events::HANG_UP);
    assert_eq!(read(&reader, 10).unwrap(), b"last");
    assert_eq!(read(&reader, 10).unwrap(), b"");
    let (reader, writer) = PipeFile::pair(OpenFlags::empty());
    drop(reader);
    assert_eq!(write(&writer, b""), Ok(0));
    assert_eq!(write(&writer, b"x"), Err(Errno::EPIPE));
    assert_eq!(writer.poll(None), Events::WRITABLE | Events::ERROR);
}

#[test]
fn packets_stay_apart_and_lose_their_rest() {
    let (reader, writer) = PipeFile::pair(OpenFlags::NONBLOCK | OpenFlags::DIRECT);
    write(&writer, b"first").unwrap();
    write(&writer, b"second").unwrap();
    assert_eq!(read(&reader, 3).unwrap(), b"fir");
    assert_eq!(read(&reader, 100).unwrap(), b"second");
    assert_eq!(reader.pipe().available(), 0);
}

#[test]
fn the_capacity_changes_in_powers_of_two() {
    let (_reader, writer) = PipeFile::pair(OpenFlags::NONBLOCK);
    assert_eq!(writer.pipe().set_capacity(5000, false), Ok(8192));
    assert_eq!(write(&writer, &[0; 10_000]), Ok(8192));
    assert_eq!(writer.pipe().set_capacity(4096, true), Err(Errno::EBUSY));
    assert_eq!(writer.pipe().set_capacity(2 << 20, false), Err(Errno::EPERM));
    assert_eq!(writer.pipe().set_capacity(2 << 20, true), Ok(2 << 20));
}
