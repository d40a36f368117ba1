//! Signals from outside: the test's runner sends them when told that the probe is ready.

use core::sync::atomic::Ordering::*;

use casemate_abi::{HostCall, VECTOR_INTERRUPT};
use linux_raw_sys::errno::EINTR;

use super::memory::{at, place_code};
use crate::enclave::{area, buffer, get, host, host_thread, layout, run_user};

fn take() -> u64 {
    same!(host(HostCall::SignalsTake, [buffer(), 0, 0, 0, 0, 0]), 0);
    get(0)
}

/// One signal in user code, one in a blocking call, and one with the default action of stopping.
pub fn signals() {
    let page = layout().user_base;
    place_code(page, &[0xeb, 0xfe]);
    same!(take(), 0);
    say!("in user code");
    let found = run_user(&at(page));
    same!((found.vector, found.rip, found.signal), (VECTOR_INTERRUPT, page, 15));
    same!((take(), take()), (1 << 14, 0));
    check!(host_thread().wake.swap(0, SeqCst) == 1 && area().noted.load(SeqCst) == 0);
    say!("in a call");
    same!(host(HostCall::FdPoll, [buffer(), 0, u64::MAX, 0, 0, 0]), -(EINTR as i64));
    same!((take(), area().noted.load(SeqCst)), (1 << 1, 1));
    host_thread().wake.store(0, SeqCst);
    say!("asleep");
    same!(host(HostCall::Park, [u64::MAX, 0, 0, 0, 0, 0]), 0);
    same!((take(), area().noted.load(SeqCst)), (1 << 11, 2));
}

/// Thousands of signals in user code and in host calls; ends with SIGTERM.
pub fn flood() {
    let page = layout().user_base;
    // Half of the time in user code that traps by itself (syscall), half in host calls.
    place_code(page, &[0x31, 0xc0, 0xff, 0xc0, 0x3d, 0, 0x10, 0, 0, 0x75, 0xf7, 0x0f, 0x05, 0xeb, 0xf1]);
    say!("ready");
    let (mut arrived, mut trapped) = (0u64, 0u64);
    while arrived & 1 << 14 == 0 {
        let found = run_user(&at(page));
        // On its last step into user code it counts as there.
        check!((page..page + 15).contains(&found.rip) || found.rip >= layout().image_base);
        trapped += 1;
        host_thread().wake.store(0, SeqCst);
        let result = host(HostCall::FdPoll, [buffer(), 0, 10_000, 0, 0, 0]);
        check!(result == 0 || result == -(EINTR as i64));
        arrived |= take();
    }
    check!(trapped > 0);
    same!(arrived, 1 << 14 | 1 << 9 | 1 << 11);
}
