//! The start-up block, exits, and what a host call may cost its caller.

use core::cell::UnsafeCell;

use casemate_abi::{ABI_VERSION, HostCall, HostClock, Platform, START_MAGIC};
use linux_raw_sys::errno::*;

use super::argument;
use crate::enclave::{
    self, block, buffer, bytes, get, host, host_number, host_on, host_raw, host_wide, layout, measured, put,
};

static ZERO_FILLED: Cell<[u64; 3000]> = Cell(UnsafeCell::new([0; 3000]));

struct Cell<T>(UnsafeCell<T>);

// SAFETY: scenarios use their statics from one thread.
unsafe impl<T> Sync for Cell<T> {}

/// Checks the block and prints what the host said.
pub fn start() {
    let block = block();
    same!((block.magic, block.version, block.platform), (START_MAGIC, ABI_VERSION, Platform::Direct as u32));
    let layout = layout();
    same!(layout.user_top, layout.heap_base);
    check!(layout.heap_base + layout.heap_size <= layout.threads_base && layout.user_base >= 0x10000);
    check!(layout.image_base + layout.image_size <= layout.enclave_size && block.lowest_address >= 0x10000);
    let inside = start as *const () as u64;
    check!((layout.image_base..layout.image_base + layout.image_size).contains(&inside));
    check!(block as *const _ as u64 >= layout.enclave_size && block.host_call >= layout.enclave_size);
    check!(buffer() >= layout.enclave_size && block.processors >= 1);
    // SAFETY: the scenario's own static.
    check!(unsafe { (*ZERO_FILLED.0.get()).iter().all(|word| *word == 0) });
    let stacks = [0, layout.max_threads - 1].map(|number| layout.thread(number).unwrap().stack.start);
    let heap =
        [layout.heap_base, layout.heap_base + layout.heap_size - 8, layout.heap_base + layout.heap_size / 2];
    for address in heap.into_iter().chain(stacks) {
        // SAFETY: the loader maps the heap and the threads' blocks read-write.
        unsafe {
            same!(*(address as *const u64), 0);
            *(address as *mut u64) = 1;
        }
    }
    for list in [block.arguments, block.environment, block.volumes] {
        for text in bytes(list).split_inclusive(|byte| *byte == 0) {
            print_text(text.strip_suffix(&[0]).unwrap_or(b"(no NUL)"));
        }
    }
    print_text(bytes(block.hostname));
    print_text(bytes(block.index));
    print_text(&measured());
    check!(bytes(block.manifest).starts_with(b"{"));
    say!("flags {} resolv.conf {} hosts {}", block.flags, block.resolv_conf.length, block.hosts.length);
}

fn print_text(text: &[u8]) {
    say!("[{}]", core::str::from_utf8(text).unwrap_or("no UTF-8"));
}

/// Ends by the signal that the second argument names by its number.
pub fn die() {
    let signal = argument(1).iter().fold(0, |number, digit| number * 10 + (digit - b'0') as u64);
    host(HostCall::Exit, [0, signal, 0, 0, 0, 0]);
    check!(false);
}

/// Calls that an honest enclave does not make are errors, not crashes.
pub fn bad_calls() {
    let outside = buffer() - 8;
    same!(host_number(1000, [0; 6]), -(ENOSYS as i64));
    same!(host_raw(HostCall::Yield as u64, 0), -(EFAULT as i64));
    same!(host_raw(HostCall::Yield as u64, buffer()), -(EFAULT as i64));
    same!(host_raw(HostCall::Yield as u64, u64::MAX - 7), -(EFAULT as i64));
    for call in [HostCall::ThreadInterrupt, HostCall::Unpark] {
        for address in [0, 8, buffer(), enclave::host_thread() as *const _ as u64 + 64, u64::MAX] {
            same!(host(call, [address, 0, 0, 0, 0, 0]), -(EINVAL as i64));
        }
    }
    for call in [HostCall::SignalsTake, HostCall::ClockRead] {
        for address in [0, outside, buffer() + 256 * 1024 - 7] {
            same!(host(call, [address, 0, 0, 0, 0, 0]), -(EFAULT as i64));
        }
    }
    same!(host(HostCall::Log, [outside, 16, 0, 0, 0, 0]), -(EFAULT as i64));
    same!(host(HostCall::FdStat, [2, 64, 0, 0, 0, 0]), -(EFAULT as i64));
    same!(host(HostCall::ImageOpen, [8, 4, buffer(), 0, 0, 0]), -(EFAULT as i64));
    same!(host(HostCall::PathOpen, [99, buffer(), 1, 0, 0, 0]), -(ENODEV as i64));
    same!(host(HostCall::PathChange, [77, 0, buffer(), 1, 0, 0]), -(EINVAL as i64));
    same!(host(HostCall::ImageClose, [12345, 0, 0, 0, 0, 0]), -(EBADF as i64));
    same!(host(HostCall::SocketOpen, [1, 1, 0, 0, 0, 0]), -(EAFNOSUPPORT as i64));
    same!(host(HostCall::SocketOpen, [16, 3, 0, 0, 0, 0]), -(EAFNOSUPPORT as i64));
    same!(host(HostCall::FdIoctl, [2, 0x5412, buffer(), 1, 0, 0]), -(ENOTTY as i64));
}

