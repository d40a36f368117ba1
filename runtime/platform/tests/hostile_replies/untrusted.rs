//! Accesses to the host's memory: as wide as they may be, and no byte beside those that were meant.

use std::sync::atomic::Ordering::SeqCst;

use casemate_abi::HostThread;
use casemate_platform::boundary::HostRange;
use casemate_platform::host::{Bytes, HostError, HostFd, TRANSFER_LIMIT, fd_read, fd_write};
use casemate_platform::{thread, untrusted};

use crate::host::{put, with};
use crate::machine::{self, MAIN_BLOCK, PAGE, buffer_of};

const FD: HostFd = HostFd::standard_stream(0);
/// Beside what is written.
const BESIDE: u8 = 0xee;

pub fn check_all() {
    every_byte_is_copied_and_no_other();
    what_ends_at_a_page_that_is_not_there_is_whole();
    memory_that_is_gone_is_an_error();
    a_wake_up_touches_one_word();
}

/// As where the enclave is the processor's own; from then on.
pub fn check_all_with_care() {
    untrusted::provide_care();
    check_all();
}

fn buffer() -> u64 {
    buffer_of(MAIN_BLOCK.load(SeqCst))
}

/// The host's bytes, as it has them.
fn seen(address: u64, length: usize) -> Vec<u8> {
    // SAFETY: the test's own pages, which nothing changes now.
    unsafe { std::slice::from_raw_parts(address as *const u8, length) }.to_vec()
}

fn every_byte_is_copied_and_no_other() {
    let bytes: Vec<u8> = (1..=80).collect();
    for (offset, length) in (0..16).flat_map(|offset| (0..=64).map(move |length| (offset, length))) {
        let range = HostRange::new(buffer() + offset as u64, length as u64).unwrap();
        put(0, &[BESIDE; 96]);
        assert!(range.write(0, &bytes[..length]));
        let mut expected = [BESIDE; 96];
        expected[offset..offset + length].copy_from_slice(&bytes[..length]);
        assert_eq!(seen(buffer(), 96), expected, "{length} bytes to {offset}");
        put(0, &[BESIDE; 96]);
        put(offset as u64, &bytes[..length]);
        let mut got = vec![0; length];
        assert!(range.read(0, &mut got) && got == bytes[..length], "{length} bytes from {offset}");
    }
}

fn what_ends_at_a_page_that_is_not_there_is_whole() {
    let place = buffer_of(machine::host_block()) + TRANSFER_LIMIT as u64 + 8192;
    for length in 1..40 {
        let range = HostRange::new(place - length, length).unwrap();
        let bytes: Vec<u8> = (0..length as u8).collect();
        let mut got = vec![0; length as usize];
        assert!(range.write(0, &bytes) && range.read(0, &mut got) && got == bytes, "{length} bytes");
    }
}

fn memory_that_is_gone_is_an_error() {
    let place = buffer_of(machine::host_block()) + PAGE;
    machine::protect(place, PAGE, libc::PROT_NONE);
    for before in 0..24 {
        let range = HostRange::new(place - before, 48).unwrap();
        assert!(!range.read(0, &mut [0; 48]) && !range.write(0, &[0; 48]), "{before} bytes are there");
        for length in 1..8 {
            let small = HostRange::new(place + before, length).unwrap();
            let mut bytes = [0; 8];
            let bytes = &mut bytes[..length as usize];
            assert!(!small.read(0, bytes) && !small.write(0, bytes), "{length} bytes");
        }
    }
    let (block, access) = (MAIN_BLOCK.load(SeqCst), libc::PROT_READ | libc::PROT_WRITE);
    machine::protect(block, PAGE, libc::PROT_NONE);
    thread::clear_wake();
    thread::look_for_wake();
    assert_eq!(with(|_, _| 0, || fd_read(&FD, 1).map(drop)), Err(HostError::IO));
    machine::protect(block, PAGE, access);
    assert_eq!(with(|_, _| 3, || fd_write(&FD, Bytes::Kernel(b"abc"))), Ok(3));
}

fn a_wake_up_touches_one_word() {
    let block = MAIN_BLOCK.load(SeqCst);
    let before = seen(block, size_of::<HostThread>());
    thread::clear_wake();
    let after = seen(block, size_of::<HostThread>());
    let wake = std::mem::offset_of!(HostThread, wake);
    assert_eq!(after[wake..wake + 4], [0; 4]);
    assert_eq!((&after[..wake], &after[wake + 4..]), (&before[..wake], &before[wake + 4..]));
}
