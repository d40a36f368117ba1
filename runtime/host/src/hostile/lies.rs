//! The lies themselves, one call at a time.

use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

use casemate_abi::{HOST_BUFFER_SIZE, HostCall};
use casemate_sgx::PageType;
use linux_raw_sys::general::{
    __NR_mmap, __NR_ppoll, __kernel_timespec, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, POLLIN, POLLOUT,
    PROT_NONE, PROT_READ, PROT_WRITE, pollfd,
};

use super::harass::strange;
use super::{below, has, is_time, kind, next, pick};
use crate::arena::{self, Thread};
use crate::calls::{self, Args};
use crate::{run, sys, thread};

/// Where small outputs lie in the buffer.
const SIDE: u64 = HOST_BUFFER_SIZE as u64 - 8192;

/// The honest answer.
pub(super) fn honest(call: HostCall, caller: &Thread, args: Args) -> i64 {
    calls::serve(call, caller, args).unwrap_or_else(|error| -(error.0 as i64))
}

/// An answer, with a lie when it is time for one of the kinds that this run has.
pub(super) fn answer(call: HostCall, caller: &Thread, args: Args) -> i64 {
    use HostCall::*;
    if has(kind::SHOWS)
        && let Some(reply) = super::show::answer(call, args)
    {
        return reply;
    }
    if has(kind::FULL) && call == PageMap {
        return -12;
    }
    if has(kind::DENIED_TCS) && call == PageConvert && args[2] == PageType::Tcs as u64 {
        return convert_and_deny(caller, args);
    }
    if has(kind::RING | kind::REPLIES) && !is_ready(call, args[0]) {
        return -5;
    }
    let kinds = match call {
        PageMap | PageProtect | PageUnmap | PageDiscard | PageMove | PageConvert | PageRemove => kind::PAGES,
        ThreadCreate => kind::THREADS | kind::REPLIES,
        ClockRead => kind::CLOCKS | kind::CLOCK_ERRORS,
        ImageOpen => kind::IMAGES,
        AnswerAwait => kind::RING,
        _ => kind::RESULTS | kind::BUFFERS,
    };
    if !has(kinds) || !is_time(call) {
        return honest(call, caller, args);
    }
    match call {
        // Now and then it does not end.
        Exit => strange_result(args, 0),
        PageMap | PageProtect | PageUnmap | PageDiscard | PageMove | PageConvert | PageRemove => {
            page(call, caller, args)
        }
        ThreadCreate => create_thread(caller, args),
        // At once.
        AnswerAwait => strange_result(args, 0),
        ClockRead => clock(caller, args),
        ImageOpen => image(caller, args),
        // Carried out, whatever is then said: a wake-up that is not passed on, or a read that waits against what was agreed, is
        // a thread that is not run.
        Park | Unpark | ThreadInterrupt | FdClose | FdSetNonblocking | ImageClose | Yield | Log => {
            let result = honest(call, caller, args);
            strange_result(args, result)
        }
        PathOpen | SocketOpen | SocketAccept | EpollOpen => descriptor(call, caller, args),
        _ => other(call, caller, args),
    }
}

fn convert_and_deny(caller: &Thread, args: Args) -> i64 {
    static DENIED: AtomicBool = AtomicBool::new(false);
    if DENIED.fetch_xor(true, SeqCst) {
        return 0;
    }
    honest(HostCall::PageConvert, caller, args);
    -12
}

/// Whether a read or write of a descriptor can go on within two seconds. Where the answer to one call may reach another, the descriptor may be any, and what
/// waits for it would wait for ever.
fn is_ready(call: HostCall, fd: u64) -> bool {
    let events = match call {
        HostCall::FdRead => POLLIN,
        HostCall::FdWrite => POLLOUT,
        _ => return true,
    };
    let mut entry = pollfd { fd: fd as i32, events: events as i16, revents: 0 };
    let mut time = __kernel_timespec { tv_sec: 2, tv_nsec: 0 };
    // SAFETY: the kernel reads and writes the two local structures.
    let found = unsafe { sys::call(__NR_ppoll, [&raw mut entry as u64, 1, &raw mut time as u64, 0, 8]) };
    found != Ok(0)
}

