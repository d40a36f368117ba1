//! The host calls of the enclave, one function each.
//!
//! On `direct` they run on the enclave's stack (little of it: no call here uses more than about 2 KiB), between two instructions of enclave
//! code, and so must not touch fs, gs or the upper halves of vector registers. The loader protects nobody here: checks are
//! for clear errors instead of crashes.

mod descriptor;
mod epoll;
mod image;
mod network;
mod pages;
mod path;
mod quote;
mod socket;

use casemate_abi::{HostCall, HostClock};
use linux_raw_sys::general::*;

use crate::arena::{self, Thread};
use crate::descriptors::for_a_moment;
use crate::sys::{self, Errno, Reply};
use crate::{exitless, signal, stats, thread, vdso};

pub use image::set_source;
pub use path::{VOLUME_LIMIT, add_volume, detect_openat2, open_directory};
pub use quote::set_service;

/// Arguments of a call.
pub(crate) type Args = [u64; 6];

/// The host-call function that the start-up block names.
pub extern "C" fn host_call(number: u64, args: *mut Args) -> i64 {
    let Some(thread) = arena::named(args as u64) else { return -(Errno::EFAULT.0 as i64) };
    // SAFETY: the arguments are the first field of the calling thread's own block.
    let args = unsafe { args.read() };
    if let Some(call) = HostCall::from_number(number) {
        exitless::note(call, &args);
    }
    answer(number, thread, args, stats::Way::Exit)
}

/// Answers a call, whichever way it came.
pub fn answer(number: u64, caller: &Thread, args: Args, way: stats::Way) -> i64 {
    let Some(call) = HostCall::from_number(number) else { return -(Errno::ENOSYS.0 as i64) };
    stats::count(call, way);
    #[cfg(feature = "hostile")]
    if crate::hostile::is_on() {
        return crate::hostile::answer(call, caller, args);
    }
    serve(call, caller, args).unwrap_or_else(|error| -(error.0 as i64))
}

/// Serves one call, as an honest loader does.
pub(crate) fn serve(call: HostCall, caller: &Thread, args: Args) -> Reply {
    use HostCall::*;
    let [a, b, ..] = args;
    match call {
        Log => log(caller, a, b),
        Exit => exit(a, b),
        ThreadCreate => thread::create(a),
        ThreadInterrupt => thread::interrupt(a),
        Park => thread::park(caller, a),
        Unpark => thread::unpark(a),
        Yield => {
            sys::yield_processor();
            Ok(0)
        }
        SignalsTake => put(caller, a, signal::take_arrived()),
        ClockRead => put(caller, a, read_clocks()),
        PageMap => pages::map(args),
        PageProtect => pages::protect(args),
        PageUnmap => pages::unmap(args),
        PageDiscard => pages::discard(args),
        PageMove => pages::relocate(args),
        PageConvert => pages::convert(args),
        PageRemove => pages::remove(args),
        ImageOpen => for_a_moment(|| image::open(caller, args)),
        ImageClose => image::close(a),
        FdRead | FdWrite | FdReadAt | FdWriteAt | FdClose | FdPoll | FdIoctl | FdSetNonblocking | FdStat
        | FdTruncate | FdSync | FdSeek | FdReadDirectory => descriptor::serve(call, caller, args),
        PathOpen => path::open(caller, args),
        PathStat => for_a_moment(|| path::stat(caller, args)),
        PathReadLink => for_a_moment(|| path::read_link(caller, args)),
        PathChange => for_a_moment(|| path::change(caller, args)),
        VolumeStat => path::volume_stat(caller, args),
        SocketOpen | SocketBind | SocketListen | SocketAccept | SocketConnect | SocketSend
        | SocketReceive | SocketGetOption | SocketSetOption | SocketName | SocketShutdown => {
            socket::serve(call, caller, args)
        }
        EpollOpen => epoll::open(),
        EpollControl => epoll::control(args),
        EpollWait => epoll::wait(caller, args),
        QuoteTarget => quote::target(caller, a),
        QuoteMake => quote::make(caller, a, b),
        AnswerAwait => exitless::await_answer(caller),
        NetworkRead => network::read(caller, a, b, args[2]),
    }
}

fn log(caller: &Thread, address: u64, length: u64) -> Reply {
    if !caller.owns(address, length) {
        return Err(Errno::EFAULT);
    }
    // SAFETY: the range lies in the caller's host buffer, which stays mapped.
    sys::write_all(2, unsafe { core::slice::from_raw_parts(address as *const u8, length as usize) });
    Ok(0)
}

fn exit(status: u64, signal: u64) -> ! {
    stats::print_table();
    #[cfg(feature = "hostile")]
    crate::hostile::report_end(status, signal);
    if (1..=64).contains(&signal) {
        signal::die(signal as i32)
    }
    sys::exit((status & 0xff) as i32)
}

fn read_clocks() -> HostClock {
    HostClock {
        realtime_ns: vdso::clock_ns(CLOCK_REALTIME),
        monotonic_ns: vdso::clock_ns(CLOCK_MONOTONIC),
        boottime_ns: vdso::clock_ns(CLOCK_BOOTTIME),
    }
}

/// Writes a value into the caller's host buffer.
fn put<T: Copy>(caller: &Thread, address: u64, value: T) -> Reply {
    if !caller.owns(address, size_of::<T>() as u64) {
        return Err(Errno::EFAULT);
    }
    // SAFETY: the range lies in the caller's host buffer; no alignment is assumed.
    unsafe { (address as *mut T).write_unaligned(value) };
    Ok(0)
}

/// Reads a value from the caller's host buffer.
fn get<T: Copy>(caller: &Thread, address: u64) -> Result<T, Errno> {
    if !caller.owns(address, size_of::<T>() as u64) {
        return Err(Errno::EFAULT);
    }
    // SAFETY: as in `put`; callers read types for which every bit pattern is valid.
    Ok(unsafe { (address as *const T).read_unaligned() })
}

/// A time-out in ns as a timespec; `None` for no time-out.
fn timespec(timeout_ns: u64) -> Option<__kernel_timespec> {
    let seconds = (timeout_ns / 1_000_000_000) as i64;
    let rest = (timeout_ns % 1_000_000_000) as i64;
    (timeout_ns != u64::MAX).then_some(__kernel_timespec { tv_sec: seconds, tv_nsec: rest })
}
