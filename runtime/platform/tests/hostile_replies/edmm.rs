//! Pages as in an enclave with EDMM: what the host says it did is checked by ENCLU, for which code of this test stands.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::*};

use casemate_abi::HostCall;
use casemate_platform::pages::{self, PageError, Protection};

use crate::host::with;
use crate::machine::{self, PAGE, PUBLIC, PUBLIC_SIZE};
use crate::numbers::Numbers;

std::arch::global_asm!(
    r#"
    .text
    // rax: leaf, rcx: page, r9: bytes. Gives rax: code, r9: bytes done; or faults, as a program would, where r11 says.
    .globl casemate_test_enclu
casemate_test_enclu:
    push rbp
    mov rbp, rsp
    and rsp, -16
    sub rsp, 16
    mov rdi, rax
    mov rsi, rcx
    mov rdx, r9
    mov rcx, rsp
    call {LEAF}
    mov r9, [rsp]
    leave
    xor r10d, r10d
    test rax, rax
    js 1f
    ret
1:  pop r11
    .globl casemate_test_enclu_faulting
casemate_test_enclu_faulting:
    mov rax, [r9]
    ud2
"#,
    LEAF = sym leaf,
);

unsafe extern "C" {
    fn casemate_test_enclu();
    fn casemate_test_enclu_faulting();
}

/// Whether a fault there is one of ENCLU.
pub fn is_leaf_fault(rip: u64) -> bool {
    rip == casemate_test_enclu_faulting as *const () as u64
}

/// What a leaf over pages does: its code (negative: a page fault) and how far it came, or where it faults.
type Leaf = Box<dyn FnMut(u64, u64, u64) -> (i64, u64) + Send>;

static LEAF: Mutex<Option<Leaf>> = Mutex::new(None);
/// Leaves so far.
static LEAVES: AtomicU64 = AtomicU64::new(0);

extern "C" fn leaf(number: u64, page: u64, length: u64, done: &mut u64) -> i64 {
    LEAVES.fetch_add(1, Relaxed);
    assert!((5..=7).contains(&number), "EACCEPT, EMODPE or EACCEPTCOPY, not {number}");
    assert!(length > 0 && (page | length).is_multiple_of(PAGE));
    assert!(
        page >= PUBLIC && page + length <= PUBLIC + PUBLIC_SIZE as u64,
        "{page:#x}: what was not asked for"
    );
    let (code, far) = match &mut *LEAF.lock().unwrap() {
        Some(leaf) => leaf(number, page, length),
        None => (0, length),
    };
    *done = far;
    code
}

/// From now on pages come and go with EDMM, and ENCLU does this.
fn begin(leaf: impl FnMut(u64, u64, u64) -> (i64, u64) + Send + 'static) {
    *LEAF.lock().unwrap() = Some(Box::new(leaf));
    pages::provide_edmm(casemate_test_enclu as *const () as u64);
}

/// Leaves that succeed or not, and say anything of how far they came.
pub fn begin_at_random(seed: u64) {
    let mut numbers = Numbers(seed);
    begin(move |_, _, length| match numbers.below(16) {
        0 => (numbers.pick(&[1, 11, 19, 20, i64::MAX]), length),
        1 => (0, numbers.pick(&[0, PAGE, length + PAGE, u64::MAX])),
        _ => (0, length),
    });
}

const RW: Protection = Protection::READ_WRITE;
const RX: Protection = Protection { read: true, write: false, execute: true };

pub fn check_all() {
    a_change_that_fails_is_a_failure();
    rights_that_the_host_left_are_taken_away();
}