fn other(call: HostCall, caller: &Thread, args: Args) -> i64 {
    // Not carried out, or carried out and then lied about.
    let result = if below(4) == 0 { pick(&args).min(1 << 20) as i64 } else { honest(call, caller, args) };
    let fills = has(kind::BUFFERS) && below(2) == 0;
    if fills {
        fill(caller);
    }
    if fills && below(2) == 0 || !has(kind::RESULTS) { result } else { strange_result(args, result) }
}

/// Writes where the enclave will look for results.
fn fill(caller: &Thread) {
    let put = |offset: u64, word: u64| {
        // SAFETY: offsets lie in the caller's buffer, which stays mapped.
        unsafe { ((caller.host_buffer() + offset) as *mut u64).write_volatile(word) };
    };
    for _ in 0..below(16) {
        put(SIDE + below(40) * 8, strange());
    }
    for _ in 0..below(16) {
        put(below(32) * 8, strange());
    }
    if below(4) == 0 {
        // A status that is nearly right.
        put(SIDE + 16, pick(&[0o100644, 0o040755, 0o120777, 0o010600, 0o170000, 0]) | 1 << 32);
        put(SIDE + 40, pick(&[0, 1, 4096, 1 << 40, 1 << 62, 1 << 63]));
    }
}

fn strange_result(args: Args, result: i64) -> i64 {
    let asked = pick(&args).min(1 << 40) as i64;
    match below(14) {
        0 => asked,
        1 => asked.saturating_add(1),
        2 => i64::MAX,
        3 => i64::MIN,
        4 => next() as i64,
        5 => -(below(600) as i64),
        6 => 1,
        7 => result.saturating_add(1),
        8 => result / 2,
        9 => 0,
        _ => -(below(134) as i64),
    }
}

/// A descriptor that is none, or an error for one that is.
fn descriptor(call: HostCall, caller: &Thread, args: Args) -> i64 {
    let result = honest(call, caller, args);
    if below(4) == 0 {
        fill(caller);
        return result;
    }
    if result > 2 {
        sys::close(result as i32);
    }
    match below(3) {
        // Not open, as far as one can tell; never one of the loader's own.
        0 => 100_000 + below(1 << 20) as i64,
        1 => pick(&[0, 1, 2, 1 << 31, 1 << 32 | 7, i64::MAX]),
        _ => -(next() as i64 & 0xff),
    }
}

/// Errors without the deed and after it, strange successes, and, where the enclave finds out, success without the deed.
fn page(call: HostCall, caller: &Thread, args: Args) -> i64 {
    let wrong = [-12, -22, -1, 1, 4096, i64::MAX, i64::MIN];
    // Without EDMM, pages that are there although the host says that they are not are contents of the host's own: `SHOWS`.
    let shows = !run::is_dynamic() && matches!(call, HostCall::PageMap | HostCall::PageMove);
    if below(2) == 0 && !shows {
        honest(call, caller, args);
        return pick(&wrong);
    }
    if run::is_dynamic() && below(4) == 0 { 0 } else { pick(&wrong) }
}

