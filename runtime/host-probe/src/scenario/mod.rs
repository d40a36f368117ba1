//! The scenarios, by name.

mod files;
mod memory;
mod network;
mod signals;
mod start;
mod threads;

use crate::enclave::{block, bytes};

/// The n-th of the program's arguments; empty when there are fewer.
pub fn argument(number: usize) -> &'static [u8] {
    bytes(block().arguments).split(|byte| *byte == 0).nth(number).unwrap_or(b"")
}

/// Runs the scenario that the first argument names.
pub fn run() -> u64 {
    match argument(0) {
        b"start" => start::start(),
        b"exit" => return 42,
        b"die" => start::die(),
        b"bad-calls" => start::bad_calls(),
        b"stack-use" => start::stack_use(),
        b"wide-registers" => start::wide_registers(),
        b"clocks" => start::clocks(),
        b"pages" => memory::pages(),
        b"faults" => memory::faults(),
        b"loader-fault" => memory::loader_fault(),
        b"trapped-call-speed" => memory::trapped_call_speed(),
        b"threads" => threads::threads(),
        b"thread-limit" => threads::limit(),
        b"thread-speed" => threads::speed(),
        b"park" => threads::park(),
        b"wake-race" => threads::wake_race(),
        b"interrupt" => threads::interrupt(),
        b"signals" => signals::signals(),
        b"flood" => signals::flood(),
        b"images" => files::images(),
        b"truncated-image" => files::truncated_image(),
        b"paths" => files::paths(),
        b"read-only" => files::read_only(),
        b"descriptors" => files::descriptors(),
        b"tcp" => network::tcp(),
        b"udp" => network::udp(),
        b"epoll" => network::epoll(),
        b"interfaces" => network::interfaces(),
        other => {
            say!("no scenario {:?}", core::str::from_utf8(other));
            return 2;
        }
    }
    0
}