/// A host that does half of a change leaves pages with more rights than were asked for, and the next change sees to it.
fn rights_that_the_host_left_are_taken_away() {
    let read = Protection { write: false, ..RW };
    begin(|_, _, length| (0, length));
    assert_eq!(with(|_, _| 0, || pages::map(PUBLIC, 2 * PAGE, read)), Ok(()));
    for wanted in [RW, RX] {
        let half = with(|_, _| -12, || pages::protect(PUBLIC, 2 * PAGE, wanted));
        assert_eq!(half, Err(PageError::OutOfMemory));
        let restricted = std::sync::Arc::new(AtomicU64::new(0));
        let told = restricted.clone();
        let tell = move |call, args: [u64; 6]| {
            assert_eq!((call, args[3]), (HostCall::PageProtect, 1), "EMODPR to reading alone");
            told.fetch_add(1, Relaxed);
            0
        };
        assert_eq!(with(tell, || pages::protect(PUBLIC, 2 * PAGE, read)), Ok(()));
        assert_eq!(restricted.load(Relaxed), 1, "{wanted:?} was left to the pages");
    }
    assert_eq!(with(|_, _| 0, || pages::unmap(PUBLIC, 2 * PAGE)), Ok(()));
}

/// Whatever call or leaf of a change fails, the change fails, and nothing is asked for after it.
fn a_change_that_fails_is_a_failure() {
    begin(|_, _, length| (0, length));
    let change = || {
        pages::map(PUBLIC, 4 * PAGE, RX)?;
        pages::protect(PUBLIC, PAGE, Protection::NONE)?;
        pages::relocate(PUBLIC, PUBLIC + 8 * PAGE, 2 * PAGE, RX)?;
        pages::unmap(PUBLIC, 16 * PAGE)
    };
    let calls = std::sync::Arc::new(AtomicU64::new(0));
    let counted = calls.clone();
    let count = move |_, _| {
        counted.fetch_add(1, Relaxed);
        0
    };
    // What other tests left there would take calls of its own.
    assert_eq!(with(|_, _| 0, || pages::unmap(PUBLIC, 16 * PAGE)), Ok(()));
    LEAVES.store(0, Relaxed);
    assert_eq!(with(count, change), Ok(()));
    let (calls, leaves) = (calls.load(Relaxed), LEAVES.load(Relaxed));
    assert!(calls >= 8 && leaves >= 8, "{calls} calls, {leaves} leaves");
    for lie in [-12, -22, 1, i64::MAX, i64::MIN] {
        for failing in 0..calls {
            let mut number = 0;
            let one_fails = move |call, _| {
                assert!(is_about_pages(call) && number <= failing, "{} after a failure", call.name());
                number += 1;
                if number > failing { lie } else { 0 }
            };
            assert_eq!(
                with(one_fails, change),
                Err(PageError::OutOfMemory),
                "call {failing} fails with {lie}"
            );
            assert_eq!(with(|_, _| 0, || pages::unmap(PUBLIC, 16 * PAGE)), Ok(()));
        }
    }
    for (code, far) in [(19, PAGE), (0, 0), (0, u64::MAX)] {
        for failing in 0..leaves {
            let mut number = 0;
            begin(move |_, _, length| {
                number += 1;
                if number == failing + 1 { (code, far) } else { (0, length) }
            });
            let result = with(|_, _| 0, change);
            // EMODPE has no codes.
            let tolerated = code != 0 && result.is_ok();
            assert!(result == Err(PageError::OutOfMemory) || tolerated, "leaf {failing}, {code} {far:#x}");
            begin(|_, _, length| (0, length));
            assert_eq!(with(|_, _| 0, || pages::unmap(PUBLIC, 16 * PAGE)), Ok(()));
        }
    }
}

fn is_about_pages(call: HostCall) -> bool {
    matches!(call, HostCall::PageMap | HostCall::PageProtect | HostCall::PageConvert | HostCall::PageRemove)
}

/// The host says that it added pages, and one of them is not there.
pub fn add_what_is_not_there() {
    machine::protect(PUBLIC + PAGE, PAGE, libc::PROT_NONE);
    begin(|_, page, _| (-1, page + PAGE));
    _ = with(|_, _| 0, || pages::map(PUBLIC, 2 * PAGE, RW));
}