fn create_thread(caller: &Thread, args: Args) -> i64 {
    match below(7) {
        0 => -11,
        // It comes, and is denied. In an enclave one that comes after that, when another was asked for in its place, is a reply to
        // what the other asks.
        1 => {
            let result = honest(HostCall::ThreadCreate, caller, args);
            let deny = !run::is_enclave() || has(kind::REPLIES) || has_come(args[0]);
            if result == 0 && deny { pick(&[-11, -2, i64::MIN, 7]) } else { result }
        }
        // It comes twice; in an enclave the second is a reply to what the first asks.
        2 if !run::is_enclave() || has(kind::REPLIES) => {
            let result = honest(HostCall::ThreadCreate, caller, args);
            let _ = thread::create(args[0]);
            result
        }
        // Others come that were not asked for.
        3 => {
            let _ = thread::create(args[0].wrapping_add(64));
            let _ = thread::create(strange() & !1);
            honest(HostCall::ThreadCreate, caller, args)
        }
        // Another comes for a thread that is there already.
        4 if !run::is_enclave() || has(kind::REPLIES) => {
            let areas =
                || arena::opened().map(|(_, other)| other.host_area()).filter(|area| *area != thread::OWN);
            let count = areas().count().max(1) as u64;
            if let Some(area) = areas().nth(below(count) as usize) {
                let _ = thread::create(area);
            }
            honest(HostCall::ThreadCreate, caller, args)
        }
        _ => pick(&[-11, -12, -2, -1000, i64::MIN]),
    }
}

/// Waits a while for the threads that were made to enter by this TCS; whether each has made a call since, or ended.
fn has_come(area: u64) -> bool {
    let is_awaited = |thread: &Thread| {
        thread.host_area() == area && thread.alive.load(SeqCst) != 0 && thread.called.load(SeqCst) == 0
    };
    for _ in 0..10_000 {
        if !arena::opened().any(|(_, thread)| is_awaited(thread)) {
            return true;
        }
        sys::yield_processor();
    }
    false
}

fn clock(caller: &Thread, args: Args) -> i64 {
    let result = honest(HostCall::ClockRead, caller, args);
    if has(kind::CLOCK_ERRORS) {
        return pick(&[-5, 1, i64::MIN, -22]);
    }
    let count = 1 + below(3);
    for _ in 0..count {
        let place = caller.host_buffer() + SIDE + below(3) * 8;
        // SAFETY: the place lies in the caller's buffer.
        unsafe {
            let now = (place as *mut u64).read_volatile();
            let wrong = match below(6) {
                0 => now.wrapping_sub(below(1 << 40)),
                1 => now.wrapping_add(below(1 << 32)),
                2 => now / 2,
                3 => 0,
                4 => now.wrapping_add(below(1 << 20)),
                _ => now.wrapping_sub(below(1 << 20)),
            };
            (place as *mut u64).write_volatile(wrong);
        }
    }
    result
}

/// Mappings of image files that lie elsewhere, are cut, changed or gone.
fn image(caller: &Thread, args: Args) -> i64 {
    let result = honest(HostCall::ImageOpen, caller, args);
    if result < 0 || below(8) == 0 {
        return strange_result(args, result);
    }
    let words = (caller.host_buffer() + SIDE) as *mut [u64; 3];
    // SAFETY: the loader has just written these words to the caller's buffer.
    let [handle, size, address] = unsafe { words.read_unaligned() };
    let inside = pick(&[0x1_0000, 0x40_0000, run::enclave_end() - 1, run::enclave_end() - 4096]);
    let lie = match below(7) {
        0 => [handle, size, inside],
        1 => [handle, size, pick(&[0, u64::MAX, u64::MAX - 8, 1 << 47, 1 << 63, (1 << 47) - 1])],
        2 => [handle, pick(&[0, 1, u64::MAX, 1 << 47, size / 2]), address],
        3 => [next(), size, address],
        4 => {
            replace(address, size, PROT_NONE);
            [handle, size, address]
        }
        // Other contents: zeros.
        5 => {
            replace(address, size, PROT_READ | PROT_WRITE);
            [handle, size, address]
        }
        _ => [handle, size, address.wrapping_add(1)],
    };
    // SAFETY: as above.
    unsafe { words.write_unaligned(lie) };
    0
}

fn replace(address: u64, size: u64, protection: u32) {
    if size == 0 {
        return;
    }
    let flags = (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED) as u64;
    let args = [address, size.next_multiple_of(sys::PAGE), protection as u64, flags, u64::MAX, 0];
    // SAFETY: the loader's own mapping, of which only the enclave reads, and recovers when it is gone.
    let _ = unsafe { sys::call(__NR_mmap, args) };
}
