//! Pages as in an enclave without EDMM: they are all there, with whatever the host put into them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

use casemate_abi::HostCall;
use casemate_platform::pages::{self, PageError, Protection};
use casemate_platform::user;

use crate::host::with;
use crate::machine::{self, PAGE, PUBLIC};

const RW: Protection = Protection::READ_WRITE;
const READ: Protection = Protection { write: false, ..RW };
const THERE: u64 = PUBLIC + 8 * PAGE;

pub fn check_all() {
    pages::provide_fixed();
    nothing_of_the_hosts_shows_in_new_pages();
    contents_move();
    a_call_that_fails_is_a_failure();
    pages_that_stay_hidden_are_an_error();
    user::fill(PUBLIC, 0x5a, 16 * PAGE as usize).unwrap();
}

fn bytes(at: u64) -> [u8; 16] {
    user::read(at).unwrap()
}

/// What is mapped reads as zero, whatever was there.
fn nothing_of_the_hosts_shows_in_new_pages() {
    for change in [
        || pages::map(PUBLIC, PAGE, RW),
        || pages::map(PUBLIC, PAGE, READ),
        || pages::map_to_fill(PUBLIC, PAGE),
        || pages::discard(PUBLIC, PAGE),
    ] {
        user::fill(PUBLIC, 0x77, 2 * PAGE as usize).unwrap();
        assert_eq!(with(|_, _| 0, change), Ok(()));
        assert_eq!([bytes(PUBLIC), bytes(PUBLIC + PAGE - 16)], [[0; 16]; 2]);
        assert_eq!(bytes(PUBLIC + PAGE), [0x77; 16], "beside it");
    }
}

fn contents_move() {
    user::fill(PUBLIC, 0x11, PAGE as usize).unwrap();
    user::fill(THERE, 0x77, 2 * PAGE as usize).unwrap();
    assert_eq!(with(|_, _| 0, || pages::relocate(PUBLIC, THERE, PAGE, READ)), Ok(()));
    assert_eq!((bytes(THERE), bytes(THERE + PAGE)), ([0x11; 16], [0x77; 16]));
    let over = with(|_, _| 0, || pages::relocate(PUBLIC, PUBLIC + PAGE, 2 * PAGE, RW));
    assert_eq!(over, Err(PageError::BadRange));
}

fn a_call_that_fails_is_a_failure() {
    let change = || {
        pages::map(PUBLIC, 2 * PAGE, READ)?;
        pages::protect(PUBLIC, PAGE, Protection::NONE)?;
        pages::relocate(PUBLIC, THERE, PAGE, READ)?;
        pages::unmap(PUBLIC, 16 * PAGE)
    };
    let calls = Arc::new(AtomicU64::new(0));
    let counted = calls.clone();
    let count = move |_, _| {
        counted.fetch_add(1, Relaxed);
        0
    };
    assert_eq!(with(count, change), Ok(()));
    assert!(calls.load(Relaxed) >= 7);
    for lie in [-12, -22, 1, i64::MAX, i64::MIN] {
        for failing in 0..calls.load(Relaxed) {
            let mut number = 0;
            let one_fails = move |call, _| {
                let known = matches!(call, HostCall::PageMap | HostCall::PageProtect | HostCall::PageUnmap);
                assert!(known && number <= failing, "{} after a failure", call.name());
                number += 1;
                if number > failing { lie } else { 0 }
            };
            assert_eq!(with(one_fails, change), Err(PageError::OutOfMemory), "call {failing}, {lie}");
        }
    }
}

/// A host that says that it shows pages, and does not.
fn pages_that_stay_hidden_are_an_error() {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    machine::protect(PUBLIC + PAGE, PAGE, libc::PROT_NONE);
    let changes: [fn() -> Result<(), PageError>; 4] = [
        || pages::map(PUBLIC, 2 * PAGE, RW),
        || pages::discard(PUBLIC, 2 * PAGE),
        || pages::relocate(PUBLIC, THERE, 2 * PAGE, RW),
        || pages::relocate(THERE, PUBLIC, 2 * PAGE, RW),
    ];
    for change in changes {
        assert_eq!(with(|_, _| 0, change), Err(PageError::OutOfMemory));
    }
    machine::protect(PUBLIC + PAGE, PAGE, access);
}