#[repr(C, align(4096))]
struct Stack([u64; 4096]);
static STACK: Cell<Stack> = Cell(UnsafeCell::new(Stack([0; 4096])));

/// Host calls use less than 4 KiB of their caller's stack.
pub fn stack_use() {
    const MARK: u64 = 0x5a5a_1234_dead_beef;
    // SAFETY: the scenario's own static.
    let words = unsafe { &mut (*STACK.0.get()).0 };
    let top = words.as_ptr_range().end as u64;
    let path = put(64, b"some/long/path/that/is/not/there");
    let calls = [
        (HostCall::Log, [put(0, b"hello\n"), 6, 0, 0, 0, 0]),
        (HostCall::ClockRead, [buffer(), 0, 0, 0, 0, 0]),
        (HostCall::Park, [1000, 0, 0, 0, 0, 0]),
        (HostCall::FdPoll, [buffer(), 0, 1000, 0, 0, 0]),
        (HostCall::FdStat, [2, buffer(), 0, 0, 0, 0]),
        (HostCall::ImageOpen, [path - 32, 32, buffer(), 0, 0, 0]),
        (HostCall::PathStat, [0, path, 32, buffer(), 0, 0]),
        (HostCall::PathChange, [3, 0, path, 16, 16, 0]),
        (HostCall::PathChange, [6, 0, path, 32, 0o600, 0]),
        (HostCall::VolumeStat, [0, buffer(), 0, 0, 0, 0]),
        (HostCall::SocketReceive, [99, buffer(), 0, 0, 0, 0]),
        (HostCall::EpollWait, [99, buffer(), 8, 0, 0, 0]),
        (HostCall::NetworkRead, [1, buffer(), 65536, 0, 0, 0]),
        (HostCall::PageMap, [layout().user_base, 4096, 3, 0, 0, 0]),
    ];
    let mut most = 0;
    for (call, args) in calls {
        words.fill(MARK);
        host_on(call, args, top);
        let used = words.iter().position(|word| *word != MARK).map_or(0, |first| (words.len() - first) * 8);
        if used > most {
            say!("{}: {used} bytes", call.name());
            most = used;
        }
    }
    check!(most > 0 && most < 4096);
}

/// Host calls leave the upper halves of the vector registers alone.
pub fn wide_registers() {
    let leaf = core::arch::x86_64::__cpuid(1);
    if leaf.ecx & (1 << 28) == 0 || leaf.ecx & (1 << 27) == 0 {
        say!("skipped: no AVX");
        return;
    }
    let pattern: [u8; 32] = core::array::from_fn(|index| index as u8 ^ 0xc3);
    let path = put(32, b"etc/none");
    let calls = [
        (HostCall::Yield, [0; 6]),
        (HostCall::ClockRead, [buffer(), 0, 0, 0, 0, 0]),
        (HostCall::Park, [1000, 0, 0, 0, 0, 0]),
        (HostCall::FdPoll, [buffer(), 0, 1000, 0, 0, 0]),
        (HostCall::ImageOpen, [path - 32, 8, buffer(), 0, 0, 0]),
        (HostCall::PathChange, [6, 0, path, 8, 0o600, 0]),
        // A signal in the middle of it.
        (HostCall::ThreadInterrupt, [enclave::host_thread() as *const _ as u64, 0, 0, 0, 0, 0]),
    ];
    for (call, args) in calls {
        for upper in host_wide(call, args, &pattern) {
            same!(upper, pattern[16..]);
        }
    }
    check!(enclave::area().noted.load(core::sync::atomic::Ordering::SeqCst) == 1);
}

/// Clocks go forward and agree with each other.
pub fn clocks() {
    let mut before = HostClock::default();
    for _ in 0..1000 {
        same!(host(HostCall::ClockRead, [buffer(), 0, 0, 0, 0, 0]), 0);
        let now: HostClock = get(0);
        check!(now.monotonic_ns >= before.monotonic_ns && now.boottime_ns >= before.boottime_ns);
        check!(now.realtime_ns > 1_700_000_000_000_000_000 && now.boottime_ns >= now.monotonic_ns);
        before = now;
    }
}
